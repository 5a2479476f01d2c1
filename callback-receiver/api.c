#include "callback-receiver/api.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "callback-receiver/auth.h"
#include "callback-receiver/report.h"
#include "callback-receiver/view.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/mem.h"

#define PREFIX       "/v1/callbacks/"
#define WAIT_MAX_S   30
#define SMALL_BODY   (4 << 10) /* comes with its headers: not worth a look before */
#define BEAT_PERIODS 64
#define JOB          (1U << TOKEN_SCOPE_JOB)
#define LAUNCHER     (1U << TOKEN_SCOPE_LAUNCHER)

struct api {
    struct api_config cfg;
    atomic_size_t asked; /* requests that the writer has */
    atomic_bool draining;
    atomic_uint turns[BEAT_PERIODS]; /* of registrations, by their period (callback_beat) */
};

/* A request on its way through the writer. */
struct ask {
    struct api *api;
    struct httpd_request *req;
    const struct route *route;
    struct store_op op;
    struct token_content token;
    struct report_registration registration;
    char outcome[CALLBACK_OUTCOME + 1];
    char traceparent[CALLBACK_TRACEPARENT + 1];
    int wait_s;
};

/* Reads the body into the operation; -1: refused with *err. */
typedef int prepare_fn(struct ask *ask, const struct report_body *body, struct error *err);
/* Answers from the operation's answer, after the commit. */
typedef void reply_fn(struct ask *ask);

struct route {
    const char *part; /* of the path, behind the id; "" for the callback itself */
    const char *method;
    enum store_action action;
    unsigned scopes;
    prepare_fn *prepare;
    reply_fn *reply;
};

/* ---- bodies -------------------------------------------------------------------------------- */

static int prepare_register(struct ask *ask, const struct report_body *body, struct error *err)
{
    if (report_registration(body, &ask->registration, err) < 0)
        return -1;
    struct callback_registration *r = &ask->op.registration;
    *r = ask->registration.r;
    if (r->engine_heartbeat_s > 0)
        r->turn = atomic_fetch_add(&ask->api->turns[r->engine_heartbeat_s % BEAT_PERIODS], 1);
    ask->op.payload.len = ask->registration.input_len;
    ask->op.payload.text = MOVE(ask->registration.input);
    return 0;
}

static void read_wait(void *arg, const char *name, const char *value)
{
    struct ask *ask = arg;
    if (strcasecmp(name, "Prefer") == 0 && ask->wait_s == 0)
        ask->wait_s = api_prefer_wait(value);
}

static int prepare_success(struct ask *ask, const struct report_body *body, struct error *err)
{
    httpd_each_header(ask->req, read_wait, ask);
    return report_success(body, &ask->op.report, &ask->op.payload.text, &ask->op.payload.len, err);
}

static int prepare_failure(struct ask *ask, const struct report_body *body, struct error *err)
{
    httpd_each_header(ask->req, read_wait, ask);
    return report_failure(body, &ask->op.report, &ask->op.payload.text, &ask->op.payload.len, err);
}

static int prepare_heartbeat(struct ask *ask, const struct report_body *body, struct error *err)
{
    return report_heartbeat(body, ask->op.now_ms, &ask->op.payload.text, &ask->op.payload.len, err);
}

static int prepare_close(struct ask *ask, const struct report_body *body, struct error *err)
{
    ask->op.text = ask->outcome;
    return report_outcome(body, ask->outcome, err);
}

static int prepare_input(struct ask *ask, const struct report_body *body, struct error *err)
{
    (void)body, (void)err;
    ask->op.want = 1U << STORE_INPUT;
    return 0;
}

static int prepare_status(struct ask *ask, const struct report_body *body, struct error *err)
{
    (void)body, (void)err;
    ask->op.want = 1U << STORE_PROGRESS;
    if (ask->token.scope == TOKEN_SCOPE_LAUNCHER)
        ask->op.want |= 1U << STORE_BODY;
    return 0;
}

