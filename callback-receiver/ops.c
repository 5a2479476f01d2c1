#include "callback-receiver/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "callback-receiver/auth.h"
#include "callback-receiver/view.h"
#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/opts.h"

#define LIST_DEFAULT 100
#define LIST_MAX     1000
#define CURSOR_MAX   64

struct ops {
    struct ops_config cfg;
    struct metrics uncounted; /* the API's counters are for the API */
    atomic_bool ready;
    atomic_bool draining;
    atomic_size_t asked;
};

struct question {
    struct ops *ops;
    struct httpd_request *req;
    const struct entry *entry;
    struct store_op op;
    struct store_op *again; /* a page that is delivered again: one a callback */
    atomic_size_t waiting;  /* of those */
    atomic_size_t redelivered;
    atomic_bool failed;
};

/* False: not answered yet. */
typedef bool answer_fn(struct question *q);

struct entry {
    const char *path; /* ends in '/': an id follows */
    const char *method;
    bool open; /* to everybody */
    enum store_action action;
    unsigned states;
    answer_fn *answer;
    bool always; /* also where the store is away: op is as it was asked then */
};

/* ---- answers ------------------------------------------------------------------------------- */

static bool ready(struct question *q)
{
    answer_body(q->req, &q->ops->uncounted, 200, "application/json", "{\"status\":\"ready\"}", 18);
    return true;
}

static void gauge(struct buf *b, const char *name, const char *help, uint64_t value)
{
    buf_printf(b,
               "# HELP callback_receiver_%s %s\n# TYPE callback_receiver_%s gauge\n"
               "callback_receiver_%s %llu\n",
               name, help, name, name, (unsigned long long)value);
}

/* What only the store knows. */
static void print_stored(const struct store_op *op, struct buf *b)
{
    buf_add_str(b, "# HELP callback_receiver_callbacks Callbacks in the store.\n"
                   "# TYPE callback_receiver_callbacks gauge\n");
    for (size_t i = 1; i < CALLBACK_STATES; i++)
        buf_printf(b, "callback_receiver_callbacks{state=\"%s\"} %lld\n",
                   callback_state_name((enum callback_state)i), (long long)op->counts[i]);
    int64_t oldest = op->oldest_ms ? op->now_ms - op->oldest_ms : 0;
    buf_printf(b,
               "# HELP callback_receiver_oldest_seconds Since when the oldest report waits for its "
               "delivery.\n# TYPE callback_receiver_oldest_seconds gauge\n"
               "callback_receiver_oldest_seconds %.3f\n",
               (double)(oldest > 0 ? oldest : 0) / 1000);
}

static bool metrics(struct question *q)
{
    auto_buf struct buf b = BUF_INIT(1 << 18);
    size_t queued;
    uint64_t commits, ops;
    writer_counts(q->ops->cfg.writer, &queued, &commits, &ops);
    metrics_print(q->ops->cfg.metrics, &b);
    gauge(&b, "store_up", "The store answers.", !q->failed);
    gauge(&b, "ready", "It takes reports, as far as it knows.", atomic_load(&q->ops->ready));
    if (!q->failed)
        print_stored(&q->op, &b);
    buf_printf(&b,
               "# HELP callback_receiver_delivery_rate_limit Calls a second that a throttling "
               "Lambda leaves; 0: no limit.\n# TYPE callback_receiver_delivery_rate_limit gauge\n"
               "callback_receiver_delivery_rate_limit %g\n",
               delivery_rate(q->ops->cfg.delivery));
    gauge(&b, "store_queue", "Operations that wait for the store.", queued);
    buf_printf(&b,
               "# HELP callback_receiver_store_commits_total Transactions.\n"
               "# TYPE callback_receiver_store_commits_total counter\n"
               "callback_receiver_store_commits_total %llu\n"
               "# HELP callback_receiver_store_operations_total Operations in them.\n"
               "# TYPE callback_receiver_store_operations_total counter\n"
               "callback_receiver_store_operations_total %llu\n",
               (unsigned long long)commits, (unsigned long long)ops);
    answer_body(q->req, &q->ops->uncounted, 200, "text/plain; version=0.0.4", buf_str(&b), b.len);
    return true;
}

