#include "shared/base/json.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/utf8.h"

void json_put_ptr(struct json_object **o)
{
    json_object_put(*o);
    *o = NULL;
}

/* The end of the number at `p` by RFC 8259's grammar, or NULL. */
static const char *number_end(const char *p, const char *end)
{
    p += *p == '-';
    const char *digits = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if (p == digits || (*digits == '0' && p - digits > 1))
        return NULL;
    if (p < end && *p == '.') {
        digits = ++p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        if (p == digits)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        digits = p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        if (p == digits)
            return NULL;
    }
    return p;
}

/* json-c would silently turn such a number into the nearest one that it can hold. */
static bool beyond_64_bits(const char *p, const char *after)
{
    char digits[24];
    size_t len = (size_t)(after - p);
    if (len < 19 || memchr(p, '.', len) || memchr(p, 'e', len) || memchr(p, 'E', len))
        return false;
    if (len >= sizeof(digits))
        return true;
    memcpy(digits, p, len);
    digits[len] = '\0';
    errno = 0;
    if (*p == '-')
        strtoll(digits, NULL, 10);
    else
        strtoull(digits, NULL, 10);
    return errno == ERANGE;
}

/* What json-c must not see as it is. */
struct oddities {
    bool wide;      /* an integer beyond 64 bits */
    bool non_ascii; /* 0.18's strict mode takes it for control characters */
};

/* Where json-c's strict mode is not: it takes NaN, Infinity, 1. and -01, and control characters
 * inside strings. Returns the first such place, or NULL with *odd. */
static const char *not_strict(const char *p, const char *end, struct oddities *odd)
{
    bool inside = false;
    while (p < end) {
        unsigned char c = (unsigned char)*p;
        odd->non_ascii |= c >= 0x80;
        if (inside) {
            if (c < 0x20)
                return p;
            inside = c != '"';
            p += c == '\\' ? 2 : 1;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            const char *after = number_end(p, end);
            if (!after)
                return p;
            odd->wide |= beyond_64_bits(p, after);
            p = after;
        } else {
            if (c == 'N' || c == 'I')
                return p;
            inside = c == '"';
            p++;
        }
    }
    return NULL;
}

