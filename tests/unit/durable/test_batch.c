#include "tests/unit/durable/fake.h"

/* ---- handlers -------------------------------------------------------------------------------- */

struct program {
    struct durable_batch_opts opts;
    const char *fails; /* the letter of each item: F fails, W waits a second, else succeeds */
    unsigned runs[16]; /* of each body */
    unsigned steps[16];
    struct json_object *seen; /* durable_batch_json of the last run */
    struct durable_error err;
};

static int give(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)err;
    *out = json_object_new_string(arg);
    return 0;
}

static enum durable_rc item(struct durable_ctx *ctx, struct json_object *in, size_t index,
                            void *arg, struct json_object **out, struct durable_error *err)
{
    struct program *p = arg;
    __atomic_add_fetch(&p->runs[index], 1, __ATOMIC_RELAXED);
    switch (p->fails[index]) {
    case 'F':
        durable_error_set(err, "Mine", "item %zu", index);
        return DURABLE_FAILED;
    case 'W':
        DURABLE_TRY(durable_wait(ctx, "pause", 1, err));
        break;
    case 'S': {
        auto_free char *text = mem_printf("s%zu", index);
        return durable_step(ctx, "step", give, text, NULL, out, err);
    }
    default:
        break;
    }
    *out = json_object_new_int(json_object_get_int(in) * 10);
    return DURABLE_OK;
}

static enum durable_rc mapped(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    struct program *p = arg;
    auto_durable_batch struct durable_batch *b = NULL;
    (void)out;
    durable_error_release(&p->err);
    enum durable_rc rc = durable_map(ctx, "m", in, item, p, &p->opts, &b, err);
    durable_error_copy(&p->err, err);
    if (rc != DURABLE_OK)
        return rc;
    json_object_put(p->seen);
    p->seen = durable_batch_json(b);
    return DURABLE_OK;
}

static void program_release(struct program *p)
{
    json_object_put(p->seen);
    durable_error_release(&p->err);
}
#define auto_program __attribute__((cleanup(program_release)))

/* "START CONTEXT 1; START CONTEXT 1-1, SUCCEED CONTEXT 1-1": all requests. */
static const char *sent(const struct fake *f, struct buf *out)
{
    auto_buf struct buf one = BUF_INIT(100000);
    buf_reset(out);
    for (size_t i = 1; i <= f->requests; i++) {
        fake_updates(f, i, &one);
        buf_printf(out, "%s%s", i > 1 ? "; " : "", buf_str(&one));
    }
    return buf_str(out);
}

/* ---- sequential ------------------------------------------------------------------------------ */

Test(map, runs_items_in_order_and_records_each_and_the_whole)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(100000);
    fake_init(&f, "[1,2]");
    auto_program struct program p = { .fails = "..", .opts.max_concurrency = DURABLE_LIMIT(1) };
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(sent(&f, &u), "START CONTEXT 1, START CONTEXT 1-1, SUCCEED CONTEXT 1-1; "
                                   "START CONTEXT 1-2, SUCCEED CONTEXT 1-2; SUCCEED CONTEXT 1");
    cr_assert(strstr(f.request[2], "\"Payload\":\"{\\\"all\\\":[{\\\"result\\\":10,\\\"index\\\":0,"
                                   "\\\"status\\\":\\\"SUCCEEDED\\\"},{\\\"result\\\":20,"),
              "%s", f.request[2]);
    cr_assert(strstr(f.request[0], "\"ParentId\":\"" ID1 "\",\"Type\":\"CONTEXT\",\"SubType\":"
                                   "\"MapIteration\",\"Name\":\"map-item-0\""),
              "%s", f.request[0]);
    auto_free char *first = mem_dup(json_text(p.seen, NULL));
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(json_text(p.seen, NULL), first);
    cr_assert_eq(f.requests, 3);
    cr_assert_eq(p.runs[0], 1);
}

Test(map, of_nothing_is_complete_at_once)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(100000);
    fake_init(&f, "[]");
    auto_program struct program p = { .fails = "" };
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(sent(&f, &u), "START CONTEXT 1, SUCCEED CONTEXT 1");
    cr_assert_str_eq(json_text(p.seen, NULL),
                     "{\"all\":[],\"completionReason\":\"ALL_COMPLETED\"}");
}