/* "5-1732600000000-ID": opaque to others. */
static void add_next(struct json_object *o, const struct store_cursor *at)
{
    char text[CURSOR_MAX];
    if (at->state == 0)
        return;
    snprintf(text, sizeof(text), "%u-%lld-%s", at->state, (long long)at->created_ms, at->id);
    json_add_str(o, "next", text);
}

static void answer_json(struct question *q, int status, struct json_object *o)
{
    size_t len;
    const char *text = json_text(o, &len);
    answer_body(q->req, &q->ops->uncounted, status, "application/json", text, len);
}

static bool list(struct question *q)
{
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *callbacks = json_object_new_array();
    json_add(o, "callbacks", callbacks);
    for (size_t i = 0; i < q->op.count; i++)
        json_push(callbacks, view_callback(&q->op.items[i].record, NULL, NULL));
    add_next(o, &q->op.last);
    answer_json(q, 200, o);
    return true;
}

static void question_free(struct question *q)
{
    struct ops *o = q->ops;
    store_op_release(&q->op);
    free(q->again);
    free(q);
    atomic_fetch_sub(&o->asked, 1);
}

static void answer_page(struct question *q)
{
    auto_json struct json_object *o = json_object_new_object();
    json_add_int(o, "redelivered", (int64_t)q->redelivered);
    add_next(o, &q->op.last);
    log_info(q->ops->cfg.log, log_event("redeliver"), log_int("count", (int64_t)q->redelivered));
    delivery_kick(q->ops->cfg.delivery);
    if (q->failed)
        answer_unavailable(q->req, &q->ops->uncounted, "The store is away; ask again.");
    else
        answer_json(q, 200, o);
}

static void one_redelivered(struct store_op *op, const struct error *err, void *arg)
{
    struct question *q = arg;
    if (err)
        atomic_store(&q->failed, true);
    else if (op->verdict == CALLBACK_DONE)
        atomic_fetch_add(&q->redelivered, 1);
    store_op_release(op);
    if (atomic_fetch_sub(&q->waiting, 1) > 1)
        return;
    answer_page(q);
    question_free(q);
}

static bool redeliver_page(struct question *q)
{
    if (q->op.count == 0) {
        answer_page(q);
        return true;
    }
    q->waiting = q->op.count;
    q->again = mem_array(q->op.count, sizeof(*q->again));
    for (size_t i = 0; i < q->op.count; i++) {
        q->again[i].action = STORE_REDELIVER;
        q->again[i].now_ms = q->op.now_ms;
        memcpy(q->again[i].id, q->op.items[i].record.id, sizeof(q->again[i].id));
    }
    size_t count = q->op.count; /* q may be gone behind the last one */
    struct writer *w = q->ops->cfg.writer;
    struct store_op *again = q->again;
    for (size_t i = 0; i < count; i++)
        writer_submit(w, &again[i], one_redelivered, q);
    return false;
}

static bool redelivered(struct question *q)
{
    struct metrics *m = &q->ops->uncounted;
    enum callback_state state = q->op.record.state;
    switch (q->op.verdict) {
    case CALLBACK_DONE:
        log_info(q->ops->cfg.log, log_event("redeliver"), log_str("id", q->op.id));
        delivery_kick(q->ops->cfg.delivery);
        answer_state(q->req, m, 202, state, 0);
        break;
    case CALLBACK_NONE:
        answer_problem(q->req, m, 404, CALLBACK_ABSENT, NULL, NULL, "No such callback.");
        break;
    case CALLBACK_OVER:
        answer_problem(q->req, m, 410, state, NULL, NULL, "The workflow does not wait any more.");
        break;
    default:
        answer_problem(q->req, m, 409, state, NULL, NULL,
                       "Only what is dead or unconfirmed can be delivered again.");
        break;
    }
    return true;
}

