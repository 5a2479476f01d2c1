#include "local/aws/function.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "local/aws/attach.h"
#include "local/aws/environment.h"
#include "shared/base/httpd.h"

#define MAX_EVENT   (32U << 20)
#define PATIENCE_MS 5
#define FAVOURED    16

struct invocation {
    struct function *function;
    struct invocation_handler handler; /* of zeros: cancelled */
    char request_id[RANDOM_UUID];
    char *arn;
    char *trace;
    char *tenant;
    char *execution_arn;
    struct buf event;
    char *log; /* the end of what was printed; NULL: not known */
    size_t log_len;
    int64_t queued_ms; /* monotonic clock */
    int64_t begun_ms;
    int64_t deadline_ms;            /* real time */
    struct invocation *prev, *next; /* in the queue */
    bool queued;
    bool goes_on; /* an execution that has begun */
};

struct queue {
    struct invocation *first, *last;
};

struct function {
    const struct local *local;
    const struct config_function *config;
    struct queue queues[2]; /* those that go on, those that begin */
    unsigned favoured;      /* taken in a row of those that go on */
    size_t waiting;
    struct environment **environments;
    size_t count;
    struct attach *attach;      /* NULL: it has processes of its own */
    struct loop_timer *patient; /* another environment may be started then */
    struct loop_timer *look;    /* soon */
};

struct function *function_new(const struct local *local, const struct config_function *config,
                              struct error *err)
{
    struct function *f = mem_alloc(sizeof(*f));
    f->local = local;
    f->config = config;
    f->environments = mem_array(config->max_concurrency, sizeof(struct environment *));
    if (!config->runtime_api || (f->attach = attach_new(f, err)))
        return f;
    function_free(f);
    return NULL;
}

const struct config_function *function_config(const struct function *f)
{
    return f->config;
}

const struct local *function_local(const struct function *f)
{
    return f->local;
}

size_t function_waiting(const struct function *f)
{
    return f->waiting;
}

/* ---- the queue --------------------------------------------------------------------------------
 */

void invocation_discard(struct invocation *i)
{
    buf_release(&i->event);
    free(i->arn);
    free(i->trace);
    free(i->tenant);
    free(i->execution_arn);
    free(i->log);
    free(i);
}

static void enqueue(struct invocation *i)
{
    struct queue *q = &i->function->queues[!i->goes_on];
    i->prev = q->last;
    if (q->last)
        q->last->next = i;
    else
        q->first = i;
    q->last = i;
    i->queued = true;
    i->queued_ms = clock_mono_ms(clock_system());
    i->function->waiting++;
}

static void unqueue(struct invocation *i)
{
    struct queue *q = &i->function->queues[!i->goes_on];
    if (i->prev)
        i->prev->next = i->next;
    else
        q->first = i->next;
    if (i->next)
        i->next->prev = i->prev;
    else
        q->last = i->prev;
    i->prev = i->next = NULL;
    i->queued = false;
    i->function->waiting--;
}