/* ---- answers ------------------------------------------------------------------------------- */

static void reply_over(struct ask *ask)
{
    enum callback_state state = ask->op.record.state;
    if (state == CALLBACK_DEAD || state == CALLBACK_CLOSED)
        answer_reported(ask->req, ask->api->cfg.metrics, state, 0);
    else
        answer_problem(ask->req, ask->api->cfg.metrics, 410, state, NULL, NULL,
                       "The outcome of this job has been reported already: stop working.");
}

static void reply_register(struct ask *ask)
{
    struct metrics *m = ask->api->cfg.metrics;
    const struct callback *c = &ask->op.record;
    switch (ask->op.verdict) {
    case CALLBACK_CREATED:
        metrics_add(m, METRIC_REGISTRATIONS);
        log_info(ask->api->cfg.log, log_event("registered"), log_str("id", c->id),
                 log_str("workflow", c->workflow), log_str("job", c->job),
                 log_str("traceparent", c->traceparent[0] ? c->traceparent : NULL));
        answer_state(ask->req, m, 201, c->state, 0);
        break;
    case CALLBACK_SAME:
        answer_state(ask->req, m, 200, c->state, 0);
        break;
    case CALLBACK_OVER:
        reply_over(ask);
        break;
    default:
        answer_problem(ask->req, m, 409, c->state, NULL, NULL,
                       "The callback is registered with other content.");
        break;
    }
}

static void reply_report(struct ask *ask)
{
    struct api *a = ask->api;
    struct metrics *m = a->cfg.metrics;
    const struct callback *c = &ask->op.record;
    switch (ask->op.verdict) {
    case CALLBACK_TAKEN:
        metrics_add(m, METRIC_REPORTS_TAKEN);
        log_info(a->cfg.log, log_event("report_accepted"), log_str("id", c->id),
                 log_str("kind", c->report_kind == CALLBACK_SUCCESS ? "success" : "failure"),
                 log_str("by", c->report_by == CALLBACK_BY_JOB ? "job" : "launcher"),
                 log_int("bytes", (int64_t)ask->op.payload.len),
                 log_str("traceparent", c->traceparent[0] ? c->traceparent : NULL));
        delivery_kick(a->cfg.delivery);
        break;
    case CALLBACK_SAME:
        metrics_add(m, METRIC_REPORTS_SAME);
        break;
    case CALLBACK_OTHER:
        metrics_add(m, METRIC_REPORTS_OTHER);
        log_warn(a->cfg.log, log_event("report_conflict"), log_str("id", c->id));
        answer_problem(ask->req, m, 409, c->state, NULL, NULL,
                       "Another report came first, and it counts.");
        return;
    default:
        metrics_add(m, METRIC_REPORTS_OVER);
        reply_over(ask);
        return;
    }
    bool waits = ask->wait_s > 0 && c->state == CALLBACK_ACCEPTED && !atomic_load(&a->draining) &&
                 waiters_add(a->cfg.waiters, ask->req, c->id, ask->wait_s);
    if (!waits)
        answer_reported(ask->req, m, c->state, ask->wait_s);
}

static void reply_heartbeat(struct ask *ask)
{
    const struct callback *c = &ask->op.record;
    if (ask->op.verdict != CALLBACK_DONE) {
        reply_over(ask);
        return;
    }
    metrics_add(ask->api->cfg.metrics, METRIC_HEARTBEATS);
    answer_state(ask->req, ask->api->cfg.metrics, 200, c->state, 0);
}

static void reply_close(struct ask *ask)
{
    const struct callback *c = &ask->op.record;
    metrics_add(ask->api->cfg.metrics, METRIC_CLOSES);
    log_info(ask->api->cfg.log, log_event("closed"), log_str("id", c->id),
             log_str("outcome", c->outcome));
    answer_state(ask->req, ask->api->cfg.metrics, 200, c->state, 0);
    waiters_settle(ask->api->cfg.waiters, c->id, c->state);
}

