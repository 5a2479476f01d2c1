#include "tests/conformance/values.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct durable_step_opts no_retry = { .retry = { .max_attempts = 1 } };

struct durable_retry every_second(unsigned attempts)
{
    return (struct durable_retry){ .max_attempts = attempts,
                                   .first_delay_s = 1,
                                   .max_delay_s = 1,
                                   .jitter = DURABLE_JITTER_NONE };
}

const char *text_of(struct json_object *value)
{
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

const char *text_at(struct json_object *object, const char *key)
{
    return text_of(json_object_object_get(object, key));
}

struct json_object *new_text(const char *text)
{
    return json_object_new_string(text);
}

struct json_object *new_text_f(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return new_text(text);
}

struct json_object *upper_case(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    for (char *p = copy; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    struct json_object *value = new_text(copy);
    free(copy);
    return value;
}

struct json_object *new_filler(char ch, size_t len)
{
    char *text = malloc(len);
    if (!text)
        abort();
    memset(text, ch, len);
    struct json_object *value = json_object_new_string_len(text, (int)len);
    free(text);
    return value;
}

enum durable_rc wait_and_give(struct durable_ctx *ctx, int64_t seconds, struct json_object *value,
                              struct json_object **out, struct durable_error *err)
{
    enum durable_rc rc = durable_wait(ctx, NULL, seconds, err);
    if (rc == DURABLE_OK)
        *out = value;
    else
        json_object_put(value);
    return rc;
}

static int shout(struct json_object *value, const struct durable_payload_of *of, void *arg,
                 char **text, struct durable_error *err)
{
    (void)of, (void)arg, (void)err;
    struct json_object *upper = upper_case(text_of(value));
    *text = strdup(text_of(upper));
    json_object_put(upper);
    return 0;
}

static int read_raw(const char *text, size_t len, const struct durable_payload_of *of, void *arg,
                    struct json_object **value, struct durable_error *err)
{
    (void)of, (void)arg, (void)err;
    *value = json_object_new_string_len(text, (int)len);
    return 0;
}

const struct durable_serdes shouting = { .serialise = shout, .deserialise = read_raw };

int give_json(struct durable_step *step, void *arg, struct json_object **out,
              struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_get(arg);
    return 0;
}

int give_text(struct durable_step *step, void *arg, struct json_object **out,
              struct durable_error *err)
{
    (void)step, (void)err;
    *out = new_text(*(const char **)arg);
    return 0;
}

int fail_always(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)arg, (void)out;
    durable_error_set(err, "Error", "attempt %u fails", durable_step_attempt(step));
    return -1;
}

int fail_once(struct durable_step *step, void *arg, struct json_object **out,
              struct durable_error *err)
{
    return durable_step_attempt(step) == 1 ? fail_always(step, arg, out, err)
                                           : give_text(step, arg, out, err);
}

enum durable_rc return_input(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)arg, (void)err;
    *out = json_object_get(in);
    return DURABLE_OK;
}
