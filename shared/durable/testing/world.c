#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/durable/testing/service.h"

static bool is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

/* ---- scripts --------------------------------------------------------------------------------- */

static void add_script(struct durable_test *t, const struct script *s)
{
    t->script = mem_resize(t->script, t->script_count + 1, sizeof(*t->script));
    t->script[t->script_count++] = *s;
}

void durable_test_callback_succeeds(struct durable_test *t, const char *name, int64_t after_s,
                                    const char *result)
{
    add_script(t, &(struct script){ .kind = SCRIPT_SUCCEED,
                                    .name = mem_dup(name),
                                    .after_s = after_s,
                                    .text = mem_dup(result) });
}

void durable_test_callback_fails(struct durable_test *t, const char *name, int64_t after_s,
                                 const char *type, const char *message)
{
    add_script(t, &(struct script){ .kind = SCRIPT_FAIL,
                                    .name = mem_dup(name),
                                    .after_s = after_s,
                                    .text = mem_dup(type),
                                    .message = mem_dup(message) });
}

void durable_test_callback_heartbeat(struct durable_test *t, const char *name, int64_t after_s)
{
    add_script(
        t, &(struct script){ .kind = SCRIPT_HEARTBEAT, .name = mem_dup(name), .after_s = after_s });
}

void durable_test_each_callback_succeeds(struct durable_test *t, const char *name, int64_t after_s,
                                         const char *result)
{
    add_script(t, &(struct script){ .kind = SCRIPT_SUCCEED,
                                    .name = mem_dup(name),
                                    .after_s = after_s,
                                    .text = mem_dup(result),
                                    .each = true });
}

static struct function *function_of(struct durable_test *t, const char *name)
{
    for (size_t i = 0; i < t->function_count; i++)
        if (is(t->function[i].name, name))
            return &t->function[i];
    return NULL;
}

static void set_function(struct durable_test *t, const struct function *f)
{
    struct function *old = function_of(t, f->name);
    if (!old) {
        t->function = mem_resize(t->function, t->function_count + 1, sizeof(*t->function));
        t->function[t->function_count++] = *f;
        return;
    }
    free(old->name);
    free(old->status);
    free(old->text);
    free(old->message);
    *old = *f;
}

void durable_test_function(struct durable_test *t, const char *function, int64_t after_s,
                           durable_test_function_fn *body, void *arg)
{
    set_function(t, &(struct function){
                        .name = mem_dup(function), .after_s = after_s, .body = body, .arg = arg });
}

void durable_test_function_returns(struct durable_test *t, const char *function, int64_t after_s,
                                   const char *result)
{
    set_function(t, &(struct function){ .name = mem_dup(function),
                                        .after_s = after_s,
                                        .status = mem_dup("SUCCEEDED"),
                                        .text = mem_dup(result) });
}

void durable_test_function_ends(struct durable_test *t, const char *function, int64_t after_s,
                                const char *status, const char *type, const char *message)
{
    set_function(t, &(struct function){ .name = mem_dup(function),
                                        .after_s = after_s,
                                        .status = mem_dup(status),
                                        .text = mem_dup(type),
                                        .message = mem_dup(message) });
}

/* ---- what follows from a start --------------------------------------------------------------- */

static void happen(struct durable_test *t, const struct happening *h)
{
    t->happening = mem_resize(t->happening, t->happening_count + 1, sizeof(*t->happening));
    t->happening[t->happening_count++] = *h;
}

/* A nameless callback goes by the name of its context. */
static const char *callback_name(const struct durable_test *t, const struct test_operation *op)
{
    const struct test_operation *up = op->name ? NULL : service_find(t, op->parent_id);
    return up && is(up->subtype, "WaitForCallback") ? up->name : op->name;
}

static void schedule(struct durable_test *t, size_t i, const struct script *s)
{
    happen(t, &(struct happening){ .at_ms = t->op[i]->view.started_ms + s->after_s * 1000,
                                   .op = i,
                                   .kind = s->kind,
                                   .text = mem_dup(s->text),
                                   .message = mem_dup(s->message) });
}

/* The next unused script of its name, and those that follow a heartbeat; else one for each. */
static void give_script(struct durable_test *t, size_t i)
{
    const char *name = callback_name(t, t->op[i]);
    bool more = true;
    for (size_t k = 0; more && k < t->script_count; k++) {
        struct script *s = &t->script[k];
        if (s->used || s->each || (s->name && !is(name, s->name)))
            continue;
        s->used = true;
        t->op[i]->scripted = true;
        more = s->kind == SCRIPT_HEARTBEAT;
        schedule(t, i, s);
    }
    for (size_t k = 0; !t->op[i]->scripted && k < t->script_count; k++) {
        const struct script *s = &t->script[k];
        if (s->each && (!s->name || is(name, s->name))) {
            t->op[i]->scripted = true;
            schedule(t, i, s);
        }
    }
}

static void end_operation(struct durable_test *t, struct test_operation *op, const char *status,
                          const char *text, const char *message)
{
    static const char *const all[] = { "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED" };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (is(status, all[i]))
            op->view.status = all[i];
    op->view.ended_ms = service_now_ms(t);
    op->unseen = true;
    if (is(status, "SUCCEEDED")) {
        op->result = mem_dup(text);
    } else if (text || message) {
        op->has_error = true;
        op->error.type = mem_dup(text);
        op->error.message = mem_dup(message);
    }
}

static void end_invoke(struct durable_test *t, struct test_operation *op, const char *status,
                       const char *text, const char *message)
{
    end_operation(t, op, status, text, message);
    service_event(t,
                  is(status, "SUCCEEDED")   ? "ChainedInvokeSucceeded"
                  : is(status, "TIMED_OUT") ? "ChainedInvokeTimedOut"
                  : is(status, "STOPPED")   ? "ChainedInvokeStopped"
                                            : "ChainedInvokeFailed",
                  op->name);
}

