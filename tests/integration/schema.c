#include "tests/integration/schema.h"

#include <regex.h>
#include <string.h>

#include "shared/base/clock.h"

/* Where we are, and in what. */
struct place {
    struct json_object *root;
    const struct place *up;
    const char *key; /* the member, or NULL for an item */
    size_t index;
};

typedef int check_fn(const struct place *at, struct json_object *schema, struct json_object *rule,
                     struct json_object *value, struct error *err);
static int check(const struct place *at, struct json_object *schema, struct json_object *value,
                 struct error *err);

static void write_place(const struct place *at, struct buf *b)
{
    if (!at->up)
        return;
    write_place(at->up, b);
    if (at->key)
        buf_printf(b, "/%s", at->key);
    else
        buf_printf(b, "/%zu", at->index);
}

static int wrong(const struct place *at, struct error *err, const char *what)
{
    auto_buf struct buf b = BUF_INIT(1000);
    write_place(at, &b);
    return error_set(err, ERR_INVALID, 0, "%s: %s", b.len ? buf_str(&b) : "/", what);
}

struct json_object *schema_resolve(struct json_object *root, const char *ref)
{
    struct json_object *o = root;
    auto_free char *text = mem_dup(strncmp(ref, "#/", 2) == 0 ? ref + 2 : "");
    char *rest = text;
    for (char *part = strtok_r(text, "/", &rest); part && o; part = strtok_r(NULL, "/", &rest))
        o = json_get(o, part);
    return o;
}

/* ---- keywords -------------------------------------------------------------------------------- */

static bool is_type(const char *type, struct json_object *v)
{
    static const struct {
        const char *name;
        enum json_type type;
    } types[] = {
        { "null", json_type_null },     { "boolean", json_type_boolean },
        { "integer", json_type_int },   { "number", json_type_int },
        { "number", json_type_double }, { "object", json_type_object },
        { "array", json_type_array },   { "string", json_type_string },
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, type) == 0 && json_object_is_type(v, types[i].type))
            return true;
    return false;
}

static int check_type(const struct place *at, struct json_object *schema, struct json_object *rule,
                      struct json_object *value, struct error *err)
{
    (void)schema;
    bool one = json_object_is_type(rule, json_type_string);
    for (size_t i = 0; i < (one ? 1 : json_object_array_length(rule)); i++)
        if (is_type(json_object_get_string(one ? rule : json_object_array_get_idx(rule, i)), value))
            return 0;
    return wrong(at, err, "is of another type");
}

static int check_enum(const struct place *at, struct json_object *schema, struct json_object *rule,
                      struct json_object *value, struct error *err)
{
    (void)schema;
    for (size_t i = 0; i < json_object_array_length(rule); i++)
        if (json_object_equal(json_object_array_get_idx(rule, i), value))
            return 0;
    return wrong(at, err, "is not in the enum");
}

static int check_required(const struct place *at, struct json_object *schema,
                          struct json_object *rule, struct json_object *value, struct error *err)
{
    (void)schema;
    for (size_t i = 0; i < json_object_array_length(rule); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(rule, i));
        if (json_object_is_type(value, json_type_object) &&
            !json_object_object_get_ex(value, name, NULL)) {
            auto_free char *text = mem_printf("has no %s", name);
            return wrong(at, err, text);
        }
    }
    return 0;
}

static int check_properties(const struct place *at, struct json_object *schema,
                            struct json_object *rule, struct json_object *value, struct error *err)
{
    (void)schema;
    if (!json_object_is_type(value, json_type_object))
        return 0;
    json_object_object_foreach(value, key, member)
    {
        struct json_object *its = NULL;
        const struct place in = { .root = at->root, .up = at, .key = key };
        if (json_object_object_get_ex(rule, key, &its) && check(&in, its, member, err) < 0)
            return -1;
    }
    return 0;
}

static int check_additional(const struct place *at, struct json_object *schema,
                            struct json_object *rule, struct json_object *value, struct error *err)
{
    struct json_object *known = json_get_obj(schema, "properties");
    if (!json_object_is_type(value, json_type_object))
        return 0;
    json_object_object_foreach(value, key, member)
    {
        const struct place in = { .root = at->root, .up = at, .key = key };
        if ((!known || !json_object_object_get_ex(known, key, NULL)) &&
            check(&in, rule, member, err) < 0)
            return -1;
    }
    return 0;
}