/* ---- requests ------------------------------------------------------------------------------ */

#define PENDING (1U << CALLBACK_ACCEPTED | 1U << CALLBACK_PENDING)
#define DEAD    (1U << CALLBACK_DEAD | 1U << CALLBACK_UNCONFIRMED)

static const struct entry entries[] = {
    { "/healthz", "GET", true, STORE_COUNT, 0, NULL, false }, /* asks nothing */
    { "/readyz", "GET", true, STORE_PROBE, 0, ready, false },
    { "/metrics", "GET", false, STORE_COUNT, 0, metrics, true },
    { "/pending", "GET", false, STORE_LIST, PENDING, list, false },
    { "/dead", "GET", false, STORE_LIST, DEAD, list, false },
    { "/redeliver/", "POST", false, STORE_REDELIVER, 0, redelivered, false },
    { "/redeliver", "POST", false, STORE_LIST, 1U << CALLBACK_DEAD, redeliver_page, false },
};

static void finished(struct store_op *op, const struct error *err, void *arg)
{
    (void)op;
    struct question *q = arg;
    q->failed = err != NULL;
    bool answered = true;
    if (err && !q->entry->always)
        answer_unavailable(q->req, &q->ops->uncounted, "The store is away.");
    else
        answered = q->entry->answer(q);
    if (answered)
        question_free(q);
}

bool ops_loopback(const char *host)
{
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (len == 5 && strncmp(host, "[::1]", 5) == 0)
        return true;
    if (len == 9 && strncasecmp(host, "localhost", 9) == 0)
        return true;
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

/* 0, or the status that refuses. */
static int check(const struct ops *o, const struct httpd_request *req)
{
    char peer[64];
    const char *offered = auth_bearer(httpd_header(req, "Authorization"));
    const char *host = httpd_header(req, "Host");
    if (offered && o->cfg.token) {
        size_t len = strlen(o->cfg.token);
        return strlen(offered) == len && digest_equal(offered, o->cfg.token, len) ? 0 : 401;
    }
    httpd_peer(req, peer);
    bool local = strncmp(peer, "127.", 4) == 0 || strncmp(peer, "::1:", 4) == 0;
    if (local && host && ops_loopback(host) && !httpd_header(req, "Origin"))
        return 0;
    return o->cfg.token ? 401 : 403;
}

static const struct entry *find_entry(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        size_t len = strlen(entries[i].path);
        bool prefix = entries[i].path[len - 1] == '/';
        if (prefix ? strncmp(path, entries[i].path, len) == 0 &&
                         strlen(path + len) == TOKEN_PUBLIC_ID - 1
                   : strcmp(path, entries[i].path) == 0)
            return &entries[i];
    }
    return NULL;
}

static bool read_limit(const struct httpd_request *req, size_t *limit)
{
    auto_free char *text = httpd_query_get(req, "limit");
    int64_t n = LIST_DEFAULT;
    if (text && opts_int(text, 1, LIST_MAX, &n) < 0)
        return false;
    *limit = (size_t)n;
    return true;
}

static bool read_cursor(const struct httpd_request *req, struct store_cursor *after)
{
    auto_free char *text = httpd_query_get(req, "after");
    char *end = text;
    if (!text)
        return true;
    size_t len = strlen(text);
    int64_t state = -1, ms = -1;
    char *one = strsep(&end, "-"), *two = strsep(&end, "-");
    if (len >= CURSOR_MAX || !two || !end || strlen(end) != TOKEN_PUBLIC_ID - 1 ||
        opts_int(one, 1, CALLBACK_STATES - 1, &state) < 0 || opts_int(two, 0, INT64_MAX, &ms) < 0)
        return false;
    after->state = (unsigned)state;
    after->created_ms = ms;
    memcpy(after->id, end, sizeof(after->id));
    return true;
}

