#include "local/aws/lambda.h"

#include <stdlib.h>
#include <string.h>

#include "local/aws/async.h"
#include "local/aws/aws_api.h"
#include "local/aws/chained.h"
#include "local/aws/invoke.h"
#include "local/aws/lambda_routes.h"
#include "local/aws/lambda_state.h"
#include "local/aws/lane.h"
#include "local/aws/start.h"
#include "local/service_time.h"

#define PURGE_MS      3600000
#define PURGE_MORE_MS 10 /* between two small batches others get their turn */

/* ---- plain invocations -------------------------------------------------------------------------
 */

struct plain_call {
    char *payload;
    size_t len;
    lambda_done_fn *done;
    void *arg;
    struct lambda *lambda;
    struct plain_call *prev, *next; /* among those that are not done */
};

static void plain_free(struct plain_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->lambda->plain = c->next;
    if (c->next)
        c->next->prev = c->prev;
    free(c->payload);
    free(c);
}

static bool plain_begin(void *arg, const char *request_id, int64_t now_ms, struct buf *event)
{
    (void)request_id, (void)now_ms;
    const struct plain_call *c = arg;
    buf_add(event, c->payload, c->len);
    return true;
}

static void plain_done(void *arg, const struct invocation_outcome *o)
{
    struct plain_call *c = arg;
    bool failed = o->end == INVOCATION_ERROR;
    auto_free char *made = NULL;
    struct lambda_outcome outcome = {
        .failed = failed, .payload = o->body, .len = o->len, .log = o->log, .log_len = o->log_len
    };
    if (o->len == 0) {
        outcome.payload = made =
            failed ? mem_printf("{\"errorType\":\"%s\"}", "Runtime.Unknown") : mem_dup("null");
        outcome.len = strlen(made);
    }
    c->done(c->arg, &outcome);
    plain_free(c);
}

int lambda_call(struct lambda *l, const struct lambda_request *req, lambda_done_fn *done, void *arg,
                struct error *err)
{
    struct function *f = map_get(&l->by_name, req->function);
    if (!f)
        return error_set(err, ERR_NOT_FOUND, 0, "there is no function %s", req->function);
    if (function_config(f)->durable)
        return error_set(err, ERR_INVALID, 0, "%s is a durable function", req->function);
    if (start_is_full(f))
        return error_set(err, ERR_THROTTLED, 0, "too much waits for the function %s",
                         req->function);
    struct plain_call *c = mem_alloc(sizeof(*c));
    c->payload = mem_dup_len(req->payload, req->len);
    c->len = req->len;
    c->done = done;
    c->arg = arg;
    c->lambda = l;
    c->next = l->plain;
    if (c->next)
        c->next->prev = c;
    l->plain = c;
    const struct invocation_handler handler = { .begin = plain_begin,
                                                .done = plain_done,
                                                .arg = c };
    auto_free char *own = req->trace ? NULL : start_new_trace(lambda_now_ms(l));
    const struct invocation_context context = { .version = req->version ? req->version : "$LATEST",
                                                .request_id = req->request_id,
                                                .trace = own ? own : req->trace,
                                                .tenant = req->tenant };
    function_invoke(f, &context, &handler);
    return 0;
}

void lambda_kill_function(struct lambda *l, const char *name)
{
    struct function *f = map_get(&l->by_name, name);
    if (f)
        function_kill(f);
}

/* ---- the service
 * --------------------------------------------------------------------------------- */

static bool on_route(struct aws_request *r, void *arg)
{
    (void)arg;
    const struct lambda_route *route =
        lambda_route_find(httpd_method(r->http), r->segments, r->segment_count);
    if (route)
        r->operation = route->operation;
    return route != NULL;
}

static void on_run(struct aws_request *r, void *arg)
{
    lambda_route_named(r->operation)->run(arg, r);
}

void lambda_describe(const struct lambda *l, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < l->function_count; i++) {
        if (i)
            buf_add_char(out, ',');
        function_describe(l->functions[i], out);
    }
    buf_add_char(out, ']');
}

