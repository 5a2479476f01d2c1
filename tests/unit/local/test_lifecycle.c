/* Executions without processes: what checkpoints and time make of them, in memory, in the history
 * and in a store that is opened again. */
#include "local/aws/lane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/aws/aws_api.h"
#include "local/aws/checkpoint_apply.h"
#include "local/aws/history.h"
#include "local/aws/start.h"
#include "local/aws/state.h"
#include "shared/base/json.h"

#define NOW_MS 1764700000123

struct world {
    char dir[32];
    struct local local;
    struct config *config;
    int64_t now_ms;
    struct clock clock;
};

static int64_t fake_wall(void *arg)
{
    return *(int64_t *)arg;
}

static void open_world(struct world *w)
{
    static const char text[] = "{\"credentials\":{\"k\":\"s\"},\"functions\":{\"f\":{\"command\":"
                               "[\"/bin/false\"],\"durable\":{\"executionTimeoutSeconds\":60}}}}";
    struct error err;
    w->clock = *clock_system();
    w->clock.wall_ms = fake_wall;
    w->clock.arg = &w->now_ms;
    w->config = config_parse(text, strlen(text), "test", &err);
    w->local.config = w->config;
    w->local.clock = &w->clock;
    w->local.store = store_open(w->dir, &err);
    cr_assert_not_null(w->local.store, "%s", err.msg);
    w->local.loop = loop_new(&err);
    w->local.api = aws_api_new(&w->local, false);
    w->local.lambda = lambda_new(&w->local, &err);
    cr_assert_not_null(w->local.lambda, "%s", err.msg);
}

static void close_world(struct world *w)
{
    lambda_free(w->local.lambda);
    aws_api_free(w->local.api);
    loop_free(w->local.loop);
    store_close(w->local.store);
    config_free(w->config);
}

static void make_world(struct world *w)
{
    *w = (struct world){ .dir = "/tmp/lifecycle-XXXXXX", .now_ms = NOW_MS };
    cr_assert_not_null(mkdtemp(w->dir));
    open_world(w);
}

static void remove_world(struct world *w)
{
    static const char *const files[] = { "local-aws.db", "local-aws.db-wal", "local-aws.db-shm",
                                         "local-aws.lock" };
    close_world(w);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[64];
        snprintf(path, sizeof(path), "%s/%s", w->dir, files[i]);
        unlink(path);
    }
    cr_assert_eq(rmdir(w->dir), 0);
}

static struct execution *begin(struct world *w, const char *input)
{
    const struct start s = { .function = map_get(&w->local.lambda->by_name, "f"),
                             .version = "1",
                             .name = "e1",
                             .input = input,
                             .input_len = input ? strlen(input) : 0 };
    return start_execution(w->local.lambda, &s);
}

static void apply(struct world *w, struct execution *e, const char *updates)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    auto_updates struct update_list list = { 0 };
    cr_assert_eq(json_parse_str(updates, &o, &err), 0, "%s: %s", updates, err.msg);
    cr_assert_eq(update_list_parse(o, &list, &err), 0, "%s", err.msg);
    checkpoint_apply(w->local.lambda, e, &list, w->now_ms);
}

/* "ExecutionStarted StepStarted ..." */
static void expect_history(struct world *w, const struct execution *e, const char *wanted)
{
    const struct history_query q = { .include_data = true, .max_items = 1000 };
    struct error err;
    auto_json struct json_object *o = NULL;
    auto_buf struct buf b = BUF_INIT(1 << 20), found = BUF_INIT(1 << 16);
    history_write(&b, w->local.lambda->store, e->row, &q);
    cr_assert_eq(json_parse_str(buf_str(&b), &o, &err), 0, "%s", buf_str(&b));
    struct json_object *events = json_get_arr(o, "Events");
    for (size_t i = 0; i < json_object_array_length(events); i++) {
        struct json_object *event = json_object_array_get_idx(events, i);
        cr_expect_eq(json_get_int(event, "EventId", 0), (int64_t)i + 1);
        buf_printf(&found, "%s%s", i ? " " : "", json_get_str(event, "EventType"));
    }
    cr_expect_str_eq(buf_str(&found), wanted);
}

static void expect_unseen(const struct execution *e, const char *wanted)
{
    auto_buf struct buf found = BUF_INIT(1 << 16);
    for (const struct operation *op = e->unseen_first; op; op = op->unseen_next)
        buf_printf(&found, "%s%s:%s", op == e->unseen_first ? "" : " ", op->id,
                   operation_status_name(op->status));
    cr_expect_str_eq(buf_str(&found), wanted);
}