Test(map, is_complete_when_its_rules_say_so)
{
    static const struct {
        const char *fails;
        struct durable_completion c;
        const char *reason;
        const char *statuses;
    } cases[] = {
        { ".F.", { .arg = NULL }, "FAILURE_TOLERANCE_EXCEEDED", "SF" },
        { "..F", { .arg = NULL }, "FAILURE_TOLERANCE_EXCEEDED", "SSF" },
        { "...", { .arg = NULL }, "ALL_COMPLETED", "SSS" },
        { ".F.",
          { .tolerated_failure_count = DURABLE_LIMIT(0) },
          "FAILURE_TOLERANCE_EXCEEDED",
          "SF" },
        { ".F.", { .tolerated_failure_count = DURABLE_LIMIT(1) }, "ALL_COMPLETED", "SFS" },
        { "FF.",
          { .tolerated_failure_count = DURABLE_LIMIT(1) },
          "FAILURE_TOLERANCE_EXCEEDED",
          "FF" },
        { "FFF", { .tolerated_failure_count = DURABLE_LIMIT(3) }, "ALL_COMPLETED", "FFF" },
        { "F...", { .tolerated_failure_percentage = DURABLE_LIMIT(25) }, "ALL_COMPLETED", "FSSS" },
        { "FF..",
          { .tolerated_failure_percentage = DURABLE_LIMIT(25) },
          "FAILURE_TOLERANCE_EXCEEDED",
          "FF" },
        { "F.F.", { .min_successful = DURABLE_LIMIT(1) }, "MIN_SUCCESSFUL_REACHED", "FS" },
        { "FFFF", { .min_successful = DURABLE_LIMIT(1) }, "ALL_COMPLETED", "FFFF" },
        { "....", { .min_successful = DURABLE_LIMIT(4) }, "ALL_COMPLETED", "SSSS" },
        { "F...",
          { .min_successful = DURABLE_LIMIT(1), .tolerated_failure_count = DURABLE_LIMIT(0) },
          "FAILURE_TOLERANCE_EXCEEDED",
          "F" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        fake_init(&f, strlen(cases[i].fails) == 3 ? "[1,2,3]" : "[1,2,3,4]");
        auto_program struct program p = { .fails = cases[i].fails,
                                          .opts = { .max_concurrency = DURABLE_LIMIT(1),
                                                    .completion = cases[i].c } };
        for (int run = 0; run < 2; run++) { /* and as it is recorded */
            cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
            cr_assert_str_eq(json_get_str(p.seen, "completionReason"), cases[i].reason,
                             "case %zu: %s", i, json_text(p.seen, NULL));
            struct json_object *all = json_get_arr(p.seen, "all");
            cr_assert_eq(json_object_array_length(all), strlen(cases[i].statuses), "case %zu", i);
            for (size_t k = 0; k < strlen(cases[i].statuses); k++)
                cr_assert_eq(json_get_str(json_object_array_get_idx(all, k), "status")[0],
                             cases[i].statuses[k], "case %zu", i);
        }
    }
}

static enum durable_verdict two_ends(const struct durable_batch *so_far, void *arg)
{
    if (durable_batch_succeeded(so_far) + durable_batch_failed(so_far) < 2)
        return DURABLE_GO_ON;
    return *(enum durable_verdict *)arg;
}

Test(map, asks_a_rule_of_ones_own)
{
    enum durable_verdict verdicts[] = { DURABLE_COMPLETE_SUCCEEDED, DURABLE_COMPLETE_FAILED };
    static const char *const reasons[] = { "CUSTOM_COMPLETION_SUCCEEDED",
                                           "CUSTOM_COMPLETION_FAILED" };
    for (size_t i = 0; i < 2; i++) {
        auto_fake struct fake f;
        fake_init(&f, "[1,2,3]");
        auto_program struct program p = { .fails = "F..",
                                          .opts = { .max_concurrency = DURABLE_LIMIT(1),
                                                    .completion = { .should_complete = two_ends,
                                                                    .arg = &verdicts[i] } } };
        cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
        cr_assert_str_eq(json_get_str(p.seen, "completionReason"), reasons[i]);
        cr_assert_eq(json_object_array_length(json_get_arr(p.seen, "all")), 2);
        cr_assert_eq(p.runs[2], 0);
    }
}

Test(map, refuses_limits_that_make_no_sense_before_anything_is_recorded)
{
    static const struct durable_batch_opts bad[] = {
        { .max_concurrency = DURABLE_LIMIT(0) },
        { .max_concurrency = DURABLE_LIMIT(-1) },
        { .max_concurrency = DURABLE_LIMIT(1.5) },
        { .completion.min_successful = DURABLE_LIMIT(0) },
        { .completion.min_successful = DURABLE_LIMIT(4) },
        { .completion.tolerated_failure_count = DURABLE_LIMIT(-1) },
        { .completion.tolerated_failure_percentage = DURABLE_LIMIT(101) },
        { .completion = { .should_complete = two_ends, .min_successful = DURABLE_LIMIT(1) } },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_fake struct fake f;
        fake_init(&f, "[1,2,3]");
        auto_program struct program p = { .fails = "...", .opts = bad[i] };
        const char *answer = fake_invoke(&f, mapped, &p);
        cr_assert(strstr(answer, "ValidationError"), "case %zu: %s", i, answer);
        cr_assert_eq(f.requests, 0);
    }
}

Test(map, hands_out_the_error_of_an_item_with_its_cause)
{
    auto_fake struct fake f;
    fake_init(&f, "[1]");
    auto_program struct program p = { .fails = "F" };
    for (int run = 0; run < 2; run++) {
        cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
        cr_assert_str_eq(json_text(p.seen, NULL),
                         "{\"all\":[{\"error\":{\"ErrorType\":\"ChildContextError\","
                         "\"ErrorMessage\":\"item 0\",\"Cause\":{\"ErrorType\":\"Mine\","
                         "\"ErrorMessage\":\"item 0\"}},\"index\":0,\"status\":\"FAILED\"}],"
                         "\"completionReason\":\"FAILURE_TOLERANCE_EXCEEDED\"}");
    }
}

/* ---- suspension ------------------------------------------------------------------------------ */

static void waits_over(struct fake *f)
{
    for (size_t i = 0; i < json_object_array_length(f->ops); i++) {
        struct json_object *op = json_object_array_get_idx(f->ops, i);
        if (strcmp(json_get_str(op, "Type"), "WAIT") == 0)
            json_add_str(op, "Status", "SUCCEEDED");
    }
}

Test(map, suspends_once_all_branches_have_and_keeps_slots_meanwhile)
{
    auto_fake struct fake f;
    fake_init(&f, "[1,2,3]");
    auto_program struct program p = { .fails = "W.W", .opts.max_concurrency = DURABLE_LIMIT(2) };
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"PENDING\"}");
    cr_assert_eq(p.runs[2], 1, "the end of the second made room");
    waits_over(&f);
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(json_get_str(p.seen, "completionReason"), "ALL_COMPLETED");
    cr_assert_eq(p.runs[1], 1, "its end is recorded");
    cr_assert_eq(p.runs[0], 2);
}