static void on_functions(struct httpd_request *http, void *arg)
{
    auto_buf struct buf b = BUF_INIT(4U << 20);
    buf_add_str(&b, "{\"functions\":");
    lambda_describe(arg, &b);
    buf_add_char(&b, '}');
    httpd_reply_json(http, 200, buf_str(&b), NULL);
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct loaded {
    struct execution **items;
    size_t count;
};

static void collect(struct execution *e, void *arg)
{
    struct loaded *list = arg;
    list->items = mem_resize(list->items, list->count + 1, sizeof(struct execution *));
    list->items[list->count++] = e;
}

static void load(struct lambda *l)
{
    struct loaded list = { 0 };
    execution_store_each_running(l->store, collect, &list);
    store_begin(l->local->store);
    for (size_t i = 0; i < list.count; i++) {
        struct execution *e = list.items[i];
        e->function = map_get(&l->by_name, e->function_name);
        if (e->function && function_config(e->function)->durable) {
            lane_resume(l, e);
            continue;
        }
        log_warn(l->local->log, log_event("execution_without_function"),
                 log_str("function", e->function_name), log_str("execution", e->id));
        execution_free(e);
    }
    chained_resume(l);
    async_resume(l->async);
    store_commit(l->local->store);
    if (list.count > 0)
        log_info(l->local->log, log_event("executions_resumed"),
                 log_int("count", (int64_t)list.count));
    free(list.items);
}

/* How often it is looked for executions whose time is over: soon after the shortest. */
static int64_t purge_period_ms(const struct lambda *l)
{
    int64_t period = PURGE_MS;
    for (size_t i = 0; i < l->function_count; i++) {
        const struct config_function *f = function_config(l->functions[i]);
        if (f->durable && f->retention_s * 250 < period)
            period = f->retention_s * 250;
    }
    return service_time_real_ms(l->local->time, period);
}

static void on_purge(void *arg)
{
    struct lambda *l = arg;
    bool more = execution_store_purge(l->store, lambda_now_ms(l));
    l->purge = loop_after(l->local->loop, more ? PURGE_MORE_MS : purge_period_ms(l), on_purge, l);
}

static void forget(void *value, void *arg)
{
    struct execution *e = value;
    const struct lambda *l = arg;
    loop_cancel(l->local->loop, e->timer);
    execution_free(e);
}

static void release(struct lambda *l)
{
    for (size_t i = 0; i < l->function_count; i++)
        function_free(l->functions[i]);
    chained_free(l);
    async_free(l->async);
    map_each(&l->running, forget, l);
    loop_cancel(l->local->loop, l->settle);
    loop_cancel(l->local->loop, l->purge);
    map_release(&l->running);
    map_release(&l->by_name);
    execution_store_free(l->store);
    free(l->closed);
    free(l->functions);
    free(l);
}

static void set_timer(void *value, void *arg)
{
    lane_set_timer(arg, value);
}

void lambda_time_changed(struct lambda *l)
{
    map_each(&l->running, set_timer, l);
    async_time_changed(l->async);
    loop_cancel(l->local->loop, l->purge);
    l->purge = loop_after(l->local->loop, 0, on_purge, l);
}

struct lambda *lambda_new(const struct local *local, struct error *err)
{
    struct lambda *l = mem_alloc(sizeof(*l));
    l->local = local;
    l->store = execution_store_new(local->store, err);
    if (!l->store) {
        free(l);
        return NULL;
    }
    if (!(l->async = async_new(l, err))) {
        release(l);
        return NULL;
    }
    size_t count = local->config->function_count;
    l->functions = mem_array(count, sizeof(struct function *));
    for (size_t i = 0; i < count; i++) {
        const struct config_function *config = &local->config->functions[i];
        struct function *f = function_new(local, config, err);
        if (!f) {
            release(l);
            return NULL;
        }
        l->functions[l->function_count++] = f;
        map_put(&l->by_name, config->name, f);
    }
    load(l);
    l->purge = loop_after(local->loop, purge_period_ms(l), on_purge, l);
    const struct aws_service service = {
        .name = "lambda", .route = on_route, .run = on_run, .arg = l
    };
    aws_api_add_service(local->api, &service, NULL);
    aws_api_add_local(local->api, "GET", "/_local/functions", on_functions, l);
    return l;
}

static void drop_waiters(void *value, void *arg)
{
    (void)arg;
    invoke_drop_waiters(value);
}

/* Whoever waits for an answer gets one. */
static void end_calls(struct lambda *l)
{
    static const char body[] = "{\"errorType\":\"Runtime.Stopped\",\"errorMessage\":"
                               "\"local-aws is stopping.\"}";
    const struct lambda_outcome outcome = { .failed = true,
                                            .payload = body,
                                            .len = sizeof(body) - 1 };
    map_each(&l->running, drop_waiters, NULL);
    while (l->plain) {
        /* plain_free() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        l->plain->done(l->plain->arg, &outcome);
        plain_free(l->plain);
    }
}

void lambda_free(struct lambda *l)
{
    if (!l)
        return;
    end_calls(l);
    release(l);
}
