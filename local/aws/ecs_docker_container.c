#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "local/aws/ecs_docker.h"
#include "shared/base/buf.h"
#include "shared/base/clock.h"

#define CALL_MS     30000
#define PULL_MS     (15 * 60 * 1000)
#define RETRY_MS    200
#define RETRY_CAP   10000
#define TRIES       10 /* of what makes the task fail in the end; what ends it is tried for ever */
#define ANSWER_MAX  (1U << 20)
#define OUTPUT_MAX  (16U << 20)
#define OUTPUT_TAIL "20000" /* lines */

static void move(struct docker_container *c, enum docker_phase phase)
{
    c->phase = phase;
    c->tries = 0;
    docker_container_step(c);
}

/* The tries of what led here go on. */
static void look(struct docker_container *c)
{
    c->phase = DOCKER_LOOK;
    docker_container_step(c);
}

/* It has ended, or will never begin. */
static void over(struct docker_container *c)
{
    loop_cancel(c->task->driver->loop, MOVE(c->timer));
    docker_cancel(MOVE(c->call));
    c->phase = DOCKER_OVER;
    docker_task_changed(c->task);
}

static void fail(struct docker_container *c, const char *type, const char *message)
{
    free(c->told->error);
    c->told->error = mem_printf("%s: %s", type, message);
    over(c);
}

static void on_timer(void *arg)
{
    struct docker_container *c = arg;
    c->timer = NULL;
    docker_container_step(c);
}

static void later(struct docker_container *c)
{
    int64_t ms = RETRY_MS << (c->tries < 6 ? c->tries : 6);
    c->tries++;
    c->timer = loop_after(c->task->driver->loop, ms < RETRY_CAP ? ms : RETRY_CAP, on_timer, c);
}

/* Why an answer is none, for what is given up in the end. */
static void try_again(struct docker_container *c, const char *type,
                      const struct docker_answer *answer, const struct error *err)
{
    auto_free char *message = answer ? docker_message(answer->body) : mem_dup(err->msg);
    if (c->tries >= TRIES)
        fail(c, type, message);
    else
        later(c);
}

/* ---- answers ----------------------------------------------------------------------------------*/

static void on_created(struct docker_container *c, const struct docker_answer *answer,
                       const struct error *err)
{
    auto_free char *message = answer ? docker_message(answer->body) : NULL;
    int status = answer ? answer->status : 0;
    bool no_image = status == 404 && strstr(message, "mage");
    if (c->task->stop_wanted && (status == 201 || no_image))
        over(c);
    else if (status == 201)
        move(c, DOCKER_START);
    else if (status == 409) /* an earlier driver, or a call whose answer was lost, has made it */
        look(c);
    else if (no_image && !c->pulled)
        move(c, DOCKER_PULL);
    else if (no_image)
        fail(c, "CannotPullContainerError", message);
    else if (status >= 400 && status < 500)
        fail(c, "CannotCreateContainerError", message);
    else
        try_again(c, "CannotCreateContainerError", answer, err);
}

static void on_pulled(struct docker_container *c, const struct docker_answer *answer,
                      const struct error *err)
{
    auto_free char *error = answer ? docker_pull_error(answer->body) : NULL;
    c->pulled = true;
    if (answer && answer->status == 200 && !error) {
        move(c, DOCKER_CREATE);
        return;
    }
    auto_free char *message = error    ? mem_dup(error)
                              : answer ? docker_message(answer->body)
                                       : mem_dup(err->msg);
    auto_free char *whole = mem_printf("pull image %s: %s", c->image, message);
    fail(c, "CannotPullContainerError", whole);
}

static void on_started(struct docker_container *c, const struct docker_answer *answer,
                       const struct error *err)
{
    (void)err;
    /* A start whose answer was lost has happened or not: the next look tells. */
    if (answer && answer->status >= 400) {
        auto_free char *message = docker_message(answer->body);
        fail(c, "CannotStartContainerError", message);
    } else {
        look(c);
    }
}

static void on_gone(struct docker_container *c)
{
    if (!c->told->started_ms && c->body && c->tries < TRIES && !c->task->stop_wanted) {
        /* Its name was taken by a call of an earlier driver that is not through yet. */
        c->phase = DOCKER_CREATE;
        later(c);
        return;
    }
    if (!c->told->started_ms) {
        fail(c, "CannotStartContainerError", "the container was removed before it was started");
        return;
    }
    c->told->ended_ms = clock_wall_ms(clock_system());
    c->told->exit_code = 128 + 9;
    over(c);
}