/* The next one: what has begun goes before what has not, but not for ever. */
static struct invocation *head(const struct function *f)
{
    struct invocation *on = f->queues[0].first, *begin = f->queues[1].first;
    /* What was freed has left its queue. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return on && (!begin || f->favoured < FAVOURED) ? on : begin;
}

/* Takes it from the queue: from now on it runs. */
static struct invocation *begin_first(struct function *f)
{
    struct invocation *i = head(f);
    if (!i)
        return NULL;
    unqueue(i);
    f->favoured = i->goes_on ? f->favoured + 1 : 0;
    i->begun_ms = clock_wall_ms(f->local->clock);
    i->deadline_ms = clock_wall_ms(clock_system()) + f->config->timeout_s * 1000;
    return i;
}

void function_free(struct function *f)
{
    if (!f)
        return;
    loop_cancel(f->local->loop, f->look);
    loop_cancel(f->local->loop, f->patient);
    for (struct invocation *i; (i = head(f));) {
        unqueue(i);
        invocation_discard(i);
    }
    while (f->count > 0)
        environment_free(f->environments[--f->count]);
    attach_free(f->attach);
    free(f->environments);
    free(f);
}

static void look_soon(void *arg)
{
    struct function *f = arg;
    f->look = NULL;
    function_look(f);
}

struct invocation *function_invoke(struct function *f, const struct invocation_context *context,
                                   const struct invocation_handler *handler)
{
    struct invocation *i = mem_alloc(sizeof(*i));
    i->function = f;
    i->handler = *handler;
    i->arn = mem_printf("arn:aws:lambda:%s:%s:function:%s:%s", f->local->config->region,
                        f->local->config->account_id, f->config->name, context->version);
    i->trace = mem_dup(context->trace);
    i->tenant = mem_dup(context->tenant);
    i->execution_arn = mem_dup(context->execution_arn);
    if (context->request_id)
        snprintf(i->request_id, sizeof(i->request_id), "%s", context->request_id);
    else
        random_uuid(i->request_id);
    buf_init(&i->event, MAX_EVENT);
    i->goes_on = context->goes_on;
    enqueue(i);
    /* Not at once: the caller must have the handle before `begin` or `done` is called. */
    if (!f->look)
        f->look = loop_after(f->local->loop, 0, look_soon, f);
    return i;
}

void function_cancel(struct invocation *i)
{
    i->handler = (struct invocation_handler){ 0 };
    if (!i->queued)
        return; /* its environment ends it */
    unqueue(i);
    invocation_discard(i);
}

struct invocation *function_take(struct function *f)
{
    struct invocation *i;
    while ((i = begin_first(f))) {
        if (i->handler.begin(i->handler.arg, i->request_id, i->begun_ms, &i->event))
            return i;
        invocation_discard(i);
    }
    return NULL;
}

void function_fail_first(struct function *f, const char *body, size_t len, const char *type)
{
    struct invocation *i = begin_first(f);
    if (i)
        invocation_end(i, INVOCATION_ERROR, body, len, type);
}

void function_crash_first(struct function *f, const char *how)
{
    struct invocation *i = begin_first(f);
    if (i)
        invocation_crash(i, how);
}

/* ---- environments -----------------------------------------------------------------------------
 */

static const char no_entry[] = "Runtime.InvalidEntrypoint";

void function_not_started(struct function *f, const struct error *why)
{
    auto_buf struct buf body = BUF_INIT(8192);
    log_error(f->local->log, log_event("environment_not_started"),
              log_str("function", f->config->name), log_err(why));
    buf_printf(&body, "{\"errorType\":\"%s\",\"errorMessage\":", no_entry);
    buf_add_json_str(&body, why->msg);
    buf_add_char(&body, '}');
    function_fail_first(f, buf_str(&body), body.len, no_entry);
}

/* What waits is left to the environments that there are; without any, each fails in its turn. */
static void fail_to_start(struct function *f, const struct error *why)
{
    if (f->count > 0) {
        log_warn(f->local->log, log_event("environment_not_started"),
                 log_str("function", f->config->name), log_err(why));
        return;
    }
    function_not_started(f, why);
    if (f->waiting > 0 && !f->look)
        f->look = loop_after(f->local->loop, 0, look_soon, f);
}

static void after_patience(void *arg)
{
    struct function *f = arg;
    f->patient = NULL;
    function_look(f);
}

/* Beyond a few environments another one is only started for an invocation that has waited a little:
 * those that are there may well be faster than a new process, and starting many at the same time
 * makes each slower. */
static bool may_start(struct function *f, size_t coming)
{
    size_t few = (size_t)get_nprocs() * 2;
    int64_t patience = PATIENCE_MS - (clock_mono_ms(clock_system()) - head(f)->queued_ms);
    if (coming >= few)
        return false; /* it is looked again when one has come up */
    if (f->count < few || patience <= 0)
        return true;
    if (!f->patient)
        f->patient = loop_after(f->local->loop, patience, after_patience, f);
    return false;
}

void function_look(struct function *f)
{
    size_t coming = 0;
    if (f->attach) {
        attach_offer(f->attach);
        return;
    }
    for (size_t i = 0; i < f->count && f->waiting > 0; i++)
        if (!environment_offer(f->environments[i]))
            coming += environment_is_coming(f->environments[i]);
    while (f->waiting > coming && f->count < f->config->max_concurrency && may_start(f, coming)) {
        struct error err;
        struct environment *env = environment_start(f, &err);
        if (!env) {
            fail_to_start(f, &err);
            return;
        }
        f->environments[f->count++] = env;
        coming++;
    }
}

void function_gone(struct function *f, struct environment *env)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->environments[i] == env) {
            f->environments[i] = f->environments[--f->count];
            break;
        }
    environment_free(env);
    function_look(f);
}