static void reply_none(struct ask *ask)
{
    answer_problem(ask->req, ask->api->cfg.metrics, 404, CALLBACK_ABSENT, NULL, NULL,
                   "The callback is not registered.");
}

static void reply_input(struct ask *ask)
{
    const struct store_text *input = &ask->op.out[STORE_INPUT];
    if (ask->op.verdict == CALLBACK_DONE && ask->op.record.state == CALLBACK_CLOSED)
        reply_over(ask);
    else if (ask->op.verdict != CALLBACK_DONE || !input->text)
        reply_none(ask);
    else
        answer_body(ask->req, ask->api->cfg.metrics, 200, "application/json", input->text,
                    input->len);
}

static void reply_status(struct ask *ask)
{
    if (ask->op.verdict != CALLBACK_DONE) {
        reply_none(ask);
        return;
    }
    auto_json struct json_object *o =
        view_callback(&ask->op.record, &ask->op.out[STORE_PROGRESS], &ask->op.out[STORE_BODY]);
    size_t len;
    const char *text = json_text(o, &len);
    answer_body(ask->req, ask->api->cfg.metrics, 200, "application/json", text, len);
}

/* ---- routes -------------------------------------------------------------------------------- */

static const struct route routes[] = {
    { "", "PUT", STORE_REGISTER, LAUNCHER, prepare_register, reply_register },
    { "", "GET", STORE_READ, JOB | LAUNCHER, prepare_status, reply_status },
    { "", "DELETE", STORE_CLOSE, LAUNCHER, prepare_close, reply_close },
    { "success", "POST", STORE_REPORT, JOB | LAUNCHER, prepare_success, reply_report },
    { "failure", "POST", STORE_REPORT, JOB | LAUNCHER, prepare_failure, reply_report },
    { "heartbeat", "POST", STORE_HEARTBEAT, JOB, prepare_heartbeat, reply_heartbeat },
    { "input", "GET", STORE_READ, JOB, prepare_input, reply_input },
};

static struct ask *ask_new(struct api *a, struct httpd_request *req, const struct route *route)
{
    struct ask *ask = mem_resize(NULL, 1, sizeof(*ask)); /* not zeroed: most of it is room */
    ask->api = a;
    ask->req = req;
    ask->route = route;
    store_op_init(&ask->op);
    ask->token.callback_id[0] = '\0';
    ask->registration.input = NULL;
    ask->outcome[0] = ask->traceparent[0] = '\0';
    ask->wait_s = 0;
    ask->op.action = route->action;
    ask->op.now_ms = clock_wall_ms(clock_system());
    atomic_fetch_add(&a->asked, 1);
    return ask;
}

/* After the answer. */
static void ask_free(struct ask *ask)
{
    struct api *a = ask->api;
    store_op_release(&ask->op);
    free(ask->registration.input);
    mem_wipe(ask->token.callback_id, strlen(ask->token.callback_id));
    free(ask);
    atomic_fetch_sub(&a->asked, 1);
}

static void finished(struct store_op *op, const struct error *err, void *arg)
{
    (void)op;
    struct ask *ask = arg;
    struct api *a = ask->api;
    if (err)
        answer_unavailable(ask->req, a->cfg.metrics, "The store is away; nothing was changed.");
    else
        ask->route->reply(ask);
    ask_free(ask);
}

static void refuse(struct ask *ask, const struct error *err)
{
    int status = err->code == ERR_TOO_LARGE             ? 413
                 : strcmp(err->type, REPORT_MEDIA) == 0 ? 415
                                                        : 400;
    answer_problem(ask->req, ask->api->cfg.metrics, status, CALLBACK_ABSENT, NULL, NULL, "%s",
                   err->msg);
}

static void refuse_busy(struct api *a, struct httpd_request *req)
{
    metrics_add(a->cfg.metrics, METRIC_BUSY);
    answer_problem(req, a->cfg.metrics, 429, CALLBACK_ABSENT, "Retry-After", ANSWER_RETRY_AFTER,
                   "Too much waits to be stored; nothing was changed.");
}