static void on_state(struct docker_container *c, enum docker_state state)
{
    switch (state) {
    case DOCKER_STATE_CREATED:
        if (c->task->stop_wanted) {
            over(c);
        } else if (c->tries >= TRIES) {
            fail(c, "CannotStartContainerError", "Docker does not start the container");
        } else {
            c->phase = DOCKER_START; /* with its tries */
            later(c);
        }
        break;
    case DOCKER_STATE_RUNNING:
        c->phase = DOCKER_RUN;
        docker_container_step(c);
        docker_task_changed(c->task);
        if (c->task->stop_wanted)
            docker_container_stop(c);
        break;
    case DOCKER_STATE_ENDED:
        if (!c->told->ended_ms)
            c->told->ended_ms = clock_wall_ms(clock_system());
        over(c);
        break;
    }
}

static void on_looked(struct docker_container *c, const struct docker_answer *answer,
                      const struct error *err)
{
    struct error why = { 0 };
    enum docker_state state = DOCKER_STATE_CREATED;
    struct shim_container seen = { .pid = c->told->pid };
    (void)err;
    if (answer && answer->status == 404) {
        on_gone(c);
    } else if (!answer || answer->status != 200 ||
               docker_read_state(answer->body, &state, &seen, &why) < 0) {
        later(c);
    } else {
        c->told->pid = seen.pid;
        c->told->started_ms = seen.started_ms;
        c->told->ended_ms = seen.ended_ms;
        c->told->exit_code = seen.exit_code;
        c->told->out_of_memory = seen.out_of_memory;
        on_state(c, state);
    }
}

/* `wait` has answered, or the engine has gone: what is true is asked for. */
static void on_waited(struct docker_container *c, const struct docker_answer *answer,
                      const struct error *err)
{
    (void)err;
    c->phase = DOCKER_LOOK;
    if (answer && answer->status == 200 && answer->len > 0)
        docker_container_step(c);
    else
        later(c);
}

/* Kept as the process driver keeps it; a container without output has an empty file. */
static void keep_output(const struct docker_container *c, const struct docker_answer *answer)
{
    const struct docker_driver *d = c->task->driver;
    struct error err = { 0 };
    auto_free char *folder = mem_printf("%s/%s", d->folder, c->task->id);
    auto_buf struct buf text = BUF_INIT(OUTPUT_MAX + 1);
    auto_free char *before = c == c->task->containers
                                 ? NULL
                                 : shim_file_read(folder, "output.log", OUTPUT_MAX, NULL, NULL);
    if (before)
        buf_add_str(&text, before);
    docker_read_logs(answer->body, answer->len, &text);
    mkdir(folder, 0700);
    if (shim_file_write(folder, "output.log", buf_str(&text), text.len, &err) < 0)
        log_warn(d->log, log_event("output_lost"), log_str("task", c->task->id), log_err(&err));
}

static void on_logs(struct docker_container *c, const struct docker_answer *answer,
                    const struct error *err)
{
    (void)err;
    if (answer && answer->status == 200)
        keep_output(c, answer);
    move(c, DOCKER_REMOVE);
}

static void on_removed(struct docker_container *c, const struct docker_answer *answer,
                       const struct error *err)
{
    (void)err;
    if (answer && (answer->status < 300 || answer->status == 404)) {
        c->phase = DOCKER_GONE;
        docker_task_gone(c->task);
    } else {
        later(c);
    }
}

static void on_answer(void *arg, const struct docker_answer *answer, const struct error *err)
{
    static void (*const handlers[])(struct docker_container *, const struct docker_answer *,
                                    const struct error *) = {
        [DOCKER_CREATE] = on_created, [DOCKER_PULL] = on_pulled,    [DOCKER_START] = on_started,
        [DOCKER_LOOK] = on_looked,    [DOCKER_RUN] = on_waited,     [DOCKER_OVER] = NULL,
        [DOCKER_LOGS] = on_logs,      [DOCKER_REMOVE] = on_removed,
    };
    struct docker_container *c = arg;
    c->call = NULL;
    handlers[c->phase](c, answer, err);
}

