#include "shared/durable/journal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/json.h"

static struct json_object *parse(const char *text)
{
    struct json_object *o = NULL;
    cr_assert_eq(json_parse_str(text, &o, NULL), 0, "%s", text);
    return o;
}

static int merge(struct journal *j, const char *text, struct error *err)
{
    auto_json struct json_object *o = parse(text);
    return journal_merge(j, o, err);
}

Test(journal, reads_times_in_every_encoding)
{
    static const struct {
        const char *value;
        int64_t ms;
    } cases[] = {
        { "1795410283266", 1795410283266 },
        { "1764700000", 1764700000000 },
        { "1764700000.123", 1764700000123 },
        { "\"2025-12-02T18:26:40.5Z\"", 1764700000500 },
        { "\"2025-12-02T19:26:40+01:00\"", 1764700000000 },
        { "\"soon\"", 0 },
        { "null", 0 },
        { "-3", 0 },
        { "1e300", 0 },
        { "[]", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *text = mem_printf("{\"t\":%s}", cases[i].value);
        auto_json struct json_object *o = parse(text);
        cr_assert_eq(operation_time_ms(o, "t"), cases[i].ms, "%s", text);
    }
}

Test(journal, reads_each_type_of_operation)
{
    struct journal *j = journal_new();
    struct error err = { 0 };
    cr_assert_eq(
        merge(
            j,
            "[{\"Id\":\"e\",\"Type\":\"EXECUTION\",\"Name\":\"n\",\"Status\":\"STARTED\",\"New\":{}"
            ","
            "\"StartTimestamp\":1795410283266,\"ExecutionDetails\":{\"InputPayload\":\"{}\"}},"
            "{\"Id\":\"s\",\"Type\":\"STEP\",\"SubType\":\"Step\",\"ParentId\":\"c\",\"Name\":null,"
            "\"Status\":\"PENDING\",\"StepDetails\":{\"Attempt\":2,\"NextAttemptTimestamp\":"
            "1764700000,"
            "\"Error\":{\"ErrorType\":\"T\"}}},"
            "{\"Id\":\"w\",\"Type\":\"WAIT\",\"Status\":\"STARTED\",\"WaitDetails\":"
            "{\"ScheduledEndTimestamp\":1764700060}},"
            "{\"Id\":\"b\",\"Type\":\"CALLBACK\",\"Status\":\"TIMED_OUT\",\"CallbackDetails\":"
            "{\"CallbackId\":\"Ab==\",\"Result\":null}},"
            "{\"Id\":\"c\",\"Type\":\"CONTEXT\",\"Status\":\"SUCCEEDED\",\"ContextDetails\":"
            "{\"ReplayChildren\":true,\"Result\":\"\"}},"
            "{\"Id\":\"z\",\"Type\":\"TELEPORT\",\"Status\":\"BEAMED\"}]",
            &err),
        0, "%s", err.msg);
    cr_assert_eq(journal_count(j), 6);
    const struct operation *e = journal_execution(j);
    cr_assert_str_eq(e->id, "e");
    cr_assert_str_eq(e->payload, "{}");
    cr_assert_eq(e->start_ms, 1795410283266);
    const struct operation *s = journal_find(j, "s");
    cr_assert_eq(s->status, OP_PENDING);
    cr_assert_eq(s->attempts, 2);
    cr_assert_eq(s->scheduled_ms, 1764700000000);
    cr_assert_null(s->name);
    cr_assert_str_eq(s->error.type, "T");
    cr_assert_eq(journal_find(j, "w")->scheduled_ms, 1764700060000);
    cr_assert_str_eq(journal_find(j, "b")->callback_id, "Ab==");
    cr_assert_null(journal_find(j, "b")->payload);
    cr_assert(operation_ended(journal_find(j, "b")));
    cr_assert(journal_find(j, "c")->replay_children);
    cr_assert_str_eq(journal_find(j, "c")->payload, "");
    cr_assert_eq(journal_find(j, "z")->status, OP_NONE, "a later service's words are no surprise");
    cr_assert_not(operation_ended(journal_find(j, "z")));
    cr_assert_null(journal_find(j, "unknown"));
    journal_free(j);
}

Test(journal, replaces_a_record_as_a_whole_and_merging_again_changes_nothing)
{
    struct journal *j = journal_new();
    struct error err = { 0 };
    for (int twice = 0; twice < 2; twice++) {
        cr_assert_eq(
            merge(j, "[{\"Id\":\"s\",\"Type\":\"STEP\",\"Name\":\"a\",\"Status\":\"STARTED\"}]",
                  &err),
            0);
        const struct operation *s = journal_find(j, "s");
        cr_assert_eq(merge(j,
                           "[{\"Id\":\"s\",\"Type\":\"STEP\",\"Status\":\"SUCCEEDED\","
                           "\"StepDetails\":{\"Result\":\"1\"}}]",
                           &err),
                     0);
        cr_assert_eq(s->status, OP_STARTED, "who reads a record is not disturbed");
        cr_assert_str_eq(s->name, "a");
        s = journal_find(j, "s");
        cr_assert_null(s->name);
        cr_assert_str_eq(s->payload, "1");
        cr_assert_eq(journal_count(j), 1);
    }
    journal_free(j);
}

Test(journal, knows_in_which_order_operations_have_moved)
{
    static const char *const want[] = { "a", "b", "a", "c" };
    struct journal *j = journal_new();
    struct error err = { 0 };
    cr_assert_eq(journal_moves(j), 0);
    cr_assert_eq(merge(j,
                       "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Status\":\"READY\"},"
                       "{\"Id\":\"c\",\"Type\":\"WAIT\",\"Status\":\"STARTED\"},"
                       "{\"Id\":\"b\",\"Type\":\"STEP\",\"Status\":\"FAILED\"},"
                       "{\"Id\":\"a\",\"Type\":\"STEP\",\"Status\":\"PENDING\"}]",
                       &err),
                 0);
    cr_assert_eq(merge(j,
                       "[{\"Id\":\"a\",\"Type\":\"STEP\",\"Status\":\"SUCCEEDED\"},"
                       "{\"Id\":\"c\",\"Type\":\"WAIT\",\"Status\":\"SUCCEEDED\"}]",
                       &err),
                 0);
    cr_assert_eq(journal_moves(j), ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        cr_assert_str_eq(journal_move(j, i)->id, want[i]);
    cr_assert_eq(journal_move(j, 0)->status, OP_READY);
    journal_free(j);
}

Test(journal, finds_thousands_of_operations)
{
    struct journal *j = journal_new();
    struct error err = { 0 };
    auto_json struct json_object *all = json_object_new_array();
    for (int i = 0; i < 5000; i++) {
        struct json_object *o = parse("{\"Type\":\"STEP\",\"Status\":\"SUCCEEDED\"}");
        auto_free char *id = mem_printf("op-%d", i);
        json_add_str(o, "Id", id);
        json_object_array_add(all, o);
    }
    cr_assert_eq(journal_merge(j, all, &err), 0);
    cr_assert_eq(journal_count(j), 5000);
    for (int i = 0; i < 5000; i++) {
        auto_free char *id = mem_printf("op-%d", i);
        cr_assert_str_eq(journal_find(j, id)->id, id);
    }
    journal_free(j);
}

Test(journal, refuses_what_is_no_operation)
{
    static const char *const bad[] = {
        "[7]",
        "[null]",
        "[{}]",
        "[{\"Id\":\"\"}]",
        "[{\"Id\":7}]",
        "[{\"Id\":\"0123456789012345678901234567890123456789012345678901234567890123x\"}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct journal *j = journal_new();
        struct error err = { 0 };
        cr_assert_eq(merge(j, bad[i], &err), -1, "%s", bad[i]);
        cr_assert_eq(err.code, ERR_PROTOCOL);
        journal_free(j);
    }
}
