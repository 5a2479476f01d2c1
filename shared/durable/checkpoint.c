#include "shared/durable/checkpoint.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"

#define REQUEST_MAX   (80U << 20)
#define REQUEST_FIXED 100 /* what a request has besides token and updates */
#define STATE_PAGES   1000
#define STALE_TOKEN   "Invalid checkpoint token"
#define TOKEN_MAX     2048
/* How long exit(3) in a body waits for its START to be taken. */
#define EXIT_PATIENCE_MS 2000

struct checkpoint {
    char *arn;
    struct monitor *monitor; /* guards what follows */
    const struct durable_edge *edge;
    char *token; /* NULL: closed. Changed only by whoever has the request in flight */
    struct journal *journal;
    struct update *head;
    struct update **tail;
    uint64_t queued;   /* updates ever */
    uint64_t accepted; /* those that the service has */
    bool in_flight;
    enum checkpoint_result failed;
    struct error why;
    /* the thread that sends what lingers */
    pthread_t pump;
    pthread_cond_t pump_wake;
    bool pump_runs;
    bool stop;
    int64_t linger_until_ms; /* monotonic; 0: nothing lingers */
};

/* A body may end the process with exit(3). Then what lingers is sent first, so that the next
 * invocation finds the step begun, however soon that was. The one place of the library with state
 * of the process: atexit(3) knows no other. */
static _Atomic(struct checkpoint *) exiting;

struct checkpoint *checkpoint_new(const char *arn, const char *token, struct journal *journal,
                                  const struct durable_edge *edge, struct monitor *monitor)
{
    struct checkpoint *c = mem_alloc(sizeof(*c));
    c->arn = mem_dup(arn);
    c->token = mem_dup(token);
    c->journal = journal;
    c->edge = edge;
    c->monitor = monitor;
    monitor_cond_init(&c->pump_wake);
    c->tail = &c->head;
    return c;
}

static struct update *pop(struct checkpoint *c)
{
    struct update *u = c->head;
    c->head = u->next;
    if (!c->head)
        c->tail = &c->head;
    return u;
}

static void drop_queue(struct checkpoint *c)
{
    while (c->head)
        update_free(pop(c));
    c->linger_until_ms = 0;
}

void checkpoint_free(struct checkpoint *c)
{
    if (!c)
        return;
    if (c->pump_runs) {
        struct checkpoint *mine = c;
        atomic_compare_exchange_strong(&exiting, &mine, NULL);
        monitor_lock(c->monitor);
        c->stop = true;
        pthread_cond_signal(&c->pump_wake);
        monitor_unlock(c->monitor);
        pthread_join(c->pump, NULL);
    }
    drop_queue(c);
    pthread_cond_destroy(&c->pump_wake);
    free(c->arn);
    mem_free_secret(c->token);
    free(c);
}

bool checkpoint_closed(const struct checkpoint *c)
{
    return !c->token || c->failed;
}

/* ---- failures -------------------------------------------------------------------------------- */

/* AWS writes "Invalid checkpoint token", some of its SDKs look for "Invalid Checkpoint Token". The
 * client may have put the call's name and a colon before it. */
static bool token_is_stale(const struct error *err)
{
    const char *at = strcasestr(err->msg, STALE_TOKEN);
    return at && (at == err->msg || at[-1] == ' ') &&
           strcmp(err->type, "InvalidParameterValueException") == 0;
}

static enum checkpoint_result class_of(const struct error *err)
{
    static const char *const kms[] = { "KMSAccessDeniedException", "KMSDisabledException",
                                       "KMSInvalidStateException", "KMSNotFoundException" };
    for (size_t i = 0; i < ARRAY_LEN(kms); i++)
        if (strcmp(err->type, kms[i]) == 0)
            return CHECKPOINT_EXECUTION;
    if (err->code == ERR_THROTTLED || token_is_stale(err))
        return CHECKPOINT_INVOCATION;
    if (err->detail >= 400 && err->detail < 500 && err->detail != 429)
        return CHECKPOINT_EXECUTION;
    return CHECKPOINT_INVOCATION;
}

