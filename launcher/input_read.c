#include "launcher/input_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void input_fault(struct json_object **faults, const char *pointer, const char *fmt, ...)
{
    if (!*faults)
        *faults = json_object_new_array();
    if (json_object_array_length(*faults) >= INPUT_FAULTS)
        return;
    va_list ap;
    va_start(ap, fmt);
    auto_free char *detail = mem_vprintf(fmt, ap);
    va_end(ap);
    struct json_object *fault = json_object_new_object();
    json_add_str(fault, "pointer", pointer);
    json_add_str(fault, "detail", detail);
    json_push(*faults, fault);
}

char *input_faults_text(struct json_object *faults)
{
    auto_buf struct buf b = BUF_INIT(4096);
    for (size_t i = 0; i < json_object_array_length(faults); i++) {
        struct json_object *f = json_object_array_get_idx(faults, i);
        buf_printf(&b, "%s%s: %s", i ? "; " : "", json_get_str(f, "pointer"),
                   json_get_str(f, "detail"));
    }
    return buf_take(&b, NULL);
}

/* RFC 6901: "/at/key", the key escaped; a long one is cut. */
void input_pointer(char out[INPUT_POINTER], const char *at, const char *key)
{
    auto_buf struct buf b = BUF_INIT(INPUT_POINTER - 1);
    buf_add_str(&b, at);
    json_pointer_add(&b, key);
    snprintf(out, INPUT_POINTER, "%s", buf_str(&b));
}

/* Takes over what a json_field_ function said: "POINTER: detail". */
void input_field_fault(struct input_reader *r, const char *at, const char *key,
                       const struct error *err)
{
    char pointer[INPUT_POINTER];
    input_pointer(pointer, at, key);
    size_t skip = strlen(at) + 1 + strlen(key) + 2;
    const char *detail = strlen(err->msg) > skip ? err->msg + skip : err->msg;
    input_fault(&r->faults, pointer, "%s", detail);
}

bool input_read_int(struct input_reader *r, struct json_object *o, const char *at, const char *key,
                    int64_t min, int64_t max, int64_t *out)
{
    struct error err;
    int got = json_field_int(o, at, key, min, max, out, &err);
    if (got < 0)
        input_field_fault(r, at, key, &err);
    return got > 0;
}

bool input_read_str(struct input_reader *r, struct json_object *o, const char *at, const char *key,
                    size_t max, const char **out)
{
    struct error err;
    int got = json_field_str(o, at, key, max, out, &err);
    if (got < 0)
        input_field_fault(r, at, key, &err);
    return got > 0;
}

void input_check_members(struct input_reader *r, struct json_object *o, const char *at,
                         const char *const *known)
{
    json_object_object_foreach(o, key, value)
    {
        (void)value;
        char pointer[INPUT_POINTER];
        input_pointer(pointer, at, key);
        bool found = false;
        for (size_t i = 0; known[i] && !found; i++)
            found = strcmp(known[i], key) == 0;
        if (!found)
            input_fault(&r->faults, pointer, "unknown field");
    }
}
