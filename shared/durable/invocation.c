#include "shared/durable/invocation.h"

#include <stdlib.h>

#include "shared/base/json.h"
#include "shared/durable/ctx.h"
#include "shared/durable/envelope.h"
#include "shared/durable/error.h"
#include "shared/durable/payload.h"

/* More cannot be of use: the service's model ends at 6 MiB, and its own limits are smaller. */
#define RESULT_MAX (10U << 20)

static int report(struct error *err, const struct durable_error *why)
{
    error_set(err, ERR_UNAVAILABLE, 0, "%s", why->message ? why->message : "");
    error_set_type(err, why->type);
    return -1;
}

/* The invocation has ended by the SDK's own failure. */
static int answer_ended(const struct execution *x, struct buf *response, struct error *err)
{
    if (x->ended == CHECKPOINT_INVOCATION)
        return report(err, &x->why);
    envelope_failed(response, &x->why);
    return 0;
}

/* Everything queued must be accepted before the answer. False: `x` has ended, or *closed. */
static bool drained(struct durable_ctx *root, bool *closed)
{
    auto_durable_error struct durable_error ignored = { 0 };
    *closed = false;
    enum durable_rc rc = ctx_flush(root, &ignored);
    *closed = rc == DURABLE_SUSPENDED;
    return rc == DURABLE_OK;
}

static int answer_failed(struct durable_ctx *root, const struct durable_error *why,
                         struct buf *response, struct error *err)
{
    bool closed;
    if (drained(root, &closed)) {
        envelope_failed(response, why);
        return 0;
    }
    if (!closed)
        return answer_ended(root->x, response, err);
    envelope_pending(response);
    return 0;
}

/* A result over Lambda's response limit goes through a checkpoint of the EXECUTION operation. */
static void send_result(struct execution *x, const struct payload *p)
{
    monitor_lock(&x->monitor);
    checkpoint_add(x->checkpoint,
                   update_new(&(struct update_fields){ .id = journal_execution(x->journal)->id,
                                                       .type = OP_EXECUTION,
                                                       .action = UPDATE_SUCCEED,
                                                       .payload = p->text,
                                                       .payload_len = p->len }),
                   false);
    monitor_unlock(&x->monitor);
}

static int answer_succeeded(struct durable_ctx *root, struct json_object **value,
                            struct buf *response, struct error *err)
{
    struct execution *x = root->x;
    auto_payload struct payload p = { 0 };
    auto_durable_error struct durable_error why = { 0 };
    bool closed;

    if (payload_write(*value, &x->codec, &p, &why) < 0)
        return answer_failed(root, &why, response, err);
    if (p.len > RESULT_MAX) {
        durable_error_set(&why, TOO_LARGE_TYPE,
                          "the execution's result has %zu bytes as JSON, more than %u", p.len,
                          RESULT_MAX);
        return answer_failed(root, &why, response, err);
    }
    envelope_succeeded(response, p.text, p.len);
    if (p.len > ENVELOPE_RESULT_MAX || response->len > ENVELOPE_MAX || buf_overflowed(response)) {
        buf_reset(response);
        send_result(x, &p);
        envelope_succeeded(response, "", 0);
    }
    if (drained(root, &closed))
        return 0;
    buf_reset(response);
    if (!closed)
        return answer_ended(x, response, err);
    envelope_pending(response);
    return 0;
}

static int answer_suspended(struct durable_ctx *root, enum durable_rc rc, struct buf *response)
{
    struct execution *x = root->x;
    if (rc == DURABLE_OK)
        execution_log(x, DURABLE_LOG_WARN, "handler_ignored_suspend",
                      "the handler returned a value after it was suspended: dropped");
    if (root->strand->count > 0 || checkpoint_closed(x->checkpoint)) {
        envelope_pending(response);
        return 0;
    }
    /* Only what is re-run for a large result can get here: it asked for what never happened. */
    auto_durable_error struct durable_error why = { 0 };
    durable_error_set(&why, NON_DETERMINISM_TYPE,
                      "Non-deterministic execution detected: a finished child context, run again "
                      "for its result, waits for an operation that had not ended");
    envelope_failed(response, &why);
    return 0;
}

static int answer(struct durable_ctx *root, enum durable_rc rc, struct json_object **value,
                  struct durable_error *why, struct buf *response, struct error *err)
{
    if (root->x->ended)
        return answer_ended(root->x, response, err);
    if (root->latch != DURABLE_OK)
        return answer_suspended(root, rc, response);
    switch (rc) {
    case DURABLE_OK:
        return answer_succeeded(root, value, response, err);
    case DURABLE_FAILED:
        if (!why->type && !why->message)
            durable_error_set(why, "Error", "the handler failed without an error");
        return answer_failed(root, why, response, err);
    case DURABLE_SUSPENDED:
    case DURABLE_FATAL:
        break;
    }
    durable_error_set(why, "HandlerError", "the handler returned %s, but no operation in it did",
                      rc == DURABLE_SUSPENDED ? "DURABLE_SUSPENDED: nothing is pending"
                                              : "DURABLE_FATAL");
    return answer_failed(root, why, response, err);
}

