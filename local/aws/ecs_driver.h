/* ecs_driver.h - what runs the containers of ECS tasks, behind a small interface.
 *
 * A task is named by its id (32 hexadecimal digits) and described by a spec:
 *     {"containers":[{"name","argv":[...],"environment":{...},"essential":true,
 *                     "stopTimeoutSeconds":30, "image","entryPoint":[...],"command":[...]}],
 *      "cpuUnits":256, "memoryMiB":512}
 * of which processes take argv, which is entryPoint and command together, and containers the rest.
 * Tasks go on when the driver, or the process, ends; the next one attaches to them.
 * The loop's thread only. */
#ifndef LOCAL_ECS_DRIVER_H
#define LOCAL_ECS_DRIVER_H

#include "local/loop.h"
#include "local/shim.h"
#include "shared/base/json.h"
#include "shared/base/log.h"

/* Something about `task` has changed: ask ecs_driver.status. Where `lives` is false nothing will
 * change any more, and without `over` in its status the task has been lost. */
typedef void ecs_driver_fn(void *arg, const char *task, bool lives);

struct ecs_driver {
    /* Begins to run the task; what becomes of it is told by the callback. */
    int (*start)(struct ecs_driver *d, const char *task, struct json_object *spec,
                 struct error *err);
    /* Watches a task that an earlier driver has started. 1: it lives. 0: it does not. */
    int (*attach)(struct ecs_driver *d, const char *task, struct error *err);
    /* Asks the task to stop: SIGTERM, and SIGKILL after each container's own stop timeout. Asking
     * twice, or a task that has ended, does no harm. */
    void (*stop)(struct ecs_driver *d, const char *task);
    /* The same with SIGKILL at once, as when a host or its memory is gone. */
    void (*kill)(struct ecs_driver *d, const char *task);
    /* As shim_status_read. */
    int (*status)(struct ecs_driver *d, const char *task, struct shim_status *out,
                  struct error *err);
    /* Removes what earlier drivers left of tasks that nobody has attached to or started; may be
     * NULL. */
    void (*sweep)(struct ecs_driver *d);
    void (*free)(struct ecs_driver *d);
};

/* Tasks as processes under shims (shim.h), each in a folder of its own, FOLDER/ID. `program` is run
 * as `program shim FOLDER/ID`. All arguments are copied; the loop must outlive the driver. */
struct ecs_driver *ecs_process_new(struct loop *loop, const char *folder, const char *program,
                                   ecs_driver_fn *changed, void *arg, struct error *err) CHECKED;

struct ecs_docker_config {
    const char *socket;  /* the engine's, "/var/run/docker.sock" */
    const char *network; /* of the tasks; NULL: that of the container that this process is in */
    struct log *log;     /* borrowed */
};

/* Tasks as containers of a Docker engine, labelled as those of FOLDER, so that the next driver of
 * this folder finds them. A container is removed when its end has been told, its output kept in
 * FOLDER/ID/output.log. An image that is not there is pulled. NULL where the engine cannot be
 * reached. The loop must outlive the driver. */
struct ecs_driver *ecs_docker_new(struct loop *loop, const char *folder,
                                  const struct ecs_docker_config *cfg, ecs_driver_fn *changed,
                                  void *arg, struct error *err) CHECKED;

#endif
