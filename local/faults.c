#include "local/faults.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX  1024
#define DELAY_MAX (3600 * 1000)

struct faults {
    struct fault items[FAULTS_MAX];
    size_t count;
};

static void release(struct fault *fault)
{
    free(fault->operation);
    free(fault->code);
    free(fault->message);
    free(fault->function);
    free(fault->source);
}

void fault_free(struct fault *fault)
{
    if (!fault)
        return;
    release(fault);
    free(fault);
}

struct faults *faults_new(void)
{
    return mem_alloc(sizeof(struct faults));
}

void faults_clear(struct faults *f)
{
    while (f->count > 0)
        release(&f->items[--f->count]);
}

void faults_free(struct faults *f)
{
    if (!f)
        return;
    faults_clear(f);
    free(f);
}

/* ---- what is ordered --------------------------------------------------------------------------*/

static int read_action(struct json_object *o, enum fault_action *action, struct error *err)
{
    static const struct {
        const char *name;
        enum fault_action action;
    } actions[] = {
        { "error", FAULT_ERROR },   { "delay", FAULT_DELAY },
        { "drop", FAULT_DROP },     { "kill-function", FAULT_KILL_FUNCTION },
        { "double", FAULT_DOUBLE }, { "task", FAULT_TASK },
    };
    const char *name = NULL;
    if (json_field_str(o, "", "action", 32, &name, err) < 0)
        return -1;
    for (size_t i = 0; name && i < ARRAY_LEN(actions); i++)
        if (strcmp(actions[i].name, name) == 0) {
            *action = actions[i].action;
            return 0;
        }
    return error_set(err, ERR_INVALID, 0,
                     "/action: must be error, delay, drop, kill-function, task or double");
}

static int read_text(struct json_object *o, const char *key, char **out, struct error *err)
{
    const char *s = NULL;
    if (json_field_str(o, "", key, TEXT_MAX, &s, err) < 0)
        return -1;
    *out = mem_dup(s);
    return 0;
}

static int read_outcome(struct json_object *o, struct fault *fault, struct error *err)
{
    const char *word = NULL;
    int found = json_field_str(o, "", "outcome", TEXT_MAX, &word, err);
    if (found < 0)
        return -1;
    if ((found == 1) != (fault->action == FAULT_TASK))
        return error_set(err, ERR_INVALID, 0, "/outcome: belongs to the action task, and needs it");
    if (found == 1 && ecs_fate_parse(word, &fault->outcome) < 0)
        return error_set(err, ERR_INVALID, 0,
                         "/outcome: must be no-capacity, never-starts, image-pull, spot, "
                         "out-of-memory, no-container or stopped-by-user");
    return 0;
}

/* "before" or "after" the effect. */
static int read_when(struct json_object *o, struct fault *fault, struct error *err)
{
    const char *word = NULL;
    int found = json_field_str(o, "", "when", TEXT_MAX, &word, err);
    if (found < 1)
        return found;
    fault->early = strcmp(word, "before") == 0;
    if (fault->action != FAULT_KILL_FUNCTION || (!fault->early && strcmp(word, "after") != 0))
        return error_set(err, ERR_INVALID, 0, "/when: before or after, for kill-function only");
    return 0;
}

/* What fits together. */
static int check_fault(const struct fault *fault, struct error *err)
{
    bool events = strcmp(fault->operation, FAULT_EVENTS) == 0;
    bool for_events = fault->action == FAULT_DROP || fault->action == FAULT_DELAY ||
                      fault->action == FAULT_DOUBLE;
    if (events && !for_events)
        return error_set(err, ERR_INVALID, 0, "/action: for PutEvents it is drop, double or delay");
    if (fault->action == FAULT_DOUBLE && !events)
        return error_set(err, ERR_INVALID, 0, "/action: only PutEvents can be doubled");
    if (fault->action == FAULT_TASK && strcmp(fault->operation, "RunTask") != 0)
        return error_set(err, ERR_INVALID, 0, "/action: task is for RunTask only");
    if (fault->source && (!events || (strcmp(fault->source, "aws.ecs") != 0 &&
                                      strcmp(fault->source, "aws.lambda") != 0)))
        return error_set(err, ERR_INVALID, 0, "/source: aws.ecs or aws.lambda, for PutEvents only");
    return 0;
}