Test(lifecycle, writes_one_event_for_each_update_in_order)
{
    struct world w;
    make_world(&w);
    struct execution *e = begin(&w, "{}");
    apply(&w, e,
          "[{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"START\",\"Name\":\"charge\"},"
          "{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"RETRY\",\"Error\":{\"ErrorType\":\"E\"},"
          "\"StepOptions\":{\"NextAttemptDelaySeconds\":4}}]");
    const struct operation *s = execution_find(e, "s");
    cr_assert_eq(s->status, OP_PENDING);
    cr_assert_eq(s->attempt, 1);
    cr_assert_eq(s->due_ms, NOW_MS + 4000);
    cr_assert_eq(e->pending, 1);
    expect_unseen(e, "s:PENDING");
    execution_seen(e);

    cr_assert_not(lane_apply_due(w.local.lambda, e, NOW_MS + 3999));
    cr_assert(lane_apply_due(w.local.lambda, e, NOW_MS + 4000));
    cr_assert_eq(s->status, OP_READY);
    cr_assert_eq(s->due_ms, 0);
    cr_assert_eq(e->ready, 1);
    expect_unseen(e, "s:READY");

    apply(&w, e,
          "[{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"START\"},"
          "{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"SUCCEED\",\"Payload\":\"7\"},"
          "{\"Id\":\"c\",\"Type\":\"CONTEXT\",\"Action\":\"START\"},"
          "{\"Id\":\"w\",\"Type\":\"WAIT\",\"Action\":\"START\",\"ParentId\":\"c\","
          "\"WaitOptions\":{\"WaitSeconds\":2}},"
          "{\"Id\":\"p\",\"Type\":\"STEP\",\"Action\":\"RETRY\",\"Payload\":\"1\","
          "\"StepOptions\":{\"NextAttemptDelaySeconds\":1}}]");
    cr_assert_eq(s->attempt, 2);
    cr_assert_eq(e->ready, 0);
    cr_assert_eq(e->metered, 1 + 4 + 2, "four operations, of which two had a retry");
    lane_apply_due(w.local.lambda, e, NOW_MS + 2000);
    apply(&w, e,
          "[{\"Id\":\"c\",\"Type\":\"CONTEXT\",\"Action\":\"FAIL\",\"Error\":{}},"
          "{\"Id\":\"x\",\"Type\":\"EXECUTION\",\"Action\":\"SUCCEED\",\"Payload\":\"1\"}]");
    expect_history(&w, e,
                   "ExecutionStarted StepStarted StepFailed StepStarted StepSucceeded "
                   "ContextStarted WaitStarted StepSucceeded WaitSucceeded ContextFailed "
                   "ExecutionSucceeded");
    cr_assert_eq(e->status, EX_SUCCEEDED);
    remove_world(&w);
}