/* With the monitor held. */
static void fail(struct checkpoint *c, const struct error *why)
{
    c->failed = class_of(why);
    c->why = *why;
    drop_queue(c);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* With the monitor held. */
static int take_token(struct checkpoint *c, const struct json_object *answer, struct error *err)
{
    const char *token = json_get_str(answer, "CheckpointToken");
    if (token && strlen(token) > TOKEN_MAX)
        return error_set(err, ERR_PROTOCOL, 0, "a checkpoint token of more than %d bytes",
                         TOKEN_MAX);
    mem_free_secret(c->token);
    c->token = token && token[0] ? mem_dup(token) : NULL;
    return 0;
}

/* With the monitor held: merges `state` ({Operations, NextMarker}) and hands out its marker, or
 * NULL on the last page. */
static int take_state(struct checkpoint *c, const struct json_object *state, char **marker,
                      struct error *err)
{
    if (journal_merge(c->journal, json_get_arr(state, "Operations"), err) < 0)
        return -1;
    const char *next = json_get_str(state, "NextMarker");
    *marker = next && next[0] ? mem_dup(next) : NULL;
    return 0;
}

/* Without the monitor; the request in flight is the caller's. */
static int load_pages(struct checkpoint *c, const char *first, struct error *err)
{
    auto_free char *marker = mem_dup(first && first[0] ? first : NULL);
    for (unsigned pages = 0; marker && c->token; pages++) {
        if (pages == STATE_PAGES)
            return error_set(err, ERR_PROTOCOL, 0, "the state has more than %d pages", STATE_PAGES);
        auto_json struct json_object *page = NULL;
        if (c->edge->state(c->edge->arg, c->arn, c->token, marker, CHECKPOINT_PAGE, &page, err) < 0)
            return -1;
        char *next = NULL;
        monitor_lock(c->monitor);
        int rc = take_state(c, page, &next, err);
        monitor_unlock(c->monitor);
        if (rc < 0)
            return -1;
        free(marker);
        marker = next;
    }
    return 0;
}

enum checkpoint_result checkpoint_load(struct checkpoint *c, const char *marker, struct error *err)
{
    struct error why = { 0 };
    if (load_pages(c, marker, &why) == 0)
        return CHECKPOINT_OK;
    monitor_lock(c->monitor);
    fail(c, &why);
    monitor_unlock(c->monitor);
    *err = why;
    return c->failed;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* An id may be twice in a request only as START and end of a step or a context. */
static bool may_join(const struct update *first, size_t count, const struct update *u)
{
    const struct update *same = NULL;
    const struct update *in = first;
    for (size_t i = 0; i < count; i++, in = in->next) {
        if (in->type == OP_EXECUTION)
            return false; /* it is the last of its request */
        if (strcmp(in->id, u->id) != 0)
            continue;
        if (same)
            return false;
        same = in;
    }
    if (!same)
        return true;
    return (u->type == OP_STEP || u->type == OP_CONTEXT) && same->action == UPDATE_START &&
           u->action != UPDATE_START;
}

/* How many updates the next request takes. With the monitor held. */
static size_t next_batch(const struct checkpoint *c)
{
    size_t bytes = strlen(c->token) + REQUEST_FIXED;
    size_t count = 0;
    for (const struct update *u = c->head; u; u = u->next, count++) {
        bytes += u->len + 1;
        if (count == CHECKPOINT_UPDATES)
            break;
        if (count && (bytes > CHECKPOINT_BYTES || !may_join(c->head, count, u)))
            break;
    }
    return count;
}

static void write_request(const struct checkpoint *c, const struct update *first, struct buf *body)
{
    char client_token[RANDOM_UUID];
    random_uuid(client_token);
    buf_add_str(body, "{\"CheckpointToken\":");
    buf_add_json_str(body, c->token);
    buf_add_str(body, ",\"Updates\":[");
    for (const struct update *u = first; u; u = u->next) {
        if (u != first)
            buf_add_char(body, ',');
        buf_add(body, u->json, u->len);
    }
    buf_printf(body, "],\"ClientToken\":\"%s\"}", client_token);
}

/* One request with the updates from `first` on. Without the monitor; the request in flight is the
 * caller's. */
static int request(struct checkpoint *c, const struct update *first, struct error *err)
{
    auto_buf struct buf body = BUF_INIT(REQUEST_MAX);
    auto_json struct json_object *answer = NULL;
    auto_free char *marker = NULL;

    write_request(c, first, &body);
    if (buf_overflowed(&body))
        return error_set(err, ERR_TOO_LARGE, 0, "a checkpoint of more than %u bytes", REQUEST_MAX);
    if (c->edge->checkpoint(c->edge->arg, c->arn, buf_str(&body), body.len, &answer, err) < 0)
        return -1;
    if (!json_object_is_type(answer, json_type_object))
        return error_set(err, ERR_PROTOCOL, 0, "the answer to a checkpoint is not an object");
    monitor_lock(c->monitor);
    int rc = take_token(c, answer, err);
    if (rc == 0)
        rc = take_state(c, json_get_obj(answer, "NewExecutionState"), &marker, err);
    monitor_unlock(c->monitor);
    return rc < 0 ? -1 : load_pages(c, marker, err);
}

/* Takes the next batch off the queue; what remains lingers no longer than it has to. */
static struct update *take_batch(struct checkpoint *c, size_t *count)
{
    struct update *first = c->head;
    struct update **end = &first;
    *count = c->head ? next_batch(c) : 0;
    for (size_t i = 0; i < *count; i++)
        end = &(*end)->next;
    c->head = *end;
    *end = NULL;
    if (!c->head) {
        c->tail = &c->head;
        c->linger_until_ms = 0;
    }
    return first;
}

/* Sends the next batch, or an empty one; the caller has the monitor, which is released meanwhile,
 * and nothing is in flight. */
static void send_batch(struct checkpoint *c)
{
    struct error why = { 0 };
    size_t count;
    struct update *first = take_batch(c, &count);
    c->in_flight = true;
    monitor_unlock(c->monitor);
    int rc = request(c, first, &why);
    while (first) {
        struct update *next = first->next;
        update_free(first);
        first = next;
    }
    monitor_lock(c->monitor);
    c->in_flight = false;
    if (rc < 0)
        fail(c, &why);
    else
        c->accepted += count;
    if (c->linger_until_ms)
        pthread_cond_signal(&c->pump_wake);
    monitor_changed(c->monitor);
}

static bool can_send(const struct checkpoint *c)
{
    return c->token && !c->failed;
}

static enum checkpoint_result result_of(struct checkpoint *c, uint64_t target, struct error *err)
{
    if (c->failed) {
        *err = c->why;
        return c->failed;
    }
    return c->accepted < target ? CHECKPOINT_CLOSED : CHECKPOINT_OK;
}

static enum checkpoint_result flush(struct checkpoint *c, bool settle, struct error *err)
{
    monitor_lock(c->monitor);
    uint64_t target = c->queued;
    while ((c->accepted < target || (settle && c->in_flight)) && !c->failed) {
        if (c->in_flight)
            monitor_wait(c->monitor, -1);
        else if (can_send(c))
            send_batch(c);
        else
            break;
    }
    if (!c->token)
        drop_queue(c);
    enum checkpoint_result result = result_of(c, target, err);
    monitor_unlock(c->monitor);
    return result;
}

enum checkpoint_result checkpoint_flush(struct checkpoint *c, struct error *err)
{
    return flush(c, false, err);
}

enum checkpoint_result checkpoint_settle(struct checkpoint *c, struct error *err)
{
    return flush(c, true, err);
}

enum checkpoint_result checkpoint_poll(struct checkpoint *c, struct error *err)
{
    monitor_lock(c->monitor);
    if (c->in_flight) {
        while (c->in_flight)
            monitor_wait(c->monitor, -1);
    } else if (can_send(c)) {
        send_batch(c);
    }
    enum checkpoint_result result = result_of(c, 0, err);
    monitor_unlock(c->monitor);
    return result;
}

/* ---- what lingers ---------------------------------------------------------------------------- */

static void *pump(void *arg)
{
    struct checkpoint *c = arg;
    monitor_lock(c->monitor);
    while (!c->stop) {
        int64_t left_ms = c->linger_until_ms - clock_mono_ms(clock_system());
        if (c->linger_until_ms == 0 || c->in_flight || !can_send(c))
            monitor_wait_on(c->monitor, &c->pump_wake, -1);
        else if (left_ms > 0)
            monitor_wait_on(c->monitor, &c->pump_wake, left_ms);
        else
            send_batch(c);
    }
    monitor_unlock(c->monitor);
    return NULL;
}

static void send_at_exit(void)
{
    struct checkpoint *c = atomic_load(&exiting);
    if (!c)
        return;
    int64_t until_ms = clock_mono_ms(clock_system()) + EXIT_PATIENCE_MS;
    monitor_lock(c->monitor);
    if (c->linger_until_ms) {
        c->linger_until_ms = 1;
        pthread_cond_signal(&c->pump_wake);
    }
    for (int64_t left_ms = EXIT_PATIENCE_MS;
         (c->linger_until_ms || c->in_flight) && can_send(c) && left_ms > 0;
         left_ms = until_ms - clock_mono_ms(clock_system()))
        monitor_wait(c->monitor, left_ms);
    monitor_unlock(c->monitor);
}

static void register_at_exit(void)
{
    (void)atexit(send_at_exit); /* without it a START may be lost, which is no harm */
}

static void start_pump(struct checkpoint *c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    c->pump_runs = pthread_create(&c->pump, NULL, pump, c) == 0;
    if (!c->pump_runs)
        return; /* without it the update waits for the next flush */
    pthread_once(&once, register_at_exit);
    atomic_store(&exiting, c);
}

void checkpoint_add(struct checkpoint *c, struct update *u, bool lingers)
{
    if (c->failed) {
        update_free(u);
        return;
    }
    *c->tail = u;
    c->tail = &u->next;
    c->queued++;
    if (!lingers || c->edge->max_threads == 0 || c->linger_until_ms)
        return;
    c->linger_until_ms = clock_mono_ms(clock_system()) + CHECKPOINT_LINGER_MS;
    if (c->pump_runs)
        pthread_cond_signal(&c->pump_wake);
    else
        start_pump(c);
}