Test(map, goes_on_where_the_answer_brings_what_a_branch_waits_for)
{
    auto_fake struct fake f;
    fake_init(&f, "[1,2]");
    f.on_checkpoint = waits_over;
    auto_program struct program p = { .fails = "WW" };
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
}

Test(map, counts_branches_that_an_earlier_invocation_began)
{
    auto_fake struct fake f;
    fake_init(&f, "[1,2,3]");
    auto_program struct program p = { .fails = "WWW",
                                      .opts.completion.min_successful = DURABLE_LIMIT(1) };
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"PENDING\"}");
    waits_over(&f);
    p.opts.max_concurrency = (struct durable_limit)DURABLE_LIMIT(1);
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(json_get_str(p.seen, "completionReason"), "MIN_SUCCESSFUL_REACHED");
    cr_assert_eq(json_object_array_length(json_get_arr(p.seen, "all")), 3);
}

/* ---- every state of the records -------------------------------------------------------------- */

static void context_record(struct fake *f, const char *id, const char *parent, const char *subtype,
                           const char *name, const char *status, const char *details)
{
    auto_free char *parent_id =
        mem_printf(parent ? "\"ParentId\":\"%s\"," : "%s", parent ? parent : "");
    auto_free char *op = mem_printf("{\"Id\":\"%s\",%s\"Type\":\"CONTEXT\",\"SubType\":\"%s\","
                                    "\"Name\":\"%s\",\"Status\":\"%s\",\"ContextDetails\":{%s}}",
                                    id, parent_id, subtype, name, status, details);
    fake_record(f, op);
}