/* A character beyond ASCII as \u escapes; returns its length. */
static size_t escape_character(struct buf *out, const char *p, const char *end)
{
    static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    size_t n = utf8_sequence(p, (size_t)(end - p));
    uint32_t c = (unsigned char)*p & lead[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    if (c < 0x10000) {
        buf_printf(out, "\\u%04x", c);
    } else {
        c -= 0x10000;
        buf_printf(out, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
    }
    return n;
}

/* The same value, written so that json-c keeps it: ".0" behind integers beyond 64 bits, since it
 * keeps the digits of fractions as they are, and escapes for what is not ASCII. The text is UTF-8
 * and has passed not_strict. */
static void rewrite(struct buf *out, const char *p, const char *end)
{
    bool inside = false;
    while (p < end) {
        unsigned char c = (unsigned char)*p;
        size_t len = 1;
        if (c >= 0x80) {
            p += escape_character(out, p, end);
            continue;
        }
        if (!inside && (c == '-' || (c >= '0' && c <= '9'))) {
            const char *after = number_end(p, end);
            len = (size_t)(after - p);
            buf_add(out, p, len);
            if (beyond_64_bits(p, after))
                buf_add_str(out, ".0");
            p = after;
            continue;
        }
        if (inside && c == '\\' && p + 1 < end && (unsigned char)p[1] < 0x80)
            len = 2;
        else if (c == '"')
            inside = !inside;
        buf_add(out, p, len);
        p += len;
    }
}

static int parse(const char *text, size_t len, int depth, struct json_object **out,
                 struct error *err)
{
    struct json_tokener *tok = json_tokener_new_ex(depth);
    if (!tok)
        abort();
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    struct json_object *o = json_tokener_parse_ex(tok, text, (int)len);
    enum json_tokener_error e = json_tokener_get_error(tok);
    size_t end = json_tokener_get_parse_end(tok);
    if (e == json_tokener_continue) { /* a bare number ends only at the end of the text */
        o = json_tokener_parse_ex(tok, "", 1);
        e = json_tokener_get_error(tok);
        end = len;
    }
    json_tokener_free(tok);
    if (e == json_tokener_success) {
        while (end < len && text[end] && strchr(" \t\r\n", text[end]))
            end++;
        if (end == len) {
            *out = o;
            return 0;
        }
        e = json_tokener_error_parse_unexpected;
    }
    json_object_put(o);
    return error_set(err, ERR_INVALID, (int)e, "not JSON: %s at byte %zu",
                     e == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(e),
                     end);
}

/* Both kinds of rewriting make a text at most three times as long: a character of two bytes becomes
 * six. */
#define REWRITE_FACTOR 3

int json_parse(const char *text, size_t len, int depth, struct json_object **out, struct error *err)
{
    struct oddities odd = { 0 };
    *out = NULL;
    if (len == 0)
        return error_set(err, ERR_INVALID, 0, "empty where JSON is expected");
    if (len > INT_MAX / REWRITE_FACTOR)
        return error_set(err, ERR_TOO_LARGE, 0, "JSON text of %zu bytes", len);
    if (!utf8_valid(text, len)) /* json-c 0.18's own check refuses what is valid */
        return error_set(err, ERR_INVALID, 0, "not JSON: not UTF-8");
    const char *wrong = not_strict(text, text + len, &odd);
    if (wrong)
        return error_set(err, ERR_INVALID, 0, "not JSON: unexpected character at byte %zu",
                         (size_t)(wrong - text));
    if (!odd.wide && !(odd.non_ascii && json_c_version_num() >= (18 << 8)))
        return parse(text, len, depth, out, err);
    auto_buf struct buf same = BUF_INIT(REWRITE_FACTOR * len);
    rewrite(&same, text, text + len);
    return parse(buf_str(&same), same.len, depth, out, err);
}

int json_parse_str(const char *text, struct json_object **out, struct error *err)
{
    return json_parse(text, strlen(text), JSON_DEPTH, out, err);
}

const char *json_text(struct json_object *o, size_t *len)
{
    size_t n = 4;
    const char *s = "null";
    if (o)
        s = json_object_to_json_string_length(
            o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
    if (!s)
        abort();
    if (len)
        *len = n;
    return s;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void canonical_object(struct buf *out, struct json_object *o)
{
    size_t count = (size_t)json_object_object_length(o);
    auto_free const char **names = mem_array(count, sizeof(*names));
    size_t n = 0;
    json_object_object_foreach(o, key, value)
    {
        (void)value;
        names[n++] = key;
    }
    qsort(names, n, sizeof(*names), by_name);
    buf_add_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json_str(out, names[i]);
        buf_add_char(out, ':');
        json_canonical(out, json_object_object_get(o, names[i]));
    }
    buf_add_char(out, '}');
}

void json_canonical(struct buf *out, struct json_object *o)
{
    if (json_object_is_type(o, json_type_object)) {
        canonical_object(out, o);
    } else if (json_object_is_type(o, json_type_array)) {
        size_t n = json_object_array_length(o);
        buf_add_char(out, '[');
        for (size_t i = 0; i < n; i++) {
            if (i)
                buf_add_char(out, ',');
            json_canonical(out, json_object_array_get_idx(o, i));
        }
        buf_add_char(out, ']');
    } else if (json_object_is_type(o, json_type_string)) {
        buf_add_json(out, json_object_get_string(o), (size_t)json_object_get_string_len(o));
    } else {
        size_t len;
        const char *s = json_text(o, &len);
        buf_add(out, s, len);
    }
}

/* json-c has NULL for what it has no memory for, and a document with NULL in it says null. */
static struct json_object *must(struct json_object *o)
{
    if (!o)
        abort();
    return o;
}

struct json_object *json_new_str(const char *s)
{
    return s ? must(json_object_new_string(s)) : NULL;
}

struct json_object *json_new_str_len(const char *s, size_t len)
{
    return must(json_object_new_string_len(s, (int)len));
}

void json_add(struct json_object *o, const char *key, struct json_object *v)
{
    if (json_object_object_add(o, key, v) < 0)
        abort();
}

void json_push(struct json_object *list, struct json_object *v)
{
    if (json_object_array_add(list, v) < 0)
        abort();
}

void json_add_str(struct json_object *o, const char *key, const char *s)
{
    if (s)
        json_add(o, key, json_new_str(s));
}

void json_add_int(struct json_object *o, const char *key, int64_t v)
{
    json_add(o, key, must(json_object_new_int64(v)));
}

void json_add_bool(struct json_object *o, const char *key, bool v)
{
    json_add(o, key, must(json_object_new_boolean(v)));
}

struct json_object *json_get(const struct json_object *o, const char *key)
{
    struct json_object *v = NULL;
    if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v))
        return NULL;
    return v;
}

static struct json_object *get_typed(const struct json_object *o, const char *key,
                                     enum json_type type)
{
    struct json_object *v = json_get(o, key);
    return json_object_is_type(v, type) ? v : NULL;
}

const char *json_get_str(const struct json_object *o, const char *key)
{
    struct json_object *v = get_typed(o, key, json_type_string);
    return v ? json_object_get_string(v) : NULL;
}

int64_t json_get_int(const struct json_object *o, const char *key, int64_t otherwise)
{
    struct json_object *v = json_get(o, key);
    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return otherwise;
    return json_object_get_int64(v);
}

double json_get_double(const struct json_object *o, const char *key, double otherwise)
{
    struct json_object *v = json_get(o, key);
    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return otherwise;
    return json_object_get_double(v);
}

bool json_get_bool(const struct json_object *o, const char *key, bool otherwise)
{
    struct json_object *v = get_typed(o, key, json_type_boolean);
    return v ? json_object_get_boolean(v) : otherwise;
}

struct json_object *json_get_obj(const struct json_object *o, const char *key)
{
    return get_typed(o, key, json_type_object);
}

struct json_object *json_get_arr(const struct json_object *o, const char *key)
{
    return get_typed(o, key, json_type_array);
}

void json_pointer_add(struct buf *out, const char *key)
{
    buf_add_char(out, '/');
    for (const char *p = key; *p; p++) {
        if (*p == '~')
            buf_add_str(out, "~0");
        else if (*p == '/')
            buf_add_str(out, "~1");
        else
            buf_add_char(out, *p);
    }
}

/* "/at/key: ", then the text. */
static int field_error(struct error *err, const char *at, const char *key, const char *text)
{
    auto_buf struct buf b = BUF_INIT(257);
    json_pointer_add(&b, key);
    return error_set(err, ERR_INVALID, 0, "%s%s: %s", at, buf_str(&b), text);
}

int json_field_str(struct json_object *o, const char *at, const char *key, size_t max,
                   const char **out, struct error *err)
{
    struct json_object *v = json_get(o, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, json_type_string))
        return field_error(err, at, key, "must be a string");
    size_t len = (size_t)json_object_get_string_len(v);
    const char *s = json_object_get_string(v);
    if (len > max) {
        auto_free char *text = mem_printf("must be at most %zu bytes long, it has %zu", max, len);
        return field_error(err, at, key, text);
    }
    if (memchr(s, '\0', len))
        return field_error(err, at, key, "must not contain NUL");
    *out = s;
    return 1;
}

