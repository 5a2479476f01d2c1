#include "shared/durable/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define TYPE_MAX   256 /* bytes of an ErrorType that are sent */
#define FRAMES_MAX 32
#define CAUSED_BY  "Caused by: "
/* Names, quotes, braces and commas of an ErrorObject whose members are all there. */
#define PUNCTUATION 80

void durable_error_release(struct durable_error *err)
{
    free(err->type);
    free(err->message);
    free(err->data);
    for (size_t i = 0; i < err->stack_count; i++)
        free(err->stack[i]);
    free(err->stack);
    free(err->cause_type);
    *err = (struct durable_error){ 0 };
}

void durable_error_set(struct durable_error *err, const char *type, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *message = mem_vprintf(fmt, ap); /* first: an argument may be the error's own text */
    va_end(ap);
    char *copy = mem_dup(type);
    durable_error_release(err);
    err->type = copy;
    err->message = message;
}

void durable_error_set_data(struct durable_error *err, const char *data)
{
    char *copy = mem_dup(data);
    free(err->data);
    err->data = copy;
}

void durable_error_copy(struct durable_error *to, const struct durable_error *from)
{
    if (to == from)
        return;
    durable_error_release(to);
    to->type = mem_dup(from->type);
    to->message = mem_dup(from->message);
    to->data = mem_dup(from->data);
    to->cause_type = mem_dup(from->cause_type);
    if (from->stack_count == 0)
        return;
    to->stack = mem_array(from->stack_count, sizeof(*to->stack));
    for (; to->stack_count < from->stack_count; to->stack_count++)
        to->stack[to->stack_count] = mem_dup(from->stack[to->stack_count]);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What the sequence of `n` bytes at `s` (0: not UTF-8) takes inside a JSON string, see
 * buf_add_json. */
static size_t escaped_cost(const char *s, size_t n)
{
    unsigned char c = (unsigned char)*s;
    if (n == 0)
        return 3;
    if (n > 1)
        return n;
    if (c == '"' || c == '\\' || (c < 0x20 && c && strchr("\b\f\n\r\t", c)))
        return 2;
    return c < 0x20 ? 6 : 1;
}

/* The length of the longest beginning of `s` that takes at most `budget` bytes inside a JSON
 * string, and in *cost what it takes. */
static size_t fitting(const char *s, size_t budget, size_t *cost)
{
    size_t len = strlen(s);
    size_t i = 0;
    *cost = 0;
    while (i < len) {
        size_t n = utf8_sequence(s + i, len - i);
        size_t more = escaped_cost(s + i, n);
        if (*cost + more > budget)
            break;
        *cost += more;
        i += n ? n : 1;
    }
    return i;
}

static size_t whole_cost(const char *s)
{
    size_t cost = 0;
    if (s)
        fitting(s, SIZE_MAX, &cost);
    return cost;
}

static void add_member(struct buf *out, const char *name, const char *s, size_t len)
{
    buf_add_str(out, name);
    buf_add_json(out, s, len);
}

static void add_stack(struct buf *out, const struct durable_error *err, size_t budget)
{
    size_t count = err->stack_count < FRAMES_MAX ? err->stack_count : FRAMES_MAX;
    size_t fits = 0;
    for (size_t used = 0; fits < count; fits++) {
        used += whole_cost(err->stack[fits]) + 3;
        if (used > budget)
            break;
    }
    if (fits == 0)
        return;
    buf_add_str(out, ",\"StackTrace\":[");
    for (size_t i = 0; i < fits; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json_str(out, err->stack[i]);
    }
    buf_add_char(out, ']');
}

void error_object_write(struct buf *out, const struct durable_error *err)
{
    size_t cost;
    const char *type = err->type && err->type[0] ? err->type : "Error";
    size_t type_len = fitting(type, TYPE_MAX, &cost);
    size_t budget = ERROR_OBJECT_MAX - PUNCTUATION - cost;

    add_member(out, "{\"ErrorType\":", type, type_len);
    if (err->message) {
        size_t len = fitting(err->message, budget, &cost);
        add_member(out, ",\"ErrorMessage\":", err->message, len);
        budget -= cost;
    }
    bool cut = false;
    if (err->data) {
        size_t len = fitting(err->data, budget, &cost);
        cut = err->data[len] != '\0';
        if (len > 0 || !cut)
            add_member(out, ",\"ErrorData\":", err->data, len);
        budget -= cost;
    }
    if (!cut)
        add_stack(out, err, budget);
    buf_add_char(out, '}');
}

/* ---- reading --------------------------------------------------------------------------------- */

static void drop_frame(struct durable_error *err)
{
    free(err->stack[0]);
    err->stack_count--;
    memmove(err->stack, err->stack + 1, err->stack_count * sizeof(*err->stack));
}

static void cause_from_stack(struct durable_error *err)
{
    if (err->stack_count == 0 || strncmp(err->stack[0], CAUSED_BY, strlen(CAUSED_BY)) != 0)
        return;
    err->cause_type = mem_dup(err->stack[0] + strlen(CAUSED_BY));
    drop_frame(err);
}

void error_cause_to_stack(struct durable_error *err)
{
    if (!err->cause_type)
        return;
    err->stack = mem_resize(err->stack, err->stack_count + 1, sizeof(*err->stack));
    memmove(err->stack + 1, err->stack, err->stack_count * sizeof(*err->stack));
    err->stack[0] = mem_printf(CAUSED_BY "%s", err->cause_type);
    err->stack_count++;
}

void error_object_read(struct durable_error *err, const struct json_object *o)
{
    durable_error_release(err);
    err->type = mem_dup(json_get_str(o, "ErrorType"));
    err->message = mem_dup(json_get_str(o, "ErrorMessage"));
    err->data = mem_dup(json_get_str(o, "ErrorData"));
    struct json_object *stack = json_get_arr(o, "StackTrace");
    size_t count = stack ? json_object_array_length(stack) : 0;
    if (count > FRAMES_MAX)
        count = FRAMES_MAX;
    if (count == 0)
        return;
    err->stack = mem_array(count, sizeof(*err->stack));
    for (size_t i = 0; i < count; i++) {
        struct json_object *frame = json_object_array_get_idx(stack, i);
        if (json_object_is_type(frame, json_type_string))
            err->stack[err->stack_count++] = mem_dup(json_object_get_string(frame));
    }
    cause_from_stack(err);
}

void error_round_trip(struct durable_error *err)
{
    auto_buf struct buf b = BUF_INIT(ERROR_OBJECT_MAX + 1);
    auto_json struct json_object *o = NULL;
    error_object_write(&b, err);
    if (json_parse(buf_str(&b), b.len, JSON_DEPTH, &o, NULL) < 0)
        abort(); /* what error_object_write wrote is JSON */
    error_object_read(err, o);
}

void error_wrap_as(struct durable_error *err, const char *type, const char *fallback)
{
    free(err->cause_type);
    err->cause_type = err->type;
    err->type = mem_dup(type);
    if (!err->message)
        err->message = mem_dup(fallback);
}

void error_from(struct durable_error *to, const char *type, const struct error *from)
{
    if (from->type[0])
        durable_error_set(to, type, "%s: %s", from->type, from->msg);
    else
        durable_error_set(to, type, "%s", from->msg);
}