/* The customer's input; absent or empty it is {}. */
static int read_input(const struct operation *op, const struct codec *codec,
                      struct json_object **input, struct durable_error *why)
{
    if (op->payload_len == 0) {
        *input = json_object_new_object();
        return 0;
    }
    if (payload_read(op->payload, op->payload_len, codec, input, why) == 0)
        return 0;
    auto_free char *text = mem_dup(why->message);
    durable_error_set(why, SERIALISATION_TYPE, "the execution's input: %s", text);
    return -1;
}

/* Runs the handler, answers, and is done: 0 or -1. Or 1: it has suspended, but what it waits for
 * has come with the last answer, which the service takes for seen. So it runs again. */
static int run_once(struct execution *x, struct strand *strand, durable_fn *handler, void *arg,
                    struct buf *response, struct error *err)
{
    auto_json struct json_object *input = NULL;
    auto_json struct json_object *value = NULL;
    auto_durable_error struct durable_error why = { 0 };
    struct durable_ctx root;
    ctx_init_root(&root, x, strand);
    if (read_input(journal_execution(x->journal), &x->codec, &input, &why) < 0)
        return answer_failed(&root, &why, response, err);
    enum durable_rc rc = handler(&root, input, arg, &value, &why);
    if (root.latch == DURABLE_SUSPENDED) {
        auto_durable_error struct durable_error lost = { 0 };
        struct error broken = { 0 };
        enum checkpoint_result settled = checkpoint_settle(x->checkpoint, &broken);
        if (ctx_checkpointed(&root, settled, &broken, &lost) == DURABLE_OK &&
            strand_moved(strand, x->journal))
            return 1;
    }
    return answer(&root, rc, &value, &why, response, err);
}

static int run_handler(struct execution *x, durable_fn *handler, void *arg, struct buf *response,
                       struct error *err)
{
    const struct operation *op = journal_execution(x->journal);
    struct strand strand = { 0 };
    int rc;

    if (!op) {
        error_set(err, ERR_PROTOCOL, 0, "the state has no EXECUTION operation");
        error_set_type(err, "InvalidDurableInvocation");
        return -1;
    }
    free(x->name);
    x->name = mem_dup(op->name ? op->name : "");
    x->start_ms = op->start_ms;
    do {
        strand_reset(&strand);
        rc = run_once(x, &strand, handler, arg, response, err);
    } while (rc == 1);
    strand_release(&strand);
    return rc;
}

static int run_execution(struct execution *x, const struct envelope_event *e, durable_fn *handler,
                         void *arg, struct buf *response, struct error *err)
{
    struct error why = { 0 };
    if (journal_merge(x->journal, e->operations, err) < 0) {
        error_set_type(err, "InvalidDurableInvocation");
        return error_wrap(err, "the event's state");
    }
    enum checkpoint_result loaded = checkpoint_load(x->checkpoint, e->marker, &why);
    if (loaded != CHECKPOINT_OK) {
        auto_durable_error struct durable_error text = { 0 };
        error_from(&text, "CheckpointError", &why);
        durable_error_set(&x->why, "CheckpointError", "load the state: %s", text.message);
        x->ended = loaded;
        return answer_ended(x, response, err);
    }
    return run_handler(x, handler, arg, response, err);
}

int invocation_run(const struct invocation *inv, durable_fn *handler, void *arg,
                   struct buf *response, struct error *err)
{
    auto_json struct json_object *event = NULL;
    struct envelope_event e;
    if (json_parse(inv->event, inv->event_len, JSON_DEPTH, &event, err) < 0) {
        error_set_type(err, "InvalidDurableInvocation");
        return error_wrap(err, "the event");
    }
    if (envelope_read(event, &e, err) < 0)
        return -1;

    struct execution x = { .arn = e.arn,
                           .request_id = inv->request_id,
                           .trace_header = inv->trace_header,
                           .deadline_ms = inv->deadline_ms,
                           .journal = journal_new(),
                           .edge = inv->edge,
                           .codec = { .serdes = inv->serdes, .of = { e.arn, "" } } };
    monitor_init(&x.monitor);
    pthread_mutex_init(&x.log_lock, NULL);
    x.checkpoint = checkpoint_new(e.arn, e.token, x.journal, inv->edge, &x.monitor);
    int rc = run_execution(&x, &e, handler, arg, response, err);
    checkpoint_free(x.checkpoint);
    journal_free(x.journal);
    pthread_mutex_destroy(&x.log_lock);
    monitor_release(&x.monitor);
    durable_error_release(&x.why);
    free(x.name);
    return rc;
}