static int read_fault(struct json_object *o, struct fault *fault, struct error *err)
{
    static const char *const known[] = { "operation", "action",  "times",
                                         "skip",      "status",  "code",
                                         "message",   "delayMs", "retryAfterSeconds",
                                         "function",  "outcome", "source",
                                         "when",      NULL };
    fault->times = 1;
    fault->status = 500;
    if (!json_object_is_type(o, json_type_object))
        return error_set(err, ERR_INVALID, 0, "a fault is a JSON object");
    if (json_field_known(o, "", known, err) < 0 || read_action(o, &fault->action, err) < 0 ||
        read_text(o, "operation", &fault->operation, err) < 0 ||
        read_text(o, "code", &fault->code, err) < 0 ||
        read_text(o, "message", &fault->message, err) < 0 ||
        read_text(o, "function", &fault->function, err) < 0 ||
        read_text(o, "source", &fault->source, err) < 0 || read_outcome(o, fault, err) < 0 ||
        read_when(o, fault, err) < 0 ||
        json_field_int(o, "", "times", -1, INT32_MAX, &fault->times, err) < 0 ||
        json_field_int(o, "", "skip", 0, INT32_MAX, &fault->skip, err) < 0 ||
        json_field_int(o, "", "status", 400, 599, &fault->status, err) < 0 ||
        json_field_int(o, "", "retryAfterSeconds", 0, 86400, &fault->retry_after_s, err) < 0 ||
        json_field_int(o, "", "delayMs", 0, DELAY_MAX, &fault->delay_ms, err) < 0)
        return -1;
    if (!fault->operation || !*fault->operation)
        return error_set(err, ERR_INVALID, 0, "/operation: is missing");
    if (fault->times == 0)
        return error_set(err, ERR_INVALID, 0, "/times: must be positive, or -1 for always");
    if (fault->action == FAULT_KILL_FUNCTION && !fault->function)
        return error_set(err, ERR_INVALID, 0, "/function: is missing");
    return check_fault(fault, err);
}

int faults_add(struct faults *f, struct json_object *o, struct error *err)
{
    struct fault fault = { 0 };
    if (f->count == FAULTS_MAX)
        return error_set(err, ERR_TOO_LARGE, 0, "there are %d faults already", FAULTS_MAX);
    if (read_fault(o, &fault, err) < 0) {
        release(&fault);
        return -1;
    }
    f->items[f->count++] = fault;
    return 0;
}

void faults_describe(const struct faults *f, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < f->count; i++) {
        buf_add_str(out, i ? ",{\"operation\":" : "{\"operation\":");
        buf_add_json_str(out, f->items[i].operation);
        buf_printf(out, ",\"times\":%lld,\"skip\":%lld}", (long long)f->items[i].times,
                   (long long)f->items[i].skip);
    }
    buf_add_char(out, ']');
}

/* ---- what is met ------------------------------------------------------------------------------*/

static struct fault *copy(const struct fault *from)
{
    struct fault *to = mem_alloc(sizeof(*to));
    *to = *from;
    to->operation = mem_dup(from->operation);
    to->code = mem_dup(from->code);
    to->message = mem_dup(from->message);
    to->function = mem_dup(from->function);
    to->source = mem_dup(from->source);
    return to;
}

static void drop(struct faults *f, size_t i)
{
    release(&f->items[i]);
    f->count--;
    memmove(&f->items[i], &f->items[i + 1], (f->count - i) * sizeof(f->items[0]));
}

/* What comes. */
struct coming {
    const char *operation;
    const char *function; /* of a request; NULL: it is about none */
    const char *source;   /* of an event; NULL: it is a request */
};

/* Only an exact PutEvents stands for events. */
static bool fits(const struct fault *fault, const struct coming *c)
{
    if (c->source)
        return strcmp(fault->operation, FAULT_EVENTS) == 0 &&
               (!fault->source || strcmp(fault->source, c->source) == 0);
    if (fault->function && c->function && strcmp(fault->function, c->function) != 0)
        return false;
    return strcmp(fault->operation, "*") == 0 || strcmp(fault->operation, c->operation) == 0;
}

static struct fault *take(struct faults *f, const struct coming *c)
{
    struct fault *met = NULL;
    for (size_t i = 0; i < f->count; i++) {
        struct fault *fault = &f->items[i];
        if (!fits(fault, c))
            continue;
        if (fault->skip > 0) {
            fault->skip--;
        } else if (!met) {
            met = copy(fault);
            if (fault->times > 0 && --fault->times == 0)
                drop(f, i--);
        }
    }
    return met;
}

struct fault *faults_take(struct faults *f, const char *operation, const char *function)
{
    const struct coming c = { .operation = operation, .function = function };
    return take(f, &c);
}

struct fault *faults_take_event(struct faults *f, const char *source)
{
    const struct coming c = { .operation = FAULT_EVENTS, .source = source };
    return f ? take(f, &c) : NULL;
}
