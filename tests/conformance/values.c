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
