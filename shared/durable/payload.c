#include "shared/durable/payload.h"

#include <stdlib.h>

#include "shared/base/json.h"

#define DEPTH 256

void payload_release(struct payload *p)
{
    free(p->text);
    *p = (struct payload){ 0 };
}

int payload_decode(const char *text, size_t len, struct json_object **out,
                   struct durable_error *err)
{
    struct json_object *value = NULL;
    struct error why;
    if (len > 0 && json_parse(text, len, DEPTH, &value, &why) < 0) {
        durable_error_set(err, SERIALISATION_TYPE, "%s", why.msg);
        return -1;
    }
    if (out)
        *out = value;
    else
        json_object_put(value);
    return 0;
}

int payload_encode(struct json_object **value, struct payload *p, struct durable_error *err)
{
    payload_release(p);
    if (!*value)
        return 0;
    size_t len;
    const char *text = json_text(*value, &len);
    p->text = mem_dup_len(text, len);
    p->len = len;
    json_object_put(*value);
    *value = NULL;
    if (payload_decode(p->text, p->len, value, err) == 0)
        return 0;
    payload_release(p);
    return -1;
}