int json_field_int(struct json_object *o, const char *at, const char *key, int64_t min, int64_t max,
                   int64_t *out, struct error *err)
{
    struct json_object *v = json_get(o, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, json_type_int))
        return field_error(err, at, key, "must be an integer");
    int64_t i = json_object_get_int64(v);
    bool beyond = json_object_get_uint64(v) > INT64_MAX; /* `i` is the nearest then */
    if (i < min || i > max || beyond) {
        auto_free char *text =
            mem_printf("must be from %lld to %lld", (long long)min, (long long)max);
        return field_error(err, at, key, text);
    }
    *out = i;
    return 1;
}

int json_field_double(struct json_object *o, const char *at, const char *key, double min,
                      double max, double *out, struct error *err)
{
    struct json_object *v = json_get(o, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, json_type_double) && !json_object_is_type(v, json_type_int))
        return field_error(err, at, key, "must be a number");
    double d = json_object_get_double(v);
    if (isnan(d) || d < min || d > max) {
        auto_free char *text = mem_printf("must be from %g to %g", min, max);
        return field_error(err, at, key, text);
    }
    *out = d;
    return 1;
}

int json_field_bool(struct json_object *o, const char *at, const char *key, bool *out,
                    struct error *err)
{
    struct json_object *v = json_get(o, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, json_type_boolean))
        return field_error(err, at, key, "must be true or false");
    *out = json_object_get_boolean(v);
    return 1;
}

int json_field_obj(struct json_object *o, const char *at, const char *key, struct json_object **out,
                   struct error *err)
{
    struct json_object *v = json_get(o, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, json_type_object))
        return field_error(err, at, key, "must be an object");
    *out = v;
    return 1;
}

int json_field_arr(struct json_object *o, const char *at, const char *key, size_t max_items,
                   struct json_object **out, struct error *err)
{
    struct json_object *v = json_get(o, key);
    if (!v)
        return 0;
    if (!json_object_is_type(v, json_type_array))
        return field_error(err, at, key, "must be an array");
    if (json_object_array_length(v) > max_items) {
        auto_free char *text = mem_printf("must have at most %zu items", max_items);
        return field_error(err, at, key, text);
    }
    *out = v;
    return 1;
}

int json_field_known(struct json_object *o, const char *at, const char *const *known,
                     struct error *err)
{
    json_object_object_foreach(o, key, value)
    {
        (void)value;
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return field_error(err, at, key, "unknown field");
    }
    return 0;
}