void function_kill(struct function *f)
{
    for (size_t i = 0; i < f->count; i++)
        environment_kill(f->environments[i]);
    if (f->attach)
        attach_cut(f->attach);
}

void function_describe(const struct function *f, struct buf *out)
{
    buf_add_str(out, "{\"name\":");
    buf_add_json_str(out, f->config->name);
    buf_printf(out, ",\"version\":\"%s\",\"aliases\":[", f->config->version);
    for (size_t i = 0; i < f->config->alias_count; i++)
        buf_printf(out, "%s\"%s\"", i ? "," : "", f->config->aliases[i].name);
    buf_printf(out, "],\"durable\":%s,\"timeoutSeconds\":%" PRId64 ",\"waiting\":%zu",
               f->config->durable ? "true" : "false", f->config->timeout_s, f->waiting);
    buf_add_str(out, ",\"environments\":[");
    for (size_t i = 0; i < f->count; i++) {
        if (i)
            buf_add_char(out, ',');
        environment_describe(f->environments[i], out);
    }
    if (f->attach)
        attach_describe(f->attach, out);
    buf_add_str(out, "]}");
}

/* ---- one invocation ---------------------------------------------------------------------------
 */

const char *invocation_request_id(const struct invocation *i)
{
    return i->request_id;
}

const char *invocation_execution_arn(const struct invocation *i)
{
    return i->execution_arn;
}

void invocation_send(const struct invocation *i, struct httpd_request *next)
{
    char deadline[24];
    snprintf(deadline, sizeof(deadline), "%" PRId64, i->deadline_ms);
    struct httpd_header headers[] = {
        { "Lambda-Runtime-Aws-Request-Id", i->request_id },
        { "Lambda-Runtime-Deadline-Ms", deadline },
        { "Lambda-Runtime-Invoked-Function-Arn", i->arn },
        { NULL, NULL }, /* two that may be absent */
        { NULL, NULL },
        { NULL, NULL },
    };
    size_t n = 3;
    if (i->trace)
        headers[n++] = (struct httpd_header){ "Lambda-Runtime-Trace-Id", i->trace };
    if (i->tenant)
        headers[n] = (struct httpd_header){ "Lambda-Runtime-Aws-Tenant-Id", i->tenant };
    httpd_reply(next, 200, "application/json", i->event.data, i->event.len, headers);
}

void invocation_logged(struct invocation *i, const char *log, size_t len)
{
    free(i->log);
    i->log = mem_dup_len(log, len);
    i->log_len = len;
}

void invocation_end(struct invocation *i, enum invocation_end end, const char *body, size_t len,
                    const char *error_type)
{
    const struct invocation_outcome outcome = { .end = end,
                                                .request_id = i->request_id,
                                                .begun_ms = i->begun_ms,
                                                .body = body,
                                                .len = len,
                                                .error_type = error_type,
                                                .log = i->log,
                                                .log_len = i->log_len };
    if (i->handler.done)
        i->handler.done(i->handler.arg, &outcome);
    invocation_discard(i);
}

void invocation_time_out(struct invocation *i)
{
    const struct function *f = i->function;
    auto_free char *body = mem_printf("{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":"
                                      "\"RequestId: %s Error: Task timed out "
                                      "after %" PRId64 ".00 seconds\"}",
                                      i->request_id, f->config->timeout_s);
    log_warn(f->local->log, log_event("function_timed_out"), log_str("function", f->config->name),
             log_str("requestId", i->request_id));
    invocation_end(i, INVOCATION_ERROR, body, strlen(body), "Sandbox.Timedout");
}

void invocation_crash(struct invocation *i, const char *how)
{
    auto_free char *body = mem_printf("{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":"
                                      "\"RequestId: %s Error: Runtime exited with error: %s\"}",
                                      i->request_id, how);
    invocation_end(i, INVOCATION_ERROR, body, strlen(body), "Runtime.ExitError");
}