/* ---- calls ------------------------------------------------------------------------------------*/

static void call(struct docker_container *c, const char *method, const char *path, const char *body,
                 int64_t limit_ms, size_t max_answer)
{
    const struct docker_driver *d = c->task->driver;
    const struct docker_request r = { method, path, body, limit_ms, max_answer };
    c->call = docker_call(d->loop, d->socket, &r, on_answer, c);
}

static void call_container(struct docker_container *c, const char *method, const char *what,
                           int64_t limit_ms, size_t max_answer)
{
    auto_free char *path = mem_printf("/containers/%s%s", c->name, what);
    call(c, method, path, NULL, limit_ms, max_answer);
}

void docker_container_step(struct docker_container *c)
{
    auto_free char *path = NULL;
    switch (c->phase) {
    case DOCKER_CREATE:
        path = mem_printf("/containers/create?name=%s", c->name);
        call(c, "POST", path, c->body, CALL_MS, ANSWER_MAX);
        break;
    case DOCKER_PULL:
        path = docker_pull_path(c->image);
        call(c, "POST", path, NULL, PULL_MS, OUTPUT_MAX);
        break;
    case DOCKER_START:
        call_container(c, "POST", "/start", CALL_MS, ANSWER_MAX);
        break;
    case DOCKER_LOOK:
        call_container(c, "GET", "/json", CALL_MS, ANSWER_MAX);
        break;
    case DOCKER_RUN:
        call_container(c, "POST", "/wait?condition=not-running", 0, ANSWER_MAX);
        break;
    case DOCKER_LOGS:
        call_container(c, "GET", "/logs?stdout=1&stderr=1&tail=" OUTPUT_TAIL, CALL_MS, OUTPUT_MAX);
        break;
    case DOCKER_REMOVE:
        call_container(c, "DELETE", "?force=1&v=1", CALL_MS, ANSWER_MAX);
        break;
    case DOCKER_OVER:
    case DOCKER_GONE:
        break;
    }
}

/* ---- stopping ---------------------------------------------------------------------------------*/

static void on_stop_timer(void *arg)
{
    struct docker_container *c = arg;
    c->stop_timer = NULL;
    docker_container_stop(c);
}

static void on_stopped(void *arg, const struct docker_answer *answer, const struct error *err)
{
    struct docker_container *c = arg;
    (void)err;
    c->stopping = NULL;
    if ((!answer || answer->status >= 500) && c->phase <= DOCKER_RUN && !c->stop_timer)
        c->stop_timer = loop_after(c->task->driver->loop, 1000, on_stop_timer, c);
}

static void ask_to_end(struct docker_container *c, const char *what, int64_t limit_ms)
{
    const struct docker_driver *d = c->task->driver;
    auto_free char *path = mem_printf("/containers/%s/%s", c->name, what);
    const struct docker_request r = { "POST", path, NULL, limit_ms, ANSWER_MAX };
    docker_cancel(MOVE(c->stopping));
    c->stopping = docker_call(d->loop, d->socket, &r, on_stopped, c);
}

void docker_container_stop(struct docker_container *c)
{
    bool idle = (c->phase == DOCKER_CREATE || c->phase == DOCKER_START) && !c->call;
    if (c->phase == DOCKER_PULL || idle) {
        over(c);
    } else if ((c->phase == DOCKER_RUN || (c->phase == DOCKER_LOOK && c->told->started_ms)) &&
               !c->stopping) {
        /* The engine keeps to the timeout also when nobody waits for its answer any more. */
        auto_free char *what = mem_printf("stop?t=%lld", (long long)c->stop_timeout_s);
        ask_to_end(c, what, c->stop_timeout_s * 1000 + CALL_MS);
    }
}

void docker_container_kill(struct docker_container *c)
{
    if (c->phase <= DOCKER_RUN)
        ask_to_end(c, "kill?signal=KILL", CALL_MS);
}

void docker_container_release(struct docker_container *c)
{
    struct loop *loop = c->task->driver->loop;
    docker_cancel(c->call);
    docker_cancel(c->stopping);
    loop_cancel(loop, c->timer);
    loop_cancel(loop, c->stop_timer);
    free(c->name);
    free(c->image);
    free(c->body);
}
