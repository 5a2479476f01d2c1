#include "local/aws/environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/function_process.h"
#include "local/aws/runtime_api.h"
#include "shared/base/httpd.h"

#define INIT_MS                                                                                    \
    60000               /* from its start to its first next; under a sanitizer that takes its time \
                         */
#define BETWEEN_MS 2000 /* from its answer to the next next: beyond it others are started */
#define IDLE_MS    600000 /* without work: the process is ended */
#define ENDING_MS  2000   /* from its report that it can't go on to its end */

enum environment_state {
    ENV_STARTING,
    ENV_IDLE,
    ENV_BUSY,
    ENV_BETWEEN,
    ENV_ENDING, /* killed, or about to end, and not reaped yet */
};

struct environment {
    struct function *function;
    const struct local *local;
    enum environment_state state;
    struct function_process process;
    struct httpd *httpd;
    struct httpd_request *next; /* parked, while IDLE */
    struct invocation *invocation;
    struct loop_timer *timer; /* what the state may last */
    bool late;                /* BETWEEN for longer than it should be */
    int64_t invocations;
};

static const struct config_function *config_of(const struct environment *env)
{
    return function_config(env->function);
}

static void set_state(struct environment *env, enum environment_state state);

static void finish(struct environment *env, enum invocation_end end, const char *body, size_t len,
                   const char *type)
{
    struct invocation *i = MOVE(env->invocation);
    if (i)
        invocation_end(i, end, body, len, type);
}

/* ---- what lasts too long ----------------------------------------------------------------------
 */

static void time_out(struct environment *env)
{
    char body[256];
    int n = snprintf(body, sizeof(body),
                     "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: %s Error: "
                     "Task timed out after %" PRId64 ".00 seconds\"}",
                     invocation_request_id(env->invocation), config_of(env)->timeout_s);
    log_warn(env->local->log, log_event("function_timed_out"),
             log_str("function", config_of(env)->name),
             log_str("requestId", invocation_request_id(env->invocation)));
    function_process_kill(&env->process);
    set_state(env, ENV_ENDING);
    finish(env, INVOCATION_ERROR, body, (size_t)n, "Sandbox.Timedout");
}

static void on_timer(void *arg)
{
    struct environment *env = arg;
    env->timer = NULL;
    switch (env->state) {
    case ENV_BUSY:
        time_out(env);
        break;
    case ENV_BETWEEN:
        env->late = true;
        function_look(env->function);
        break;
    case ENV_STARTING:
    case ENV_IDLE:
    case ENV_ENDING:
        environment_kill(env);
        break;
    }
}

static int64_t state_limit_ms(const struct environment *env)
{
    switch (env->state) {
    case ENV_STARTING:
        return INIT_MS;
    case ENV_IDLE:
        return IDLE_MS;
    case ENV_BUSY:
        return config_of(env)->timeout_s * 1000;
    case ENV_BETWEEN:
        return BETWEEN_MS;
    case ENV_ENDING:
        break;
    }
    return ENDING_MS;
}

