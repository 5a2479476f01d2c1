#include "shared/durable/payload.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define DEPTH 256

void payload_release(struct payload *p)
{
    free(p->text);
    *p = (struct payload){ 0 };
}

/* json-c clears a stack as deep as it may need: no deeper than there are brackets. */
static int depth_of(const char *text, size_t len)
{
    int depth = 2;
    for (size_t i = 0; i < len && depth < DEPTH; i++)
        depth += text[i] == '{' || text[i] == '[';
    return depth;
}

static int read_json(const char *text, size_t len, struct json_object **out,
                     struct durable_error *err)
{
    struct json_object *value = NULL;
    struct error why;
    if (len > 0 && json_parse(text, len, depth_of(text, len), &value, &why) < 0) {
        durable_error_set(err, SERIALISATION_TYPE, "%s", why.msg);
        return -1;
    }
    *out = value;
    return 0;
}

/* A serdes may fail without saying why. */
static int serdes_failed(struct durable_error *err, const char *what)
{
    if (!err->type && !err->message)
        durable_error_set(err, SERIALISATION_TYPE, "the value could not be %s", what);
    return -1;
}

static int write_custom(struct json_object *value, const struct codec *codec, struct payload *p,
                        struct durable_error *err)
{
    char *text = NULL;
    if (codec->serdes->serialise(value, &codec->of, codec->serdes->arg, &text, err) < 0) {
        free(text);
        return serdes_failed(err, "serialised");
    }
    if (text && !utf8_valid(text, strlen(text))) {
        free(text);
        durable_error_set(err, SERIALISATION_TYPE, "the serialised value is not UTF-8");
        return -1;
    }
    p->text = text;
    p->len = text ? strlen(text) : 0;
    return 0;
}

int payload_write(struct json_object *value, const struct codec *codec, struct payload *p,
                  struct durable_error *err)
{
    payload_release(p);
    if (codec->serdes && codec->serdes->serialise)
        return write_custom(value, codec, p, err);
    if (!value)
        return 0;
    size_t len;
    const char *text = json_text(value, &len);
    p->text = mem_dup_len(text, len);
    p->len = len;
    /* json-c writes what is not JSON without a word. */
    struct json_object *back = NULL;
    int rc = read_json(p->text, p->len, &back, err);
    json_object_put(back);
    if (rc < 0)
        payload_release(p);
    return rc;
}

int payload_read(const char *text, size_t len, const struct codec *codec, struct json_object **out,
                 struct durable_error *err)
{
    struct json_object *value = NULL;
    int rc = 0;
    if (len > 0 && codec->serdes && codec->serdes->deserialise) {
        rc = codec->serdes->deserialise(text, len, &codec->of, codec->serdes->arg, &value, err);
        if (rc < 0) {
            json_object_put(value);
            return serdes_failed(err, "deserialised");
        }
    } else {
        rc = read_json(text, len, &value, err);
    }
    if (rc == 0 && out)
        *out = value;
    else
        json_object_put(value);
    return rc;
}

int payload_round_trip(struct json_object **value, const struct codec *codec, struct payload *p,
                       struct durable_error *err)
{
    if (codec->serdes && codec->serdes->serialise) {
        if (payload_write(*value, codec, p, err) < 0)
            return -1;
    } else {
        /* Reading the text back is the check of payload_write too: once is enough. */
        payload_release(p);
        if (!*value)
            return 0;
        const char *text = json_text(*value, &p->len);
        p->text = mem_dup_len(text, p->len);
    }
    json_object_put(*value);
    *value = NULL;
    if (payload_read(p->text, p->len, codec, value, err) == 0)
        return 0;
    payload_release(p);
    return -1;
}
