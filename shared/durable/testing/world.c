#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/durable/testing/service.h"

static bool is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

/* ---- scripts --------------------------------------------------------------------------------- */

/* The lists of a name; NULL: those for any. */
static size_t lists_of(struct durable_test *t, const char *name)
{
    static const struct script_lists none = { { INDEX_NONE, INDEX_NONE },
                                              { INDEX_NONE, INDEX_NONE } };
    if (t->list_count == 0) {
        t->lists = list_room(t->lists, 0, sizeof(*t->lists));
        t->lists[t->list_count++] = none;
    }
    size_t at = name ? index_find(&t->list_by_name, name) : 0;
    if (at != INDEX_NONE)
        return at;
    t->lists = list_room(t->lists, t->list_count, sizeof(*t->lists));
    t->lists[t->list_count] = none;
    return t->list_count++;
}

static void add_script(struct durable_test *t, const struct script *s)
{
    size_t i = t->script_count, of = lists_of(t, s->name);
    struct script_list *list = s->each ? &t->lists[of].each : &t->lists[of].once;
    t->script = list_room(t->script, t->script_count, sizeof(*t->script));
    t->script[t->script_count++] = *s;
    t->script[i].next = INDEX_NONE;
    index_add(&t->list_by_name, s->name, of);
    if (list->first == INDEX_NONE)
        list->first = i;
    else
        t->script[list->last].next = i;
    list->last = i;
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
        t->function = list_room(t->function, t->function_count, sizeof(*t->function));
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
    t->happening = list_room(t->happening, t->happening_count, sizeof(*t->happening));
    timers_add(&t->timers, (struct timer){ h->at_ms, false, t->happening_count });
    t->happening[t->happening_count++] = *h;
}

/* A nameless callback goes by the name of its context. */
static const char *callback_name(struct durable_test *t, const struct test_operation *op)
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

/* The next of two lists, which it is taken from; INDEX_NONE: there is none. */
static size_t next_of(const struct durable_test *t, size_t *a, size_t *b)
{
    size_t *from = *a < *b ? a : b; /* INDEX_NONE is the largest */
    size_t i = *from;
    if (i != INDEX_NONE)
        *from = t->script[i].next;
    return i;
}

/* The next script of its name or for any, and those that follow a heartbeat; else one for each. */
static void give_script(struct durable_test *t, size_t i)
{
    size_t none = INDEX_NONE, of = index_find(&t->list_by_name, callback_name(t, t->op[i]));
    struct script_lists *any = t->list_count ? &t->lists[0] : NULL;
    struct script_lists *mine = of != INDEX_NONE ? &t->lists[of] : NULL;
    bool more = true;
    while (more) {
        size_t k = next_of(t, any ? &any->once.first : &none, mine ? &mine->once.first : &none);
        if (k == INDEX_NONE)
            break;
        t->op[i]->scripted = true;
        more = t->script[k].kind == SCRIPT_HEARTBEAT;
        schedule(t, i, &t->script[k]);
    }
    if (t->op[i]->scripted)
        return;
    size_t a = any ? any->each.first : none, b = mine ? mine->each.first : none;
    for (size_t k; (k = next_of(t, &a, &b)) != INDEX_NONE;) {
        t->op[i]->scripted = true;
        schedule(t, i, &t->script[k]);
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
    service_unseen(t, op);
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
        service_unseen(t, op);
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

void world_timed(struct durable_test *t, struct test_operation *op)
{
    int64_t at_ms = own_due(op);
    if (at_ms == INT64_MAX || at_ms == op->timed_ms)
        return;
    op->timed_ms = at_ms;
    timers_add(&t->timers, (struct timer){ at_ms, true, op->index });
}

/* Nothing is due of the operation any more, or at another time. */
static bool outdated(const struct durable_test *t, const struct timer *timer)
{
    return timer->own && own_due(t->op[timer->which]) != timer->at_ms;
}

/* The earliest, or NULL. What is due later than it was comes later. */
static const struct timer *earliest(struct durable_test *t)
{
    const struct timer *first;
    while ((first = timers_first(&t->timers)) && outdated(t, first)) {
        struct test_operation *op = t->op[first->which];
        timers_drop_first(&t->timers);
        op->timed_ms = 0;
        world_timed(t, op);
    }
    return first;
}

int64_t world_next_ms(struct durable_test *t)
{
    const struct timer *first = earliest(t);
    return first ? first->at_ms : INT64_MAX;
}

void world_pass(struct durable_test *t, int64_t now_ms)
{
    for (const struct timer *first; (first = earliest(t)) && first->at_ms <= now_ms;) {
        const struct timer timer = *first;
        timers_drop_first(&t->timers);
        if (timer.own) {
            t->op[timer.which]->timed_ms = 0;
            do_own(t, t->op[timer.which]);
        } else {
            do_happening(t, &t->happening[timer.which]);
        }
    }
}
