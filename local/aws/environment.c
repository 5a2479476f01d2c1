#include "local/aws/environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/function_log.h"
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
    struct function_log *log;
    struct runtime_api *api;
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

/* What is printed from now on is nobody's; the end of what `i` (NULL: none) has printed goes with
 * it.
 */
static void end_log(struct environment *env, struct invocation *i)
{
    size_t len = 0;
    const char *tail = function_log_tail(env->log, &len);
    if (i)
        invocation_logged(i, tail, len);
    function_log_of(env->log, NULL, NULL);
}

static void finish(struct environment *env, enum invocation_end end, const char *body, size_t len,
                   const char *type)
{
    struct invocation *i = MOVE(env->invocation);
    end_log(env, i);
    if (i)
        invocation_end(i, end, body, len, type);
}

/* ---- what lasts too long ----------------------------------------------------------------------
 */

static void time_out(struct environment *env)
{
    struct invocation *i = MOVE(env->invocation);
    function_process_kill(&env->process);
    end_log(env, i);
    set_state(env, ENV_ENDING);
    invocation_time_out(i);
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

static void not_executed(const struct environment *env, int why)
{
    struct error err;
    (void)!error_set_errno(&err, why, "cannot execute %s", config_of(env)->command[0]);
    function_not_started(env->function, &err);
}

static void on_end(void *arg)
{
    struct environment *env = arg;
    char how[64];
    loop_unwatch(env->local->loop, env->process.pidfd);
    int why = function_process_reap(&env->process, how, sizeof(how));
    log_info(env->local->log, log_event("environment_ended"),
             log_str("function", config_of(env)->name), log_int("pid", env->process.pid),
             log_str("how", how));
    env->process.pid = 0;
    end_log(env, env->invocation);
    if (env->invocation)
        invocation_crash(MOVE(env->invocation), how);
    else if (why)
        not_executed(env, why);
    else if (env->state == ENV_STARTING)
        function_crash_first(env->function, how);
    function_gone(env->function, env); /* frees it */
}

static void take_next(void *arg, struct httpd_request *req);
static int take_answer(void *arg, const struct runtime_answer *a);
static void take_init_error(void *arg, const char *body, size_t len, const char *type);

static int serve(struct environment *env, struct error *err)
{
    static const struct runtime_api_ops ops = { .next = take_next,
                                                .answer = take_answer,
                                                .init_failed = take_init_error };
    if (!(env->api = runtime_api_start("127.0.0.1:0", &ops, env, env->local->log, err)))
        return -1;
    if (loop_serve(env->local->loop, runtime_api_httpd(env->api), err) < 0) {
        runtime_api_stop(MOVE(env->api));
        return -1;
    }
    return 0;
}

static const char *address(const struct environment *env)
{
    return httpd_address(runtime_api_httpd(env->api));
}

struct environment *environment_start(struct function *f, struct error *err)
{
    struct environment *env = mem_alloc(sizeof(*env));
    env->function = f;
    env->local = function_local(f);
    env->process.pidfd = env->process.report = -1;
    auto_close int output = -1;
    if (!(env->log = function_log_open(env->local, config_of(env)->name, &output, err)) ||
        serve(env, err) < 0 ||
        function_process_start(env->local, config_of(env), address(env), output, &env->process,
                               err) < 0 ||
        loop_watch(env->local->loop, env->process.pidfd, on_end, env, err) < 0) {
        environment_free(env);
        return NULL;
    }
    set_state(env, ENV_STARTING);
    auto_free char *url = mem_printf("http://%s", address(env));
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
    if (env->api) {
        loop_unserve(env->local->loop, runtime_api_httpd(env->api));
        runtime_api_stop(env->api);
    }
    function_log_close(env->log);
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
    env->invocation = i;
    env->invocations++;
    set_state(env, ENV_BUSY);
    function_log_of(env->log, invocation_request_id(i), invocation_execution_arn(i));
    invocation_send(i, MOVE(env->next));
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

static void take_next(void *arg, struct httpd_request *req)
{
    struct environment *env = arg;
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
    function_look(env->function);
}

static int take_answer(void *arg, const struct runtime_answer *a)
{
    struct environment *env = arg;
    if (!env->invocation || env->state != ENV_BUSY ||
        strcmp(invocation_request_id(env->invocation), a->request_id) != 0)
        return -1;
    set_state(env, ENV_BETWEEN);
    finish(env, a->is_error ? INVOCATION_ERROR : INVOCATION_RESPONSE, a->body, a->len, a->type);
    return 0;
}

static void take_init_error(void *arg, const char *body, size_t len, const char *type)
{
    struct environment *env = arg;
    if (env->state != ENV_STARTING)
        return;
    set_state(env, ENV_ENDING);
    function_fail_first(env->function, body, len, type);
}