/* The token fits, the route is known: read the body, and on to the writer. */
static void submit(struct ask *ask)
{
    struct api *a = ask->api;
    struct error err = { 0 };
    struct report_body body = { .type = httpd_header(ask->req, "Content-Type") };
    const char *trace = httpd_header(ask->req, "traceparent");
    body.text = httpd_body(ask->req, &body.len);
    if (trace && report_traceparent(trace)) {
        memcpy(ask->traceparent, trace, sizeof(ask->traceparent));
        ask->op.who.traceparent = ask->traceparent;
    }
    ask->op.who.callback_id = ask->token.callback_id;
    ask->op.who.expires_s = ask->token.expires_s;
    ask->op.who.by = ask->token.scope == TOKEN_SCOPE_JOB ? CALLBACK_BY_JOB : CALLBACK_BY_LAUNCHER;
    if (ask->route->prepare(ask, &body, &err) < 0) {
        refuse(ask, &err);
        ask_free(ask);
        return;
    }
    if (!writer_has_room(a->cfg.writer)) {
        refuse_busy(a, ask->req);
        ask_free(ask);
        return;
    }
    httpd_park(ask->req);
    writer_submit(a->cfg.writer, &ask->op, finished, ask);
}

static void deny(struct api *a, struct httpd_request *req, const char *id, enum auth verdict)
{
    bool unknown = verdict == AUTH_MISSING || verdict == AUTH_EXPIRED;
    const char *challenge =
        unknown ? "Bearer error=\"invalid_token\"" : "Bearer error=\"insufficient_scope\"";
    metrics_add(a->cfg.metrics, METRIC_DENIED);
    log_warn(a->cfg.log, log_event("denied"),
             log_str("id", strlen(id) == TOKEN_PUBLIC_ID - 1 ? id : NULL),
             log_str("why", auth_text(verdict)));
    answer_problem(req, a->cfg.metrics, unknown ? 401 : 403, CALLBACK_ABSENT, "WWW-Authenticate",
                   challenge, "%s", auth_text(verdict));
}

/* The route of `part` and `method`, or NULL with `allow` listing what there is ("": no such path).
 */
static const struct route *find_route(const char *part, const char *method, struct buf *allow)
{
    const struct route *found = NULL;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (strcmp(routes[i].part, part) != 0)
            continue;
        buf_printf(allow, "%s%s%s", allow->len ? ", " : "", routes[i].method,
                   strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
        if (strcmp(routes[i].method, method) == 0)
            found = &routes[i];
    }
    return found;
}

/* Finds what is asked for: the route and the callback's id (new memory). NULL: answered. */
static const struct route *resolve(struct api *a, struct httpd_request *req, char **id)
{
    const char *path = httpd_path(req);
    auto_buf struct buf allow = BUF_INIT(128);
    struct metrics *m = a->cfg.metrics;
    const struct route *route = NULL;
    if (strncmp(path, PREFIX, strlen(PREFIX)) == 0) {
        path += strlen(PREFIX);
        size_t id_len = strcspn(path, "/");
        const char *part = path[id_len] ? path + id_len + 1 : "";
        bool bare = path[id_len] && !*part; /* "{id}/" is no path of ours */
        route = id_len && !bare ? find_route(part, httpd_method(req), &allow) : NULL;
        if (route)
            *id = mem_dup_len(path, id_len);
    }
    if (allow.len == 0)
        answer_problem(req, m, 404, CALLBACK_ABSENT, NULL, NULL, "No such path.");
    else if (!route)
        answer_problem(req, m, 405, CALLBACK_ABSENT, "Allow", buf_str(&allow),
                       "The method must be one of: %s", buf_str(&allow));
    return route;
}