Test(map, goes_on_from_every_status_of_its_own_record)
{
    static const char all[] = "\"Result\":\"{\\\"all\\\":[{\\\"result\\\":9,\\\"index\\\":0,"
                              "\\\"status\\\":\\\"SUCCEEDED\\\"}],\\\"completionReason\\\":"
                              "\\\"MIN_SUCCESSFUL_REACHED\\\"}\"";
    static const struct {
        const char *status, *details;
        unsigned runs;
        const char *answer, *updates;
    } cases[] = {
        { "STARTED", "", 1, "SUCCEEDED",
          "START CONTEXT 1-1, SUCCEED CONTEXT 1-1; SUCCEED CONTEXT 1" },
        { "SUCCEEDED", all, 0, "SUCCEEDED", "" },
        { "SUCCEEDED", "\"Result\":\"[]\"", 0, "SerdesError", "" },
        { "FAILED", "\"Error\":{\"ErrorType\":\"SerdesError\",\"ErrorMessage\":\"m\"}", 0,
          "ChildContextError", "" },
        { "SUCCEEDED", "\"ReplayChildren\":true,\"Result\":\"no summary\"", 0, "SerdesError", "" },
        { "SUCCEEDED",
          "\"ReplayChildren\":true,\"Result\":\"{\\\"itemStatuses\\\":\\\"-\\\","
          "\\\"completionReason\\\":\\\"ALL_COMPLETED\\\"}\"",
          0, "SUCCEEDED", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        auto_buf struct buf u = BUF_INIT(10000);
        fake_init(&f, "[1]");
        context_record(&f, ID1, NULL, "Map", "m", cases[i].status, cases[i].details);
        auto_program struct program p = { .fails = "." };
        const char *answer = fake_invoke(&f, mapped, &p);
        cr_assert(strstr(answer, cases[i].answer), "case %zu: %s", i, answer);
        cr_assert_eq(p.runs[0], cases[i].runs, "case %zu", i);
        cr_assert_str_eq(sent(&f, &u), cases[i].updates, "case %zu", i);
    }
}

Test(map, goes_on_from_every_status_of_an_items_record)
{
    static const struct {
        const char *status, *details;
        unsigned runs;
        const char *seen, *updates;
    } cases[] = {
        { "STARTED", "", 1, "\"result\":10", "SUCCEED CONTEXT 1-1; SUCCEED CONTEXT 1" },
        { "SUCCEEDED", "\"Result\":\"7\"", 0, "\"result\":7", "SUCCEED CONTEXT 1" },
        { "SUCCEEDED", "", 0, "\"result\":null", "SUCCEED CONTEXT 1" },
        { "SUCCEEDED", "\"Result\":\"\",\"ReplayChildren\":true", 1, "\"result\":10",
          "SUCCEED CONTEXT 1" },
        { "FAILED", "\"Error\":{\"ErrorType\":\"Mine\",\"ErrorMessage\":\"m\"}", 0,
          "\"ErrorType\":\"ChildContextError\",\"ErrorMessage\":\"m\",\"Cause\":{\"ErrorType\":"
          "\"Mine\"",
          "SUCCEED CONTEXT 1" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fake struct fake f;
        auto_buf struct buf u = BUF_INIT(10000);
        fake_init(&f, "[1]");
        context_record(&f, ID1, NULL, "Map", "m", "STARTED", "");
        context_record(&f, ID11, ID1, "MapIteration", "map-item-0", cases[i].status,
                       cases[i].details);
        auto_program struct program p = { .fails = "." };
        cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
        cr_assert(strstr(json_text(p.seen, NULL), cases[i].seen), "case %zu: %s", i,
                  json_text(p.seen, NULL));
        cr_assert_eq(p.runs[0], cases[i].runs, "case %zu", i);
        cr_assert_str_eq(sent(&f, &u), cases[i].updates, "case %zu", i);
    }
}

/* ---- flat ------------------------------------------------------------------------------------ */

Test(map, flat_records_the_steps_of_items_under_the_map)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(100000);
    fake_init(&f, "[1,2]");
    auto_program struct program p = {
        .fails = "SS", .opts = { .max_concurrency = DURABLE_LIMIT(1), .flat = true }
    };
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_str_eq(sent(&f, &u), "START CONTEXT 1, START STEP 1-1-1, SUCCEED STEP 1-1-1; "
                                   "START STEP 1-2-1, SUCCEED STEP 1-2-1; SUCCEED CONTEXT 1");
    cr_assert(strstr(f.request[0], "\"ParentId\":\"" ID1 "\",\"Type\":\"STEP\""));
    cr_assert_str_eq(fake_invoke(&f, mapped, &p), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_eq(f.requests, 3);
}

/* ---- large results --------------------------------------------------------------------------- */

static enum durable_rc large_item(struct durable_ctx *ctx, struct json_object *in, size_t index,
                                  void *arg, struct json_object **out, struct durable_error *err)
{
    (void)ctx, (void)in;
    ++*(unsigned *)arg;
    if (index == 1) {
        durable_error_set(err, "Mine", "small");
        return DURABLE_FAILED;
    }
    auto_free char *text = mem_alloc(100001);
    memset(text, 'x', 100000);
    *out = json_object_new_string(text);
    return DURABLE_OK;
}

static enum durable_rc large(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    const struct durable_batch_opts opts = {
        .completion.tolerated_failure_count = DURABLE_LIMIT(4),
    };
    auto_durable_batch struct durable_batch *b = NULL;
    DURABLE_TRY(durable_map(ctx, "m", in, large_item, arg, &opts, &b, err));
    cr_assert_eq(durable_batch_succeeded(b), 3);
    cr_assert_str_eq(durable_batch_error(b, 1)->cause_type, "Mine");
    cr_assert_eq(json_object_get_string_len(durable_batch_value(b, 3)), 100000);
    *out = json_object_new_string(durable_batch_status_name(b));
    return DURABLE_OK;
}

Test(map, records_a_summary_of_a_large_result_and_brings_the_result_back)
{
    auto_fake struct fake f;
    fake_init(&f, "[1,2,3,4]");
    unsigned runs = 0;
    cr_assert_str_eq(fake_invoke(&f, large, &runs),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"FAILED\\\"\"}");
    cr_assert_eq(runs, 4);
    cr_assert(strstr(f.request[f.requests - 1],
                     "{\\\"type\\\":\\\"MapResult\\\",\\\"totalCount\\\":4,\\\"successCount\\\":3,"
                     "\\\"failureCount\\\":1,\\\"completionReason\\\":\\\"ALL_COMPLETED\\\","
                     "\\\"status\\\":\\\"FAILED\\\",\\\"itemStatuses\\\":\\\"SFSS\\\"}"),
              "%s", f.request[f.requests - 1]);
    cr_assert(strstr(f.request[f.requests - 1], "\"ContextOptions\":{\"ReplayChildren\":true}"));
    size_t requests = f.requests;
    cr_assert_str_eq(fake_invoke(&f, large, &runs),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"\\\"FAILED\\\"\"}");
    cr_assert_eq(runs, 4, "the items' own records have it");
    cr_assert_eq(f.requests, requests);
}

/* ---- parallel -------------------------------------------------------------------------------- */

static enum durable_rc give_text(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    cr_assert_null(in);
    return durable_step(ctx, NULL, give, arg, NULL, out, err);
}

static char text_a[] = "a", text_b[] = "b";
static const struct durable_branch two[] = { { "left", give_text, text_a },
                                             { NULL, give_text, text_b } };

static enum durable_rc inner(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    const struct durable_batch_opts opts = { .max_concurrency = DURABLE_LIMIT(1) };
    auto_durable_batch struct durable_batch *b = NULL;
    (void)in, (void)arg;
    DURABLE_TRY(durable_parallel(ctx, "p", two, 2, &opts, &b, err));
    *out = durable_batch_values(b);
    return DURABLE_OK;
}

static enum durable_rc outer(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    static const struct durable_branch one[] = { { "only", inner, NULL } };
    auto_durable_batch struct durable_batch *b = NULL;
    (void)in, (void)arg;
    DURABLE_TRY(durable_parallel(ctx, NULL, one, 1, NULL, &b, err));
    *out = durable_batch_values(b);
    return DURABLE_OK;
}

Test(parallel, names_its_branches_and_nests)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    cr_assert_str_eq(fake_invoke(&f, outer, NULL),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"[[\\\"a\\\",\\\"b\\\"]]\"}");
    cr_assert(strstr(f.request[0], "\"SubType\":\"ParallelBranch\",\"Name\":\"left\""));
    auto_free char *all = mem_printf("%s%s", f.request[0], f.request[1]);
    cr_assert(strstr(f.request[2], "\"Name\":\"parallel-branch-1\"") ||
                  strstr(all, "\"Name\":\"parallel-branch-1\""),
              "%s", f.request[2]);
    cr_assert_str_eq(fake_invoke(&f, outer, NULL),
                     "{\"Status\":\"SUCCEEDED\",\"Result\":\"[[\\\"a\\\",\\\"b\\\"]]\"}");
}
