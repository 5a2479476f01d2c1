#include "shared/durable/checkpoint.h"

#include "tests/unit/durable/fake.h"

/* A queue on a fake service. */
struct queue {
    struct fake f;
    struct durable_edge edge;
    struct monitor monitor;
    struct journal *journal;
    struct checkpoint *c;
};

static void queue_init(struct queue *q)
{
    fake_init(&q->f, NULL);
    q->edge = fake_edge(&q->f);
    q->journal = journal_new();
    monitor_init(&q->monitor);
    q->c = checkpoint_new(FAKE_ARN, "T0", q->journal, &q->edge, &q->monitor);
}

static void queue_release(struct queue *q)
{
    checkpoint_free(q->c);
    journal_free(q->journal);
    monitor_release(&q->monitor);
    fake_release(&q->f);
}
#define auto_queue __attribute__((cleanup(queue_release)))

static void add(struct queue *q, const char *id, enum op_type type, enum update_action action,
                const char *payload)
{
    monitor_lock(&q->monitor);
    checkpoint_add(
        q->c,
        update_new(&(struct update_fields){ .id = id,
                                            .type = type,
                                            .action = action,
                                            .payload = payload,
                                            .payload_len = payload ? strlen(payload) : 0 }),
        false);
    monitor_unlock(&q->monitor);
}

static enum checkpoint_result flush(struct queue *q)
{
    struct error err = { 0 };
    return checkpoint_flush(q->c, &err);
}

static size_t updates_in(const struct queue *q, size_t request)
{
    auto_json struct json_object *o = fake_json(q->f.request[request]);
    return json_object_array_length(json_get_arr(o, "Updates"));
}

static char *filled(size_t len)
{
    char *s = mem_alloc(len + 1);
    memset(s, 'x', len);
    return s;
}

