/* Suite 5: chained invokes, and the functions that they invoke. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/suites.h"
#include "tests/conformance/values.h"

#define LARGE (1000 * 1000) /* near the limit of an asynchronous invoke, 1 MiB */

/* ---- targets: each waits first, so that the caller has suspended before it is answered ---------
 */

static enum durable_rc echo(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    return return_input(ctx, in, arg, out, err);
}

static enum durable_rc fail(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg, (void)out;
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    durable_error_set(err, "TargetError", "the target fails");
    return DURABLE_FAILED;
}

static enum durable_rc measure(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    *out = json_object_new_object();
    json_object_object_add(*out, "receivedBytes",
                           json_object_new_int(json_object_get_string_len(in)));
    return DURABLE_OK;
}

/* A deployment names its functions itself; beside each other they have these names. */
static const char *target(const char *variable, const char *otherwise)
{
    const char *name = getenv(variable);
    return name && *name ? name : otherwise;
}

#define ECHO    target("CONFORMANCE_ECHO", "conformance-echo:$LATEST")
#define FAIL    target("CONFORMANCE_FAIL", "conformance-fail:$LATEST")
#define MEASURE target("CONFORMANCE_MEASURE", "conformance-measure:$LATEST")

/* ---- serdes ---------------------------------------------------------------------------------- */

/* Upper-cases the recorded text of the payload, member names as well. */
static int shout_payload(struct json_object *value, const struct durable_payload_of *of, void *arg,
                         char **text, struct durable_error *err)
{
    (void)of, (void)arg, (void)err;
    struct json_object *upper = upper_case(json_object_to_json_string(value));
    *text = strdup(text_of(upper));
    json_object_put(upper);
    return 0;
}

/* The text as it stands in the record becomes a string, upper-cased. */
static int shout_result(const char *text, size_t len, const struct durable_payload_of *of,
                        void *arg, struct json_object **value, struct durable_error *err)
{
    (void)len, (void)of, (void)arg, (void)err;
    *value = upper_case(text);
    return 0;
}

/* ---- handlers -------------------------------------------------------------------------------- */

static enum durable_rc basic(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_invoke(ctx, NULL, ECHO, in, NULL, out, err);
}

static enum durable_rc named(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_invoke(ctx, text_at(in, "name"), ECHO, json_object_object_get(in, "payload"),
                          NULL, out, err);
}

static enum durable_rc null_payload(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_invoke(ctx, NULL, ECHO, NULL, NULL, out, err);
}

static enum durable_rc failing(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    return durable_invoke(ctx, NULL, FAIL, NULL, NULL, out, err);
}

static enum durable_rc large(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    struct json_object *payload = new_filler('x', LARGE);
    enum durable_rc rc = durable_invoke(ctx, NULL, MEASURE, payload, NULL, out, err);
    json_object_put(payload);
    return rc;
}

static enum durable_rc tenant(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    const struct durable_invoke_opts opts = { .tenant_id = text_at(in, "tenantId") };
    return durable_invoke(ctx, NULL, ECHO, json_object_object_get(in, "payload"), &opts, out, err);
}

static enum durable_rc then_wait(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    struct json_object *value = NULL;
    DURABLE_TRY(durable_invoke(ctx, NULL, ECHO, NULL, NULL, &value, err));
    return wait_and_give(ctx, 1, value, out, err);
}

static enum durable_rc after_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                  struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    const char *text = "prepared";
    struct json_object *payload = NULL;
    DURABLE_TRY(durable_step(ctx, NULL, give_text, &text, NULL, &payload, err));
    enum durable_rc rc = durable_invoke(ctx, NULL, ECHO, payload, NULL, out, err);
    json_object_put(payload);
    return rc;
}

static enum durable_rc before_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                   struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    struct json_object *payload = new_text("raw"), *value = NULL;
    enum durable_rc rc = durable_invoke(ctx, NULL, ECHO, payload, NULL, &value, err);
    json_object_put(payload);
    if (rc == DURABLE_OK)
        rc = durable_step(ctx, NULL, give_json, value, NULL, out, err);
    json_object_put(value);
    return rc;
}

static enum durable_rc in_child(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)arg;
    return durable_child(ctx, "child", null_payload, in, NULL, NULL, out, err);
}

static enum durable_rc payload_serdes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                      struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_serdes shout = { .serialise = shout_payload };
    static const struct durable_invoke_opts opts = { .payload = &shout };
    return durable_invoke(ctx, NULL, ECHO, in, &opts, out, err);
}

static enum durable_rc result_serdes(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_serdes shout = { .deserialise = shout_result };
    static const struct durable_invoke_opts opts = { .result = &shout };
    return durable_invoke(ctx, NULL, ECHO, in, &opts, out, err);
}

const struct conformance_case invoke_cases[] = {
    { "echo", echo },          { "fail", fail },     { "measure", measure },
    { "5-1", basic },          { "5-2", named },     { "5-3", basic },
    { "5-4", null_payload },   { "5-5", failing },   { "5-7", large },
    { "5-8", tenant },         { "5-9", then_wait }, { "5-11", after_step },
    { "5-12", before_step },   { "5-13", in_child }, { "5-15", payload_serdes },
    { "5-16", result_serdes }, { NULL, NULL },
};
