/* Values written and read by a serdes of the user's own, wherever there is one. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/durable_testing.h"

/* Keeps values elsewhere, as one would keep large ones, and records a reference: "ref:N". */
struct store {
    char *text[64];
    size_t count;
    unsigned read;
    bool fails;      /* to write */
    bool fails_read; /* to read */
};

static int put(struct json_object *value, const struct durable_payload_of *of, void *arg,
               char **text, struct durable_error *err)
{
    struct store *s = arg;
    cr_assert(strstr(of->execution_arn, "/durable-execution/"));
    cr_assert_not_null(of->operation_id);
    if (s->fails) {
        durable_error_set(err, "StoreError", "the store is full");
        return -1;
    }
    cr_assert_lt(s->count, 64);
    s->text[s->count++] = mem_dup(json_object_to_json_string(value));
    *text = mem_printf("ref:%zu", s->count - 1);
    return 0;
}

static int fetch(const char *text, size_t len, const struct durable_payload_of *of, void *arg,
                 struct json_object **value, struct durable_error *err)
{
    struct store *s = arg;
    (void)of;
    cr_assert_eq(strlen(text), len);
    s->read++;
    if (s->fails_read || strncmp(text, "ref:", 4) != 0) {
        durable_error_set(err, "StoreError", "%s is not there", text);
        return -1;
    }
    *value = json_tokener_parse(s->text[strtoul(text + 4, NULL, 10)]);
    return 0;
}

static void store_release(struct store *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->text[i]);
}
#define auto_store __attribute__((cleanup(store_release)))

static int give(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_tokener_parse("{\"a\":[1,2]}");
    return 0;
}

static int poll_once(struct durable_step *step, struct json_object *state, void *arg,
                     struct json_object **next, bool *done, struct durable_error *err)
{
    (void)arg, (void)err;
    cr_assert_eq(json_object_get_int(state), (int)durable_step_attempt(step) - 1);
    *next = json_object_new_int((int)durable_step_attempt(step));
    *done = durable_step_attempt(step) == 2;
    return 0;
}

static enum durable_rc body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)arg, (void)err;
    *out = json_object_get(in);
    return DURABLE_OK;
}

static enum durable_rc item(struct durable_ctx *ctx, struct json_object *in, size_t index,
                            void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)index, (void)arg, (void)err;
    *out = json_object_get(in);
    return DURABLE_OK;
}

struct program {
    struct durable_serdes serdes;
    char kind; /* s c w m b i */
};

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    struct program *p = arg;
    enum durable_rc rc = DURABLE_FAILED;
    auto_durable_batch struct durable_batch *b = NULL;
    auto_json struct json_object *zero = json_object_new_int(0);
    const struct durable_step_opts step = { .serdes = &p->serdes };
    const struct durable_child_opts child = { .serdes = &p->serdes };
    const struct durable_condition_opts condition = { .serdes = &p->serdes, .initial = zero };
    const struct durable_batch_opts items = { .item_serdes = &p->serdes };
    const struct durable_batch_opts whole = { .serdes = &p->serdes };
    switch (p->kind) {
    case 's':
        rc = durable_step(ctx, "op", give, NULL, &step, out, err);
        break;
    case 'c':
        rc = durable_child(ctx, "op", body, in, NULL, &child, out, err);
        break;
    case 'w':
        rc = durable_wait_for_condition(ctx, "op", poll_once, NULL, &condition, out, err);
        break;
    default:
        rc = durable_map(ctx, "op", in, item, NULL, p->kind == 'i' ? &items : &whole, &b, err);
        if (rc == DURABLE_OK)
            *out = durable_batch_values(b);
        break;
    }
    if (rc != DURABLE_OK)
        return rc;
    DURABLE_TRY(durable_wait(ctx, "after", 1, err));
    return rc;
}

