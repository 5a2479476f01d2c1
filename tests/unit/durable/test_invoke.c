#include "tests/unit/durable/fake.h"

struct call {
    const char *function;
    struct durable_invoke_opts opts;
    struct durable_error err;
};

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    struct call *c = arg;
    enum durable_rc rc = durable_invoke(ctx, "i", c->function, in, &c->opts, out, err);
    durable_error_copy(&c->err, err);
    return rc;
}

static void record(struct fake *f, const char *status, const char *details)
{
    auto_free char *op =
        mem_printf("{\"Id\":\"" ID1 "\",\"Type\":\"CHAINED_INVOKE\",\"SubType\":\"ChainedInvoke\","
                   "\"Name\":\"i\",\"Status\":\"%s\",\"ChainedInvokeDetails\":{%s}}",
                   status, details);
    fake_record(f, op);
}

Test(invoke, sends_target_tenant_and_input_and_suspends)
{
    auto_fake struct fake f;
    fake_init(&f, "{\"a\":[1]}");
    struct call c = { .function = "other:1", .opts.tenant_id = "t 1" };
    cr_assert_str_eq(fake_invoke(&f, handler, &c), "{\"Status\":\"PENDING\"}");
    cr_assert(strstr(f.request[0], "\"Payload\":\"{\\\"a\\\":[1]}\",\"ChainedInvokeOptions\":"
                                   "{\"FunctionName\":\"other:1\",\"TenantId\":\"t 1\"}"),
              "%s", f.request[0]);
    cr_assert_eq(f.requests, 1);
}

Test(invoke, sends_null_as_an_input_too)
{
    auto_fake struct fake f;
    fake_init(&f, "null");
    struct call c = { .function = "other" };
    cr_assert_str_eq(fake_invoke(&f, handler, &c), "{\"Status\":\"PENDING\"}");
    cr_assert(strstr(f.request[0], "\"Payload\":\"null\",\"ChainedInvokeOptions\":"
                                   "{\"FunctionName\":\"other\"}"));
}

Test(invoke, goes_on_from_every_status)
{
    static const char error[] = "\"Error\":{\"ErrorType\":\"E\",\"ErrorMessage\":\"m\"}";
    static const struct {
        const char *status, *details, *answer, *message;
    } cases[] = {
        { "STARTED", "", "{\"Status\":\"PENDING\"}", NULL },
        { "SUCCEEDED", "\"Result\":\"[2]\"", "{\"Status\":\"SUCCEEDED\",\"Result\":\"[2]\"}",
          NULL },
        { "SUCCEEDED", "", "{\"Status\":\"SUCCEEDED\"}", NULL },
        { "FAILED", error, NULL, "m" },
        { "FAILED", "", NULL, "Invoke failed" },
        { "TIMED_OUT", "", NULL, "Invoke timed out" },
        { "STOPPED", "", NULL, "Invoke was stopped" },
        { "CANCELLED", "", NULL, "Invoke was cancelled" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        record(&f, cases[i].status, cases[i].details);
        struct call c = { .function = "other:1" };
        const char *answer = fake_invoke(&f, handler, &c);
        cr_assert_eq(f.requests, 0);
        if (cases[i].answer) {
            cr_assert_str_eq(answer, cases[i].answer);
            continue;
        }
        cr_assert_str_eq(c.err.type, "InvokeError");
        cr_assert_str_eq(c.err.message, cases[i].message);
        if (cases[i].details[0])
            cr_assert_str_eq(c.err.cause_type, "E");
        durable_error_release(&c.err);
    }
}

static void unknown_function(struct fake *f)
{
    struct json_object *op = fake_find(f, ID1);
    json_add_str(op, "Status", "FAILED");
    json_add(fake_details(op, "ChainedInvokeDetails"), "Error",
             fake_json("{\"ErrorType\":\"ResourceNotFoundException\",\"ErrorMessage\":\"no\"}"));
}

Test(invoke, fails_at_once_where_the_answer_to_its_start_says_so)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.on_checkpoint = unknown_function;
    struct call c = { .function = "nobody:1" };
    const char *answer = fake_invoke(&f, handler, &c);
    cr_assert(strstr(answer, "\"ErrorType\":\"InvokeError\""), "%s", answer);
    cr_assert_str_eq(c.err.cause_type, "ResourceNotFoundException");
    durable_error_release(&c.err);
}

Test(invoke, refuses_impossible_targets_and_tenants)
{
    static const struct {
        const char *function, *tenant;
    } bad[] = { { "", NULL }, { "a b", NULL }, { NULL, NULL }, { "f", "" }, { "f", "a#b" } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        struct call c = { .function = bad[i].function, .opts.tenant_id = bad[i].tenant };
        const char *answer = fake_invoke(&f, handler, &c);
        cr_assert(strstr(answer, "ValidationError"), "%s", answer);
        cr_assert_eq(f.requests, 0);
        durable_error_release(&c.err);
    }
}

/* ---- serdes of one's own --------------------------------------------------------------------- */

static int shout(struct json_object *value, const struct durable_payload_of *of, void *arg,
                 char **text, struct durable_error *err)
{
    (void)arg, (void)err;
    cr_assert_str_eq(of->operation_id, ID1);
    *text = mem_printf("!%s", json_object_get_string(value));
    return 0;
}

static int listen(const char *text, size_t len, const struct durable_payload_of *of, void *arg,
                  struct json_object **value, struct durable_error *err)
{
    (void)of, (void)arg;
    if (text[0] != '!') {
        durable_error_set(err, "Quiet", "\"%s\" of %zu", text, len);
        return -1;
    }
    *value = json_object_new_string(text + 1);
    return 0;
}

Test(invoke, writes_and_reads_with_the_serdes_it_is_given)
{
    static const struct durable_serdes serdes = { .serialise = shout, .deserialise = listen };
    auto_fake struct fake f;
    fake_init(&f, "\"hi\"");
    struct call c = { .function = "o", .opts = { .payload = &serdes, .result = &serdes } };
    cr_assert_str_eq(fake_invoke(&f, handler, &c), "{\"Status\":\"PENDING\"}");
    cr_assert(strstr(f.request[0], "\"Payload\":\"!hi\""));
    json_add_str(fake_details(fake_find(&f, ID1), "ChainedInvokeDetails"), "Result", "!ho");
    fake_status(&f, ID1, "SUCCEEDED");
    cr_assert_str_eq(fake_invoke(&f, handler, &c),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"ho\\\"\"}");
    json_add_str(fake_details(fake_find(&f, ID1), "ChainedInvokeDetails"), "Result", "ho");
    const char *answer = fake_invoke(&f, handler, &c);
    cr_assert(strstr(answer, "\"ErrorType\":\"Quiet\"") && strstr(answer, "of 2"), "%s", answer);
    durable_error_release(&c.err);
}