static int check_items(const struct place *at, struct json_object *schema, struct json_object *rule,
                       struct json_object *value, struct error *err)
{
    (void)schema;
    if (!json_object_is_type(value, json_type_array))
        return 0;
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        const struct place in = { .root = at->root, .up = at, .index = i };
        if (check(&in, rule, json_object_array_get_idx(value, i), err) < 0)
            return -1;
    }
    return 0;
}

static int check_one_of(const struct place *at, struct json_object *schema,
                        struct json_object *rule, struct json_object *value, struct error *err)
{
    (void)schema;
    size_t fit = 0;
    for (size_t i = 0; i < json_object_array_length(rule); i++)
        fit += check(at, json_object_array_get_idx(rule, i), value, err) == 0;
    return fit == 1 ? 0 : wrong(at, err, fit ? "fits more than one" : "fits none of oneOf");
}

static int check_pattern(const struct place *at, struct json_object *schema,
                         struct json_object *rule, struct json_object *value, struct error *err)
{
    (void)schema;
    regex_t re;
    if (!json_object_is_type(value, json_type_string))
        return 0;
    if (regcomp(&re, json_object_get_string(rule), REG_EXTENDED | REG_NOSUB) != 0)
        return wrong(at, err, "the pattern is no extended regular expression");
    int rc = regexec(&re, json_object_get_string(value), 0, NULL, 0);
    regfree(&re);
    return rc == 0 ? 0 : wrong(at, err, "does not fit the pattern");
}

static int check_format(const struct place *at, struct json_object *schema,
                        struct json_object *rule, struct json_object *value, struct error *err)
{
    (void)schema;
    int64_t ignored;
    if (strcmp(json_object_get_string(rule), "date-time") != 0)
        return wrong(at, err, "has a format that is not known here");
    return clock_parse(json_object_get_string(value), &ignored) == 0
               ? 0
               : wrong(at, err, "is no date-time");
}

/* The size that a bound is for: of a number itself, of a string or array its length. */
static double measure(struct json_object *v)
{
    if (json_object_is_type(v, json_type_string))
        return json_object_get_string_len(v);
    if (json_object_is_type(v, json_type_array))
        return (double)json_object_array_length(v);
    return json_object_get_double(v);
}

static int check_min(const struct place *at, struct json_object *schema, struct json_object *rule,
                     struct json_object *value, struct error *err)
{
    (void)schema;
    return measure(value) < json_object_get_double(rule) ? wrong(at, err, "is too small") : 0;
}

static int check_max(const struct place *at, struct json_object *schema, struct json_object *rule,
                     struct json_object *value, struct error *err)
{
    (void)schema;
    return measure(value) > json_object_get_double(rule) ? wrong(at, err, "is too large") : 0;
}

static int check_ref(const struct place *at, struct json_object *schema, struct json_object *rule,
                     struct json_object *value, struct error *err)
{
    (void)schema;
    struct json_object *to = schema_resolve(at->root, json_object_get_string(rule));
    return to ? check(at, to, value, err) : wrong(at, err, "$ref leads nowhere");
}

static const struct {
    const char *name;
    check_fn *check; /* NULL: says nothing about values */
} keywords[] = {
    { "$ref", check_ref },
    { "type", check_type },
    { "enum", check_enum },
    { "required", check_required },
    { "properties", check_properties },
    { "additionalProperties", check_additional },
    { "items", check_items },
    { "oneOf", check_one_of },
    { "pattern", check_pattern },
    { "format", check_format },
    { "minimum", check_min },
    { "minLength", check_min },
    { "minItems", check_min },
    { "maximum", check_max },
    { "maxLength", check_max },
    { "maxItems", check_max },
    { "description", NULL },
    { "default", NULL },
};

static int check(const struct place *at, struct json_object *schema, struct json_object *value,
                 struct error *err)
{
    if (json_object_is_type(schema, json_type_boolean))
        return json_object_get_boolean(schema) ? 0 : wrong(at, err, "is not declared");
    json_object_object_foreach(schema, word, rule)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(keywords) && strcmp(keywords[i].name, word) != 0)
            i++;
        if (i == ARRAY_LEN(keywords))
            return wrong(at, err, word);
        if (keywords[i].check && keywords[i].check(at, schema, rule, value, err) < 0)
            return -1;
    }
    return 0;
}

int schema_check(struct json_object *root, struct json_object *schema, struct json_object *value,
                 struct error *err)
{
    const struct place at = { .root = root };
    return check(&at, schema, value, err);
}