Test(lifecycle, callbacks_end_by_the_deadline_that_comes_first)
{
    static const struct {
        const char *options, *type;
        int64_t due_ms;
    } cases[] = {
        { "\"TimeoutSeconds\":5", "Callback.Timeout", 5000 },
        { "\"HeartbeatTimeoutSeconds\":3", "Callback.Heartbeat", 3000 },
        { "\"TimeoutSeconds\":2,\"HeartbeatTimeoutSeconds\":3", "Callback.Timeout", 2000 },
        { "\"TimeoutSeconds\":5,\"HeartbeatTimeoutSeconds\":3", "Callback.Heartbeat", 3000 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        make_world(&w);
        struct execution *e = begin(&w, NULL);
        auto_free char *updates =
            mem_printf("[{\"Id\":\"c\",\"Type\":\"CALLBACK\",\"Action\":\"START\","
                       "\"CallbackOptions\":{%s}}]",
                       cases[i].options);
        apply(&w, e, updates);
        cr_expect_not(lane_apply_due(w.local.lambda, e, NOW_MS + cases[i].due_ms - 1));
        cr_expect(lane_apply_due(w.local.lambda, e, NOW_MS + cases[i].due_ms));
        const struct operation *c = execution_find(e, "c");
        cr_expect_eq(c->status, OP_TIMED_OUT);
        cr_expect_not_null(strstr(c->error, cases[i].type), "%s", c->error);
        cr_expect_eq(e->pending, 0);
        expect_history(&w, e, "ExecutionStarted CallbackStarted CallbackTimedOut");
        remove_world(&w);
    }
}

Test(lifecycle, a_store_that_is_opened_again_has_everything)
{
    struct world w;
    make_world(&w);
    struct execution *e = begin(&w, "{\"a\":\"\\u0000 \xc3\xa9\"}");
    char id[RANDOM_UUID];
    memcpy(id, e->id, sizeof(id));
    apply(&w, e,
          "[{\"Id\":\"c\",\"Type\":\"CONTEXT\",\"Action\":\"START\",\"Name\":\"n\","
          "\"SubType\":\"Sub\"},"
          "{\"Id\":\"cb\",\"Type\":\"CALLBACK\",\"Action\":\"START\",\"ParentId\":\"c\","
          "\"CallbackOptions\":{\"TimeoutSeconds\":50,\"HeartbeatTimeoutSeconds\":5}},"
          "{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"SUCCEED\",\"Payload\":\"a\\u0000b\"},"
          "{\"Id\":\"r\",\"Type\":\"STEP\",\"Action\":\"RETRY\",\"Error\":{\"ErrorType\":\"E\"},"
          "\"StepOptions\":{\"NextAttemptDelaySeconds\":9}}]");
    auto_buf struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
    state_write_page(&before, e, 0, SIZE_MAX, TIME_SECONDS);
    size_t metered = e->metered;
    close_world(&w);

    open_world(&w);
    e = map_get(&w.local.lambda->running, id);
    cr_assert_not_null(e);
    state_write_page(&after, e, 0, SIZE_MAX, TIME_SECONDS);
    cr_assert_str_eq(buf_str(&after), buf_str(&before));
    cr_assert_eq(e->metered, metered);
    cr_assert_eq(e->pending, 2);
    cr_assert_eq(e->lane, LANE_QUEUED);
    cr_assert_null(e->unseen_first);
    cr_assert_eq(execution_due_ms(e), NOW_MS + 5000);
    apply(&w, e, "[{\"Id\":\"x\",\"Type\":\"EXECUTION\",\"Action\":\"FAIL\",\"Error\":{}}]");
    expect_history(&w, e,
                   "ExecutionStarted ContextStarted CallbackStarted StepSucceeded StepFailed "
                   "ExecutionFailed");
    close_world(&w);

    open_world(&w);
    cr_assert_null(map_get(&w.local.lambda->running, id), "closed ones are not loaded");
    struct execution *record = start_find_name(w.local.lambda, "e1");
    cr_assert_eq(record->status, EX_FAILED);
    execution_free(record);
    w.now_ms += 15LL * 86400000;
    cr_assert_null(start_find_name(w.local.lambda, "e1"), "the name is free after its retention");
    remove_world(&w);
}

Test(lifecycle, a_chained_invoke_fails_where_too_much_waits, .timeout = 120)
{
    static const char updates[] = "[{\"Id\":\"i\",\"Type\":\"CHAINED_INVOKE\",\"Action\":\"START\","
                                  "\"ChainedInvokeOptions\":{\"FunctionName\":\"f:1\"}}]";
    struct world w;
    make_world(&w);
    struct execution *early = begin(&w, "{}");
    const struct start s = { .function = early->function, .version = "1" };
    apply(&w, early, updates);
    cr_expect_eq(execution_find(early, "i")->status, OP_STARTED);
    struct execution *late = start_execution(w.local.lambda, &s);
    store_begin(w.local.store);
    while (!start_is_full(early->function))
        (void)!start_execution(w.local.lambda, &s);
    store_commit(w.local.store);
    apply(&w, late, updates);
    const struct operation *refused = execution_find(late, "i");
    cr_expect_eq(refused->status, OP_FAILED);
    cr_expect_not_null(strstr(refused->error, "TooManyRequestsException"), "%s", refused->error);
    expect_history(&w, late, "ExecutionStarted ChainedInvokeStarted ChainedInvokeFailed");
    remove_world(&w);
}

/* The ids of a page, separated by blanks. */
static void page(const struct execution *e, uint32_t from, size_t max, const char *wanted,
                 uint32_t wanted_next)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    auto_buf struct buf b = BUF_INIT(32 << 20), found = BUF_INIT(1 << 16);
    cr_expect_eq(state_write_page(&b, e, from, max, TIME_SECONDS), wanted_next);
    cr_assert_eq(json_parse_str(buf_str(&b), &o, &err), 0, "%s", buf_str(&b));
    for (size_t i = 0; i < json_object_array_length(o); i++) {
        const char *id = json_get_str(json_object_array_get_idx(o, i), "Id");
        buf_printf(&found, "%s%s", i ? " " : "", strcmp(id, e->id) == 0 ? "E" : id);
    }
    cr_expect_str_eq(buf_str(&found), wanted);
}