static void start_invoke(struct durable_test *t, size_t i)
{
    struct test_operation *op = t->op[i];
    const struct function *f = function_of(t, op->function);
    struct happening h = { .op = i };
    if (!f) {
        auto_free char *text = mem_printf("Function not found: %s", op->function);
        end_invoke(t, op, "FAILED", "ResourceNotFoundException", text);
        return;
    }
    h.at_ms = op->view.started_ms + f->after_s * 1000;
    if (f->body) {
        struct durable_error why = { 0 };
        char *result = NULL;
        int rc = f->body(op->payload, op->tenant_id, f->arg, &result, &why);
        h.status = mem_dup(rc == 0 ? "SUCCEEDED" : "FAILED");
        h.text = rc == 0 ? result : mem_dup(why.type);
        h.message = mem_dup(why.message);
        if (rc != 0)
            free(result);
        durable_error_release(&why);
    } else {
        h.status = mem_dup(f->status);
        h.text = mem_dup(f->text);
        h.message = mem_dup(f->message);
    }
    happen(t, &h);
}

void world_started(struct durable_test *t, size_t i)
{
    if (is(t->op[i]->type, "CALLBACK"))
        give_script(t, i);
    else
        start_invoke(t, i);
}

/* ---- time ------------------------------------------------------------------------------------ */

bool world_callback_ends(struct durable_test *t, struct test_operation *op, const char *status,
                         const char *text, const char *message)
{
    if (!op || !is(op->view.status, "STARTED"))
        return false;
    end_operation(t, op, status, text, message);
    service_event(t,
                  is(status, "SUCCEEDED")   ? "CallbackSucceeded"
                  : is(status, "TIMED_OUT") ? "CallbackTimedOut"
                                            : "CallbackFailed",
                  op->name);
    return true;
}

static void do_happening(struct durable_test *t, const struct happening *h)
{
    struct test_operation *op = t->op[h->op];
    if (h->status) {
        if (is(op->view.status, "STARTED"))
            end_invoke(t, op, h->status, h->text, h->message);
        return;
    }
    if (h->kind == SCRIPT_HEARTBEAT) {
        if (is(op->view.status, "STARTED") && op->heartbeat_s)
            op->heartbeat_ms = h->at_ms + op->heartbeat_s * 1000;
        return;
    }
    (void)world_callback_ends(t, op, h->kind == SCRIPT_SUCCEED ? "SUCCEEDED" : "FAILED", h->text,
                              h->message);
}

/* When something of the operation's own is due, INT64_MAX: nothing. */
static int64_t own_due(const struct test_operation *op)
{
    int64_t at = INT64_MAX;
    const char *status = op->view.status;
    if (op->due_ms && (is(status, "PENDING") || is(status, "STARTED")))
        at = op->due_ms;
    if (is(op->type, "CALLBACK") && is(status, "STARTED")) {
        if (op->timeout_ms && op->timeout_ms < at)
            at = op->timeout_ms;
        if (op->heartbeat_ms && op->heartbeat_ms < at)
            at = op->heartbeat_ms;
    }
    return at;
}

static void do_own(struct durable_test *t, struct test_operation *op)
{
    if (is(op->type, "STEP")) {
        op->view.status = "READY";
        op->due_ms = 0;
        op->unseen = true;
    } else if (is(op->type, "WAIT")) {
        end_operation(t, op, "SUCCEEDED", NULL, NULL);
        service_event(t, "WaitSucceeded", op->name);
    } else if (op->heartbeat_ms && (!op->timeout_ms || op->heartbeat_ms < op->timeout_ms)) {
        (void)world_callback_ends(t, op, "TIMED_OUT", "Callback.Heartbeat",
                                  "Callback timed out on heartbeat");
    } else {
        (void)world_callback_ends(t, op, "TIMED_OUT", "Callback.Timeout", "Callback timed out");
    }
}

/* The earliest thing: an operation's own (index below op_count), or a happening behind them. */
static size_t earliest(const struct durable_test *t, int64_t *at_ms)
{
    size_t which = SIZE_MAX;
    *at_ms = INT64_MAX;
    /* What somebody sends at the very second of a timeout is in time. */
    for (size_t i = 0; i < t->happening_count; i++)
        if (t->happening[i].at_ms < *at_ms) {
            *at_ms = t->happening[i].at_ms;
            which = t->op_count + i;
        }
    for (size_t i = 0; i < t->op_count; i++)
        if (own_due(t->op[i]) < *at_ms) {
            *at_ms = own_due(t->op[i]);
            which = i;
        }
    return which;
}

int64_t world_next_ms(const struct durable_test *t)
{
    int64_t at_ms;
    (void)earliest(t, &at_ms);
    return at_ms;
}

static void drop_happening(struct durable_test *t, size_t i)
{
    free(t->happening[i].status);
    free(t->happening[i].text);
    free(t->happening[i].message);
    t->happening_count--;
    memmove(&t->happening[i], &t->happening[i + 1],
            (t->happening_count - i) * sizeof(*t->happening));
}

void world_pass(struct durable_test *t, int64_t now_ms)
{
    int64_t at_ms;
    for (size_t i; (i = earliest(t, &at_ms)) != SIZE_MAX && at_ms <= now_ms;) {
        if (i < t->op_count) {
            do_own(t, t->op[i]);
            continue;
        }
        do_happening(t, &t->happening[i - t->op_count]);
        drop_happening(t, i - t->op_count);
    }
}