static const struct {
    char kind;
    const char *input, *result, *at; /* the operation that records a reference */
} kinds[] = {
    { 's', "null", "{\"a\":[1,2]}", "op" },
    { 'c', "[7]", "[7]", "op" },
    { 'w', "null", "2", "op" },
    { 'i', "[5,6]", "[5,6]", "map-item-1" },
    { 'b', "[5,6]", "[5,6]", "op" },
};

Test(serdes, writes_and_reads_wherever_it_is_given)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        auto_store struct store s = { 0 };
        struct program p = { .serdes = { put, fetch, &s }, .kind = kinds[i].kind };
        struct durable_test *t = durable_test_new(NULL);
        cr_assert_eq(durable_test_run(t, handler, &p, kinds[i].input), DURABLE_TEST_SUCCEEDED,
                     "%c: %s", p.kind, durable_test_error(t)->message);
        cr_assert_str_eq(durable_test_result(t), kinds[i].result);
        cr_assert_eq(strncmp(durable_test_find(t, kinds[i].at)->result, "ref:", 4), 0, "%c: %s",
                     p.kind, durable_test_find(t, kinds[i].at)->result);
        cr_assert_geq(s.read, 2, "%c: at the end and on replay", p.kind);
        durable_test_free(t);
    }
}

Test(serdes, that_cannot_write_fails_the_operation_with_its_own_words)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        auto_store struct store s = { .fails = true };
        struct program p = { .serdes = { put, fetch, &s }, .kind = kinds[i].kind };
        struct durable_test *t = durable_test_new(NULL);
        if (kinds[i].kind == 'i') { /* an item fails, not the map */
            durable_test_run(t, handler, &p, kinds[i].input);
            cr_assert_str_eq(durable_test_find(t, "map-item-0")->error_type, "StoreError");
        } else {
            cr_assert_eq(durable_test_run(t, handler, &p, kinds[i].input), DURABLE_TEST_FAILED);
            cr_assert_str_eq(durable_test_error(t)->message, "the store is full", "%c", p.kind);
        }
        durable_test_free(t);
    }
}

Test(serdes, that_cannot_read_fails_the_operation)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        auto_store struct store s = { .fails_read = true };
        struct program p = { .serdes = { put, fetch, &s }, .kind = kinds[i].kind };
        struct durable_test *t = durable_test_new(NULL);
        enum durable_test_status status = durable_test_run(t, handler, &p, kinds[i].input);
        if (kinds[i].kind != 'i')
            cr_assert_eq(status, DURABLE_TEST_FAILED, "%c", p.kind);
        else
            cr_assert_str_eq(durable_test_result(t), "[]");
        durable_test_free(t);
    }
}

/* ---- input and result ------------------------------------------------------------------------ */

Test(serdes, of_the_execution_reads_its_input_and_writes_its_result)
{
    auto_store struct store s = { 0 };
    const struct durable_serdes serdes = { put, fetch, &s };
    const struct durable_test_opts opts = { .serdes = &serdes };
    s.text[s.count++] = mem_dup("{\"in\":1}");
    struct durable_test *t = durable_test_new(&opts);
    cr_assert_eq(durable_test_run(t, body, NULL, "ref:0"), DURABLE_TEST_SUCCEEDED);
    cr_assert_str_eq(durable_test_result(t), "ref:1");
    cr_assert_str_eq(s.text[1], "{ \"in\": 1 }");
    durable_test_free(t);
}

/* ---- text that is not --------------------------------------------------------------------------
 */

static int binary(struct json_object *value, const struct durable_payload_of *of, void *arg,
                  char **text, struct durable_error *err)
{
    (void)value, (void)of, (void)arg, (void)err;
    *text = mem_dup("\xff\xfe");
    return 0;
}

Test(serdes, must_write_utf8)
{
    struct program p = { .serdes = { .serialise = binary }, .kind = 's' };
    struct durable_test *t = durable_test_new(NULL);
    cr_assert_eq(durable_test_run(t, handler, &p, "1"), DURABLE_TEST_FAILED);
    cr_assert(strstr(durable_test_error(t)->message, "not UTF-8"));
    durable_test_free(t);
}