static void set_state(struct environment *env, enum environment_state state)
{
    env->state = state;
    env->late = false;
    loop_cancel(env->local->loop, MOVE(env->timer));
    env->timer = loop_after(env->local->loop, state_limit_ms(env), on_timer, env);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void on_end(void *arg)
{
    struct environment *env = arg;
    char how[64], body[256];
    loop_unwatch(env->local->loop, env->process.pidfd);
    function_process_reap(&env->process, how, sizeof(how));
    log_info(env->local->log, log_event("environment_ended"),
             log_str("function", config_of(env)->name), log_int("pid", env->process.pid),
             log_str("how", how));
    int n = snprintf(body, sizeof(body),
                     "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"RequestId: %s Error: "
                     "Runtime exited with error: %s\"}",
                     env->invocation ? invocation_request_id(env->invocation) : "none", how);
    env->process.pid = 0;
    if (env->invocation)
        finish(env, INVOCATION_ERROR, body, (size_t)n, "Runtime.ExitError");
    else if (env->state == ENV_STARTING)
        function_fail_first(env->function, body, (size_t)n, "Runtime.ExitError");
    function_gone(env->function, env); /* frees it */
}

static int serve(struct environment *env, struct error *err)
{
    if (!(env->httpd = runtime_api_start(env, env->local->log, err)))
        return -1;
    if (loop_serve(env->local->loop, env->httpd, err) < 0) {
        httpd_stop(MOVE(env->httpd));
        return -1;
    }
    return 0;
}

struct environment *environment_start(struct function *f, struct error *err)
{
    struct environment *env = mem_alloc(sizeof(*env));
    env->function = f;
    env->local = function_local(f);
    env->process.pidfd = -1;
    if (serve(env, err) < 0 ||
        function_process_start(env->local, config_of(env), httpd_address(env->httpd), &env->process,
                               err) < 0 ||
        loop_watch(env->local->loop, env->process.pidfd, on_end, env, err) < 0) {
        environment_free(env);
        return NULL;
    }
    set_state(env, ENV_STARTING);
    auto_free char *url = mem_printf("http://%s", httpd_address(env->httpd));
    log_info(env->local->log, log_event("listening"), log_str("service", "runtime-api"),
             log_str("url", url), log_str("function", config_of(env)->name),
             log_int("pid", env->process.pid));
    return env;
}

void environment_free(struct environment *env)
{
    loop_cancel(env->local->loop, env->timer);
    if (env->process.pid > 0) {
        char how[64];
        loop_unwatch(env->local->loop, env->process.pidfd);
        function_process_kill(&env->process);
        function_process_reap(&env->process, how, sizeof(how));
    }
    if (env->invocation)
        invocation_discard(env->invocation);
    if (env->httpd) {
        loop_unserve(env->local->loop, env->httpd);
        httpd_stop(env->httpd);
    }
    free(env);
}

void environment_kill(struct environment *env)
{
    function_process_kill(&env->process);
}

bool environment_is_coming(const struct environment *env)
{
    return env->state == ENV_STARTING || (env->state == ENV_BETWEEN && !env->late);
}

void environment_describe(const struct environment *env, struct buf *out)
{
    const char *state = env->state == ENV_STARTING ? "starting"
                        : env->state == ENV_BUSY   ? "busy"
                                                   : "idle";
    buf_printf(out, "{\"pid\":%d,\"state\":\"%s\",\"invocations\":%" PRId64 "}",
               (int)env->process.pid, state, env->invocations);
}

/* ---- work -------------------------------------------------------------------------------------
 */

static void hand_over(struct environment *env, struct invocation *i)
{
    char deadline[24];
    snprintf(deadline, sizeof(deadline), "%" PRId64, invocation_deadline_ms(i));
    struct httpd_header headers[] = {
        { "Lambda-Runtime-Aws-Request-Id", invocation_request_id(i) },
        { "Lambda-Runtime-Deadline-Ms", deadline },
        { "Lambda-Runtime-Invoked-Function-Arn", invocation_arn(i) },
        { NULL, NULL }, /* the optional ones */
        { NULL, NULL },
        { NULL, NULL },
    };
    size_t n = 3;
    if (invocation_trace(i))
        headers[n++] = (struct httpd_header){ "Lambda-Runtime-Trace-Id", invocation_trace(i) };
    if (invocation_tenant(i))
        headers[n++] =
            (struct httpd_header){ "Lambda-Runtime-Aws-Tenant-Id", invocation_tenant(i) };
    env->invocation = i;
    env->invocations++;
    set_state(env, ENV_BUSY);
    size_t len;
    const char *event = invocation_event(i, &len);
    httpd_reply(MOVE(env->next), 200, "application/json", event, len, headers);
}

bool environment_offer(struct environment *env)
{
    /* A process that died a moment ago must not be given work. */
    if (env->state != ENV_IDLE || httpd_peer_gone(env->next))
        return false;
    struct invocation *i = function_take(env->function);
    if (i)
        hand_over(env, i);
    return true;
}

void environment_next(struct environment *env, struct httpd_request *req)
{
    if (env->state == ENV_ENDING) {
        httpd_abort(req);
        return;
    }
    if (env->next) /* it lost the connection and asks again */
        httpd_abort(MOVE(env->next));
    if (env->invocation) {
        static const char body[] = "{\"errorType\":\"Runtime.NoResponse\",\"errorMessage\":"
                                   "\"The runtime asked for the next invocation without an answer "
                                   "to the last.\"}";
        finish(env, INVOCATION_ERROR, body, sizeof(body) - 1, "Runtime.NoResponse");
    }
    httpd_park(req);
    env->next = req;
    set_state(env, ENV_IDLE);
    environment_offer(env);
}

static bool has(const struct environment *env, const char *request_id)
{
    return env->invocation && env->state == ENV_BUSY &&
           strcmp(invocation_request_id(env->invocation), request_id) == 0;
}

int environment_respond(struct environment *env, const char *request_id, const char *body,
                        size_t len)
{
    if (!has(env, request_id))
        return -1;
    set_state(env, ENV_BETWEEN);
    finish(env, INVOCATION_RESPONSE, body, len, NULL);
    return 0;
}

int environment_fail(struct environment *env, const char *request_id, const char *body, size_t len,
                     const char *type)
{
    if (!has(env, request_id))
        return -1;
    set_state(env, ENV_BETWEEN);
    finish(env, INVOCATION_ERROR, body, len, type);
    return 0;
}

void environment_init_failed(struct environment *env, const char *body, size_t len,
                             const char *type)
{
    if (env->state != ENV_STARTING)
        return;
    set_state(env, ENV_ENDING);
    function_fail_first(env->function, body, len, type);
}
