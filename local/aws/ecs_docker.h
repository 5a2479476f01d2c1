/* ecs_docker.h - the parts of the Docker driver (ecs_driver.h): its tasks, and the life of one
 * container.
 *
 *     CREATE -> START -> LOOK -> RUN -> LOOK -> OVER -> LOGS -> REMOVE -> GONE
 *        '-> PULL -^       ^------'  (wait has answered)
 *
 * A container's name follows from its task, so that each step can be asked again when an answer was
 * lost: what exists is adopted, never made twice. What is true is asked of the engine (LOOK) and
 * never concluded from an answer to something else, so that a container that somebody else has
 * killed or removed, and an engine that was restarted, come out right. A call that failed is made
 * again, later and later. The loop's thread only. */
#ifndef LOCAL_AWS_ECS_DOCKER_H
#define LOCAL_AWS_ECS_DOCKER_H

#include "local/aws/docker_api.h"
#include "local/aws/ecs_driver.h"
#include "shared/base/log.h"

/* What a container carries, for the driver that comes after a crash. */
#define DOCKER_LABEL "local-aws."

enum docker_phase {
    DOCKER_CREATE,
    DOCKER_PULL,
    DOCKER_START,
    DOCKER_LOOK,
    DOCKER_RUN,
    DOCKER_OVER, /* has ended, or will never start */
    DOCKER_LOGS,
    DOCKER_REMOVE,
    DOCKER_GONE,
};

struct docker_container {
    struct docker_task *task;
    enum docker_phase phase;
    char *name; /* Docker's: local-aws-TASK-INDEX */
    char *image;
    char *body; /* what it is created from; NULL where an earlier driver has done it */
    int64_t stop_timeout_s;
    bool pulled;
    int tries; /* of the call at hand that failed */
    struct docker_call *call, *stopping;
    struct loop_timer *timer, *stop_timer;
    struct shim_container *told; /* in the task's status */
};

struct docker_task {
    struct docker_driver *driver;
    char *id;
    struct docker_container *containers;
    struct shim_status status; /* in the same order */
    bool stop_wanted;
    bool watched;  /* by this driver's owner; else it is left from an earlier one */
    bool cleaning; /* its end has been told */
    struct docker_task *next;
};

struct docker_driver {
    struct ecs_driver base; /* first: a driver is cast to it and back */
    struct loop *loop;
    struct log *log;
    char *folder; /* where output is kept: FOLDER/TASK/output.log */
    char *socket;
    char *network;
    char *owner; /* tells its containers from those of another local-aws */
    ecs_driver_fn *changed;
    void *arg;
    struct docker_task *tasks;
};

/* ---- ecs_docker.c -------------------------------------------------------------------------------
 */

/* A container of the task has changed: tells the owner, ends the others with an essential one, and
 * cleans up behind the last. */
void docker_task_changed(struct docker_task *t);
/* A container is gone: with the last, so is the task. */
void docker_task_gone(struct docker_task *t);

/* ---- ecs_docker_container.c ---------------------------------------------------------------------
 */

/* Does what the phase says. */
void docker_container_step(struct docker_container *c);
/* Asks it to end, with SIGKILL after its stop timeout, or does not start it any more. */
void docker_container_stop(struct docker_container *c);
void docker_container_kill(struct docker_container *c);
void docker_container_release(struct docker_container *c);

/* ---- ecs_docker_json.c --------------------------------------------------------------------------
 */

/* The body of POST /containers/create for container `index` of the spec (ecs_driver.h); the
 * caller's. */
char *docker_create_body(const struct docker_task *t, struct json_object *spec, size_t index);
enum docker_state {
    DOCKER_STATE_CREATED,
    DOCKER_STATE_RUNNING,
    DOCKER_STATE_ENDED
};
/* Reads the answer of GET /containers/NAME/json into *out; -1 where it makes no sense. */
int docker_read_state(const char *text, enum docker_state *state, struct shim_container *out,
                      struct error *err) CHECKED;
/* The network that this process is in, as a container; NULL where the answer names none. The
 * caller's. */
char *docker_read_network(const char *text);
/* The path of a pull: an image without a tag is its :latest. The caller's. */
char *docker_pull_path(const char *image);
/* The last error that a pull's answer, one JSON object a line, tells; NULL where there is none. */
char *docker_pull_error(const char *text);
/* Takes the frames of GET /containers/NAME/logs apart and appends their bytes to `out`. */
void docker_read_logs(const char *p, size_t len, struct buf *out);

#endif
