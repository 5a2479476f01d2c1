#include "local/config_read.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT 4096

char *config_below(const char *at, const char *key)
{
    auto_buf struct buf b = BUF_INIT(4096);
    buf_add_str(&b, at);
    json_pointer_add(&b, key);
    return buf_take(&b, NULL);
}

char *config_item(const char *at, size_t i)
{
    return mem_printf("%s/%zu", at, i);
}

static bool is_name(const char *s)
{
    return *s && strlen(s) <= 64 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
               strlen(s);
}

int config_check_name(const char *at, const char *name, struct error *err)
{
    if (is_name(name))
        return 0;
    return error_set(err, ERR_INVALID, 0,
                     "%s: a name has 1 to 64 letters, digits, hyphens and underscores", at);
}

int config_required(int found, const char *at, const char *key, struct error *err)
{
    if (found == 0)
        return error_set(err, ERR_INVALID, 0, "%s/%s: is missing", at, key);
    return found;
}

int config_str(struct json_object *o, const char *at, const char *key, char **out,
               struct error *err)
{
    const char *s;
    int found = json_field_str(o, at, key, MAX_TEXT, &s, err);
    if (found == 1) {
        free(*out);
        *out = mem_dup(s);
    }
    return found;
}

int config_name(struct json_object *o, const char *at, const char *key, char **out,
                struct error *err)
{
    int found = config_str(o, at, key, out, err);
    if (found != 1)
        return found;
    auto_free char *here = config_below(at, key);
    return config_check_name(here, *out, err) < 0 ? -1 : 1;
}

void config_free_list(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

int config_list(struct json_object *o, const char *at, const char *key, char ***out,
                struct error *err)
{
    struct json_object *list = NULL;
    if (json_field_arr(o, at, key, CONFIG_ITEMS, &list, err) < 0)
        return -1;
    size_t n = list ? json_object_array_length(list) : 0;
    *out = mem_array(n + 1, sizeof(**out));
    auto_free char *here = config_below(at, key);
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *s =
            json_object_is_type(item, json_type_string) ? json_object_get_string(item) : NULL;
        if (!s || strlen(s) != (size_t)json_object_get_string_len(item))
            return error_set(err, ERR_INVALID, 0, "%s/%zu: must be a string without NUL", here, i);
        (*out)[i] = mem_dup(s);
    }
    return 0;
}

int config_environment(struct json_object *o, const char *at, char ***out, struct error *err)
{
    struct json_object *map = NULL;
    if (json_field_obj(o, at, "environment", &map, err) < 0)
        return -1;
    size_t n = map ? (size_t)json_object_object_length(map) : 0, i = 0;
    *out = mem_array(n + 1, sizeof(**out));
    if (!map)
        return 0;
    auto_free char *here = config_below(at, "environment");
    json_object_object_foreach(map, key, unused)
    {
        (void)unused;
        const char *value;
        if (!*key || strchr(key, '='))
            return error_set(err, ERR_INVALID, 0, "%s/%s: not the name of a variable", here, key);
        int found = json_field_str(map, here, key, CONFIG_FILE, &value, err);
        if (config_required(found, here, key, err) < 0)
            return -1;
        (*out)[i++] = mem_printf("%s=%s", key, value);
    }
    return 0;
}

bool config_is_digits(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}