Test(checkpoint, writes_every_member_of_an_update)
{
    auto_durable_error struct durable_error e = { 0 };
    durable_error_set(&e, "T", "m");
    const struct {
        struct update_fields f;
        const char *json;
    } cases[] = {
        { { .id = "a",
            .parent_id = "p",
            .name = "n \"1\"",
            .subtype = "Step",
            .type = OP_STEP,
            .action = UPDATE_RETRY,
            .error = &e,
            .next_attempt_s = 4 },
          "{\"Id\":\"a\",\"ParentId\":\"p\",\"Type\":\"STEP\",\"SubType\":\"Step\",\"Name\":\"n "
          "\\\"1\\\"\","
          "\"Action\":\"RETRY\",\"Error\":{\"ErrorType\":\"T\",\"ErrorMessage\":\"m\"},"
          "\"StepOptions\":{\"NextAttemptDelaySeconds\":4}}" },
        { { .id = "a", .type = OP_WAIT, .action = UPDATE_START, .wait_s = 60 },
          "{\"Id\":\"a\",\"Type\":\"WAIT\",\"Action\":\"START\",\"WaitOptions\":{\"WaitSeconds\":"
          "60}}" },
        { { .id = "a", .type = OP_CALLBACK, .action = UPDATE_START },
          "{\"Id\":\"a\",\"Type\":\"CALLBACK\",\"Action\":\"START\"}" },
        { { .id = "a", .type = OP_CALLBACK, .action = UPDATE_START, .heartbeat_timeout_s = 5 },
          "{\"Id\":\"a\",\"Type\":\"CALLBACK\",\"Action\":\"START\","
          "\"CallbackOptions\":{\"HeartbeatTimeoutSeconds\":5}}" },
        { { .id = "a",
            .type = OP_CALLBACK,
            .action = UPDATE_START,
            .timeout_s = 7,
            .heartbeat_timeout_s = 5 },
          "{\"Id\":\"a\",\"Type\":\"CALLBACK\",\"Action\":\"START\","
          "\"CallbackOptions\":{\"TimeoutSeconds\":7,\"HeartbeatTimeoutSeconds\":5}}" },
        { { .id = "a",
            .type = OP_CONTEXT,
            .action = UPDATE_SUCCEED,
            .payload = "",
            .replay_children = true },
          "{\"Id\":\"a\",\"Type\":\"CONTEXT\",\"Action\":\"SUCCEED\",\"Payload\":\"\","
          "\"ContextOptions\":{\"ReplayChildren\":true}}" },
        { { .id = "a", .type = OP_STEP, .action = UPDATE_FAIL, .error = &e },
          "{\"Id\":\"a\",\"Type\":\"STEP\",\"Action\":\"FAIL\","
          "\"Error\":{\"ErrorType\":\"T\",\"ErrorMessage\":\"m\"}}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct update *u = update_new(&cases[i].f);
        cr_assert_str_eq(u->json, cases[i].json);
        cr_assert_eq(u->len, strlen(u->json));
        update_free(u);
    }
}

Test(checkpoint, sends_at_most_250_updates_in_a_request_and_chains_the_tokens)
{
    auto_queue struct queue q;
    queue_init(&q);
    for (int i = 0; i < 501; i++) {
        auto_free char *id = mem_printf("op-%d", i);
        add(&q, id, OP_STEP, UPDATE_START, NULL);
    }
    cr_assert_eq(q.f.requests, 0, "nothing is sent before the flush");
    cr_assert_eq(flush(&q), CHECKPOINT_OK);
    cr_assert_eq(q.f.requests, 3);
    cr_assert_eq(updates_in(&q, 0), 250);
    cr_assert_eq(updates_in(&q, 2), 1);
    cr_assert_eq(journal_count(q.journal), 501, "the answers are in the journal");
    cr_assert_eq(flush(&q), CHECKPOINT_OK);
    cr_assert_eq(q.f.requests, 3, "nothing to send, nothing sent");
}

Test(checkpoint, keeps_requests_under_750_KiB_and_sends_a_larger_update_alone)
{
    auto_queue struct queue q;
    queue_init(&q);
    auto_free char *large = filled(255000);
    auto_free char *huge = filled(900000);
    for (int i = 0; i < 4; i++) {
        auto_free char *id = mem_printf("op-%d", i);
        add(&q, id, OP_STEP, UPDATE_SUCCEED, large);
    }
    add(&q, "huge", OP_STEP, UPDATE_SUCCEED, huge);
    add(&q, "last", OP_STEP, UPDATE_START, NULL);
    cr_assert_eq(flush(&q), CHECKPOINT_OK);
    static const size_t expected[] = { 3, 1, 1, 1 };
    cr_assert_eq(q.f.requests, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        cr_assert_eq(updates_in(&q, i), expected[i], "request %zu", i);
    cr_assert_leq(strlen(q.f.request[0]), CHECKPOINT_BYTES);
}

Test(checkpoint, has_an_id_twice_in_a_request_only_as_start_and_end)
{
    static const struct {
        enum op_type type;
        enum update_action first, second;
        bool together;
    } cases[] = {
        { OP_STEP, UPDATE_START, UPDATE_SUCCEED, true },
        { OP_STEP, UPDATE_START, UPDATE_FAIL, true },
        { OP_STEP, UPDATE_START, UPDATE_RETRY, true },
        { OP_CONTEXT, UPDATE_START, UPDATE_SUCCEED, true },
        { OP_CONTEXT, UPDATE_START, UPDATE_FAIL, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_queue struct queue q;
        queue_init(&q);
        add(&q, "a", cases[i].type, cases[i].first, NULL);
        add(&q, "b", OP_STEP, UPDATE_START, NULL);
        add(&q, "a", cases[i].type, cases[i].second, NULL);
        cr_assert_eq(flush(&q), CHECKPOINT_OK);
        cr_assert_eq(q.f.requests, 1, "case %zu", i);
    }
    auto_queue struct queue q;
    queue_init(&q);
    fake_record(&q.f, "{\"Id\":\"a\",\"Type\":\"STEP\",\"Status\":\"STARTED\"}");
    add(&q, "a", OP_STEP, UPDATE_RETRY, NULL);
    q.f.on_checkpoint = NULL;
    add(&q, "b", OP_STEP, UPDATE_START, NULL);
    add(&q, "b", OP_STEP, UPDATE_SUCCEED, NULL);
    add(&q, "a", OP_STEP, UPDATE_SUCCEED, NULL); /* the second of `a`, which had no START here */
    cr_assert_eq(flush(&q), CHECKPOINT_OK);
    cr_assert_eq(q.f.requests, 2);
    cr_assert_eq(updates_in(&q, 0), 3);
}

Test(checkpoint, sends_the_execution_update_last_in_its_request)
{
    auto_queue struct queue q;
    queue_init(&q);
    add(&q, "a", OP_STEP, UPDATE_START, NULL);
    add(&q, FAKE_ID, OP_EXECUTION, UPDATE_SUCCEED, "1");
    add(&q, "b", OP_STEP, UPDATE_START, NULL);
    cr_assert_eq(flush(&q), CHECKPOINT_CLOSED);
    cr_assert_eq(updates_in(&q, 0), 2);
    cr_assert(checkpoint_closed(q.c), "its answer has no token");
    cr_assert_eq(flush(&q), CHECKPOINT_CLOSED, "what could not be sent is gone for good");
    add(&q, "b", OP_STEP, UPDATE_START, NULL);
    cr_assert_eq(flush(&q), CHECKPOINT_CLOSED);
    cr_assert_eq(q.f.requests, 1);
}

Test(checkpoint, classifies_failures)
{
    static const struct {
        const char *type;
        const char *msg;
        enum error_code code;
        int status;
        enum checkpoint_result result;
    } cases[] = {
        { "InvalidParameterValueException", "Invalid checkpoint token", ERR_INVALID, 400,
          CHECKPOINT_INVOCATION },
        { "InvalidParameterValueException", "Invalid Checkpoint Token: x", ERR_INVALID, 400,
          CHECKPOINT_INVOCATION },
        { "InvalidParameterValueException", "CheckpointDurableExecution: invalid checkpoint token",
          ERR_INVALID, 400, CHECKPOINT_INVOCATION },
        { "InvalidParameterValueException", "Invalid operation id.", ERR_INVALID, 400,
          CHECKPOINT_EXECUTION },
        { "ValidationException", "Invalid checkpoint token", ERR_INVALID, 400,
          CHECKPOINT_EXECUTION },
        { "AccessDeniedException", "not authorized", ERR_DENIED, 403, CHECKPOINT_EXECUTION },
        { "ResourceNotFoundException", "?", ERR_NOT_FOUND, 404, CHECKPOINT_EXECUTION },
        { "RequestTooLargeException", "?", ERR_TOO_LARGE, 413, CHECKPOINT_EXECUTION },
        { "TooManyRequestsException", "?", ERR_THROTTLED, 429, CHECKPOINT_INVOCATION },
        { "ThrottlingException", "?", ERR_THROTTLED, 400, CHECKPOINT_INVOCATION },
        { "ServiceException", "?", ERR_UNAVAILABLE, 500, CHECKPOINT_INVOCATION },
        { "KMSAccessDeniedException", "?", ERR_UNAVAILABLE, 502, CHECKPOINT_EXECUTION },
        { "KMSDisabledException", "?", ERR_UNAVAILABLE, 502, CHECKPOINT_EXECUTION },
        { "KMSInvalidStateException", "?", ERR_UNAVAILABLE, 502, CHECKPOINT_EXECUTION },
        { "KMSNotFoundException", "?", ERR_UNAVAILABLE, 502, CHECKPOINT_EXECUTION },
        { "", "bad gateway", ERR_UNAVAILABLE, 502, CHECKPOINT_INVOCATION },
        { "", "connection refused", ERR_NET, 7, CHECKPOINT_INVOCATION },
        { "", "too slow", ERR_TIMEOUT, 28, CHECKPOINT_INVOCATION },
        { "", "not JSON", ERR_PROTOCOL, 200, CHECKPOINT_INVOCATION },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_queue struct queue q;
        queue_init(&q);
        error_set(&q.f.failure, cases[i].code, cases[i].status, "%s", cases[i].msg);
        error_set_type(&q.f.failure, cases[i].type);
        q.f.fail_at = 1;
        add(&q, "a", OP_STEP, UPDATE_START, NULL);
        add(&q, "b", OP_STEP, UPDATE_START, NULL);
        cr_assert_eq(flush(&q), cases[i].result, "case %zu", i);
        add(&q, "c", OP_STEP, UPDATE_START, NULL);
        struct error err = { 0 };
        cr_assert_eq(checkpoint_flush(q.c, &err), cases[i].result, "it is final");
        cr_assert_str_eq(err.msg, cases[i].msg);
        cr_assert_eq(q.f.requests, 1, "and nothing more is sent");
        cr_assert(checkpoint_closed(q.c));
    }
}

Test(checkpoint, loads_all_pages_with_the_same_token)
{
    auto_queue struct queue q;
    queue_init(&q);
    for (int i = 0; i < 10; i++) {
        auto_free char *op =
            mem_printf("{\"Id\":\"op-%d\",\"Type\":\"STEP\",\"Status\":\"SUCCEEDED\"}", i);
        fake_record(&q.f, op);
    }
    struct error err = { 0 };
    cr_assert_eq(checkpoint_load(q.c, "", &err), CHECKPOINT_OK);
    cr_assert_eq(checkpoint_load(q.c, NULL, &err), CHECKPOINT_OK);
    cr_assert_eq(q.f.state_calls, 0);
    q.f.page = 3;
    cr_assert_eq(checkpoint_load(q.c, "2", &err), CHECKPOINT_OK);
    cr_assert_eq(q.f.state_calls, 3);
    cr_assert_eq(journal_count(q.journal), 9);
    q.f.state_fail_at = 5;
    error_set(&q.f.failure, ERR_DENIED, 403, "no");
    cr_assert_eq(checkpoint_load(q.c, "2", &err), CHECKPOINT_EXECUTION);
}

static int endless(void *arg, const char *arn, const char *token, const char *marker,
                   unsigned max_items, struct json_object **page, struct error *err)
{
    (void)arn, (void)token, (void)marker, (void)max_items, (void)err;
    ++*(unsigned *)arg;
    *page = fake_json("{\"Operations\":[],\"NextMarker\":\"again\"}");
    return 0;
}

Test(checkpoint, ends_a_state_that_has_no_end)
{
    unsigned calls = 0;
    const struct durable_edge edge = { .state = endless, .arg = &calls };
    struct journal *j = journal_new();
    struct monitor m;
    monitor_init(&m);
    struct checkpoint *c = checkpoint_new(FAKE_ARN, "T0", j, &edge, &m);
    struct error err = { 0 };
    cr_assert_eq(checkpoint_load(c, "again", &err), CHECKPOINT_INVOCATION);
    cr_assert_leq(calls, 1000);
    checkpoint_free(c);
    journal_free(j);
    monitor_release(&m);
}

static const char *odd_answer;

static int odd(void *arg, const char *arn, const char *body, size_t len,
               struct json_object **answer, struct error *err)
{
    (void)arg, (void)arn, (void)body, (void)len, (void)err;
    *answer = fake_json(odd_answer);
    return 0;
}

static int second_page(void *arg, const char *arn, const char *token, const char *marker,
                       unsigned max_items, struct json_object **page, struct error *err)
{
    (void)arg, (void)arn, (void)max_items, (void)err;
    cr_assert_str_eq(token, "next");
    cr_assert_str_eq(marker, "m");
    *page =
        fake_json("{\"Operations\":[{\"Id\":\"late\",\"Type\":\"STEP\",\"Status\":\"READY\"}]}");
    return 0;
}

Test(checkpoint, takes_answers_as_they_come)
{
    static const struct {
        const char *answer;
        enum checkpoint_result first, second;
    } cases[] = {
        { "[]", CHECKPOINT_INVOCATION, CHECKPOINT_INVOCATION },
        { "{}", CHECKPOINT_OK, CHECKPOINT_CLOSED },
        { "{\"CheckpointToken\":\"\"}", CHECKPOINT_OK, CHECKPOINT_CLOSED },
        { "{\"CheckpointToken\":\"next\"}", CHECKPOINT_OK, CHECKPOINT_OK },
        { "{\"CheckpointToken\":\"next\",\"NewExecutionState\":{\"Operations\":null}}",
          CHECKPOINT_OK, CHECKPOINT_OK },
        { "{\"CheckpointToken\":\"next\",\"NewExecutionState\":{\"Operations\":[7]}}",
          CHECKPOINT_INVOCATION, CHECKPOINT_INVOCATION },
        { "{\"CheckpointToken\":\"next\",\"NewExecutionState\":{\"NextMarker\":\"m\"}}",
          CHECKPOINT_OK, CHECKPOINT_OK },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct durable_edge edge = { .checkpoint = odd, .state = second_page };
        struct journal *j = journal_new();
        struct monitor m;
        monitor_init(&m);
        struct checkpoint *c = checkpoint_new(FAKE_ARN, "T0", j, &edge, &m);
        struct error err = { 0 };
        odd_answer = cases[i].answer;
        for (int n = 0; n < 2; n++) {
            monitor_lock(&m);
            checkpoint_add(c, update_new(&(struct update_fields){ .id = "a", .type = OP_STEP }),
                           false);
            monitor_unlock(&m);
            cr_assert_eq(checkpoint_flush(c, &err), n ? cases[i].second : cases[i].first,
                         "case %zu, flush %d: %s", i, n, err.msg);
        }
        if (strstr(cases[i].answer, "NextMarker"))
            cr_assert_eq(journal_find(j, "late")->status, OP_READY);
        checkpoint_free(c);
        journal_free(j);
        monitor_release(&m);
    }
}

Test(checkpoint, gives_each_request_a_client_token_of_its_own)
{
    auto_queue struct queue q;
    queue_init(&q);
    for (int i = 0; i < 2; i++) {
        auto_free char *id = mem_printf("op-%d", i);
        add(&q, id, OP_STEP, UPDATE_START, NULL);
        cr_assert_eq(flush(&q), CHECKPOINT_OK);
    }
    auto_json struct json_object *a = fake_json(q.f.request[0]);
    auto_json struct json_object *b = fake_json(q.f.request[1]);
    cr_assert_str_neq(json_get_str(a, "ClientToken"), json_get_str(b, "ClientToken"));
}