static void handle_callback(struct api *a, struct httpd_request *req)
{
    auto_free char *id = NULL;
    const struct route *route = resolve(a, req, &id);
    if (!route)
        return;
    struct ask *ask = ask_new(a, req, route); /* counted before it looks: see api_drain */
    if (atomic_load(&a->draining)) {
        answer_unavailable(req, a->cfg.metrics, "The receiver is stopping.");
        ask_free(ask);
        return;
    }
    enum auth verdict = keys_check(a->cfg.keys, httpd_header(req, "Authorization"), id,
                                   route->scopes, ask->op.now_ms / 1000, &ask->token);
    if (verdict != AUTH_OK) {
        deny(a, req, id, verdict);
        ask_free(ask);
        return;
    }
    memcpy(ask->op.id, id, sizeof(ask->op.id));
    submit(ask);
}

void api_headers(struct httpd_request *req, void *arg)
{
    struct api *a = arg;
    auto_free char *id = NULL;
    struct token_content token;
    if (httpd_body_announced(req) <= SMALL_BODY)
        return;
    const struct route *route = resolve(a, req, &id);
    if (!route)
        return;
    enum auth verdict = keys_check(a->cfg.keys, httpd_header(req, "Authorization"), id,
                                   route->scopes, clock_wall_ms(clock_system()) / 1000, &token);
    token_content_wipe(&token);
    if (verdict != AUTH_OK)
        deny(a, req, id, verdict);
    else if (atomic_load(&a->draining))
        answer_unavailable(req, a->cfg.metrics, "The receiver is stopping.");
    else if (!writer_has_room(a->cfg.writer))
        refuse_busy(a, req);
}

void api_too_large(struct httpd_request *req, void *arg)
{
    struct api *a = arg;
    answer_problem(req, a->cfg.metrics, 413, CALLBACK_ABSENT, NULL, NULL,
                   "The body may have at most %u bytes.", REPORT_BODY_MAX);
}

void api_overloaded(struct httpd_request *req, void *arg)
{
    struct api *a = arg;
    metrics_add(a->cfg.metrics, METRIC_BUSY);
    answer_unavailable(req, a->cfg.metrics, "Too much is being received; nothing was changed.");
}

void api_handle(struct httpd_request *req, void *arg)
{
    struct api *a = arg;
    const char *method = httpd_method(req);
    if (strcmp(httpd_path(req), "/healthz") != 0)
        handle_callback(a, req);
    else if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        answer_body(req, a->cfg.metrics, 200, "application/json", "{\"status\":\"ok\"}", 15);
    else
        answer_problem(req, a->cfg.metrics, 405, CALLBACK_ABSENT, "Allow", "GET, HEAD",
                       "The method must be GET or HEAD.");
}

int api_prefer_wait(const char *prefer)
{
    for (const char *p = prefer; *p;) {
        p += strspn(p, " \t,");
        size_t len = strcspn(p, ",");
        if (strncasecmp(p, "wait", 4) == 0) {
            const char *v = p + 4 + strspn(p + 4, " \t");
            v += *v == '=' ? 1 + strspn(v + 1, " \t\"") : 0;
            size_t digits = strspn(v, "0123456789");
            if (digits > 0 && v > p + 4)
                return digits > 2 || strtol(v, NULL, 10) > WAIT_MAX_S ? WAIT_MAX_S
                                                                      : (int)strtol(v, NULL, 10);
        }
        p += len;
    }
    return 0;
}

struct api *api_new(const struct api_config *cfg)
{
    struct api *a = mem_alloc(sizeof(*a));
    a->cfg = *cfg;
    /* Not all receivers that share a store begin with the same slot. */
    for (size_t i = 0; i < BEAT_PERIODS; i++)
        atomic_store(&a->turns[i], (unsigned)clock_mono_us() % 3600);
    return a;
}

void api_free(struct api *a)
{
    free(a);
}

void api_drain(struct api *a)
{
    atomic_store(&a->draining, true);
    while (atomic_load(&a->asked) > 0)
        clock_sleep_ms(clock_system(), 2);
}