/* ?state=WORD narrows a list. */
static bool read_states(const struct httpd_request *req, const struct entry *e, unsigned *states)
{
    auto_free char *word = httpd_query_get(req, "state");
    unsigned allowed = e->answer == redeliver_page ? DEAD : e->states;
    *states = e->states;
    for (unsigned s = 1; word && s < CALLBACK_STATES; s++)
        if (strcmp(word, callback_state_name((enum callback_state)s)) == 0) {
            *states = 1U << s & allowed;
            return *states != 0;
        }
    return !word;
}

/* What a request asks for besides its path; false: it is answered with 400. */
static bool read_query(struct ops *o, struct httpd_request *req, const struct entry *e,
                       struct store_op *op)
{
    const char *wrong = NULL;
    if (!read_limit(req, &op->limit))
        wrong = "limit must be from 1 to 1000.";
    else if (!read_cursor(req, &op->after))
        wrong = "after must be the `next` of the page before.";
    else if (!read_states(req, e, &op->states))
        wrong = "state is none that is listed here.";
    if (wrong)
        answer_problem(req, &o->uncounted, 400, CALLBACK_ABSENT, NULL, NULL, "%s", wrong);
    return wrong == NULL;
}

static void ask(struct ops *o, struct httpd_request *req, const struct entry *e)
{
    struct store_op op = { .action = e->action };
    if (!read_query(o, req, e, &op)) {
        atomic_fetch_sub(&o->asked, 1);
        return;
    }
    struct question *q = mem_alloc(sizeof(*q));
    q->op = op;
    q->ops = o;
    q->req = req;
    q->entry = e;
    q->op.now_ms = clock_wall_ms(clock_system());
    if (e->action == STORE_REDELIVER)
        memcpy(q->op.id, httpd_path(req) + strlen(e->path), sizeof(q->op.id));
    httpd_park(req);
    writer_submit(o->cfg.writer, &q->op, finished, q);
}

static void handle(struct ops *o, struct httpd_request *req)
{
    const char *method = httpd_method(req);
    const struct entry *e = find_entry(httpd_path(req));
    int refused = e && e->open ? 0 : check(o, req);
    if (refused)
        answer_problem(req, &o->uncounted, refused, CALLBACK_ABSENT,
                       refused == 401 ? "WWW-Authenticate" : NULL, "Bearer",
                       "OPS_TOKEN is needed here, except on the loopback interface.");
    else if (!e)
        answer_problem(req, &o->uncounted, 404, CALLBACK_ABSENT, NULL, NULL, "No such path.");
    else if (strcmp(method, e->method) != 0 &&
             (strcmp(method, "HEAD") != 0 || strcmp(e->method, "GET") != 0))
        answer_problem(req, &o->uncounted, 405, CALLBACK_ABSENT, "Allow",
                       strcmp(e->method, "GET") == 0 ? "GET, HEAD" : e->method,
                       "The method must be %s.", e->method);
    else if (!e->answer)
        answer_body(req, &o->uncounted, 200, "application/json", "{\"status\":\"ok\"}", 15);
    else if (e->action == STORE_PROBE && !atomic_load(&o->ready))
        answer_unavailable(req, &o->uncounted, "Not ready.");
    else {
        atomic_fetch_add(&o->asked, 1);
        ask(o, req, e);
    }
}

void ops_handle(struct httpd_request *req, void *arg)
{
    struct ops *o = arg;
    atomic_fetch_add(&o->asked, 1); /* counted before it looks: see ops_drain */
    if (atomic_load(&o->draining))
        answer_unavailable(req, &o->uncounted, "The receiver is stopping.");
    else
        handle(o, req);
    atomic_fetch_sub(&o->asked, 1);
}

struct ops *ops_new(const struct ops_config *cfg)
{
    struct ops *o = mem_alloc(sizeof(*o));
    o->cfg = *cfg;
    return o;
}

void ops_free(struct ops *o)
{
    free(o);
}

void ops_set_ready(struct ops *o, bool is_ready)
{
    atomic_store(&o->ready, is_ready);
}

void ops_drain(struct ops *o)
{
    atomic_store(&o->draining, true);
    while (atomic_load(&o->asked) > 0)
        clock_sleep_ms(clock_system(), 2);
}