Test(lifecycle, the_state_leaves_out_children_of_finished_contexts)
{
    struct world w;
    make_world(&w);
    struct execution *e = begin(&w, NULL);
    apply(&w, e,
          "[{\"Id\":\"open\",\"Type\":\"CONTEXT\",\"Action\":\"START\"},"
          "{\"Id\":\"o1\",\"Type\":\"STEP\",\"Action\":\"START\",\"ParentId\":\"open\"},"
          "{\"Id\":\"done\",\"Type\":\"CONTEXT\",\"Action\":\"START\"},"
          "{\"Id\":\"in\",\"Type\":\"CONTEXT\",\"Action\":\"START\",\"ParentId\":\"done\"},"
          "{\"Id\":\"d1\",\"Type\":\"STEP\",\"Action\":\"START\",\"ParentId\":\"in\"},"
          "{\"Id\":\"kept\",\"Type\":\"CONTEXT\",\"Action\":\"START\"},"
          "{\"Id\":\"k1\",\"Type\":\"STEP\",\"Action\":\"START\",\"ParentId\":\"kept\"}]");
    apply(&w, e,
          "[{\"Id\":\"done\",\"Type\":\"CONTEXT\",\"Action\":\"SUCCEED\",\"Payload\":\"1\"},"
          "{\"Id\":\"kept\",\"Type\":\"CONTEXT\",\"Action\":\"SUCCEED\",\"Payload\":\"\","
          "\"ContextOptions\":{\"ReplayChildren\":true}}]");
    page(e, 0, SIZE_MAX, "E open o1 done kept k1", 0);
    page(e, 0, 3, "E open o1", 3);
    page(e, 3, 2, "done kept", 7);
    page(e, 7, 2, "k1", 0);
    remove_world(&w);
}

Test(lifecycle, the_state_comes_in_pages_of_five_megabytes)
{
    struct world w;
    make_world(&w);
    struct execution *e = begin(&w, NULL);
    auto_free char *payload = mem_alloc(250001);
    memset(payload, 'x', 250000);
    for (int i = 0; i < 30; i++) {
        auto_free char *updates = mem_printf("[{\"Id\":\"s%d\",\"Type\":\"STEP\",\"Action\":"
                                             "\"SUCCEED\",\"Payload\":\"%s\"}]",
                                             i, payload);
        apply(&w, e, updates);
    }
    auto_buf struct buf first = BUF_INIT(32 << 20), second = BUF_INIT(32 << 20);
    uint32_t next = state_write_page(&first, e, 0, SIZE_MAX, TIME_SECONDS);
    cr_assert_eq(next, 22, "%u", next);
    cr_assert_lt(first.len, 6000000);
    cr_assert_eq(state_write_page(&second, e, next, SIZE_MAX, TIME_SECONDS), 0);
    remove_world(&w);
}

Test(lifecycle, the_event_has_milliseconds_and_names_what_is_new)
{
    struct world w;
    struct error err;
    make_world(&w);
    struct execution *e = begin(&w, "{\"x\":1}");
    snprintf(e->token, sizeof(e->token), "dG9r");
    e->invocations = 1;
    auto_buf struct buf b = BUF_INIT(1 << 20);
    state_write_event(&b, e);
    auto_free char *wanted = mem_printf(
        "{\"DurableExecutionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:f:1/"
        "durable-execution/e1/%s\",\"CheckpointToken\":\"dG9r\",\"InitialExecutionState\":"
        "{\"Operations\":[{\"Id\":\"%s\",\"Type\":\"EXECUTION\",\"Name\":\"e1\",\"Status\":"
        "\"STARTED\",\"StartTimestamp\":1764700000123,\"ExecutionDetails\":{\"InputPayload\":"
        "\"{\\\"x\\\":1}\"}}],\"NextMarker\":\"\"},\"UpdatedOperationIds\":[\"%s\"]}",
        e->id, e->id, e->id);
    cr_assert_str_eq(buf_str(&b), wanted);
    apply(&w, e,
          "[{\"Id\":\"w\",\"Type\":\"WAIT\",\"Action\":\"START\",\"WaitOptions\":"
          "{\"WaitSeconds\":1}}]");
    execution_seen(e);
    lane_apply_due(w.local.lambda, e, NOW_MS + 1000);
    e->invocations = 2;
    buf_reset(&b);
    state_write_event(&b, e);
    auto_json struct json_object *o = NULL;
    cr_assert_eq(json_parse_str(buf_str(&b), &o, &err), 0);
    cr_assert_str_eq(json_text(json_get_arr(o, "UpdatedOperationIds"), NULL), "[\"w\"]");
    remove_world(&w);
}
