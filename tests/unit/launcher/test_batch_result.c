#include "launcher/batch_result.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/json.h"

#define ID "launcher.1.9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9.0e9b6a5f-1c5c-4c2b-9c55-2f1f8d6f1a01"

/* What a job's workflow gives: a result of `size` bytes. */
static struct json_object *value(size_t size)
{
    struct json_object *o = json_object_new_object();
    auto_free char *text = mem_alloc(size + 1);
    memset(text, 'x', size);
    json_add_str(o, "workflow", ID);
    json_add_str(o, "taskArn", "arn:task/1");
    json_add(o, "result", json_object_new_string_len(text, (int)(size > 2 ? size - 2 : 0)));
    return o;
}

static void add_good(struct batch_result *b, size_t index, size_t size)
{
    auto_json struct json_object *v = value(size);
    batch_result_succeeded(b, index, v);
}

static void add_bad(struct batch_result *b, size_t index, const char *message, const char *data)
{
    auto_durable_error struct durable_error err = { 0 };
    durable_error_set(&err, "Task.ExitCode", "%s", message);
    if (data)
        durable_error_set_data(&err, data);
    batch_result_failed(b, index, &err);
}

static size_t text_len(struct json_object *doc)
{
    size_t len;
    json_text(doc, &len);
    return len;
}

Test(batch_result, lists_each_job_in_order)
{
    struct batch_result *b = batch_result_new();
    auto_json struct json_object *none = json_object_new_object();
    json_add_str(none, "workflow", "w2");
    json_add_int(none, "resultBytes", 99999);
    add_good(b, 0, 3);
    add_bad(b, 1, "exit status 3", "{\"taskArn\":\"t\",\"workflow\":\"w1\"}");
    batch_result_succeeded(b, 2, none);
    auto_json struct json_object *doc = batch_result_doc(b, 4, false, BATCH_RESULT_ROOM);
    cr_expect_str_eq(
        json_text(doc, NULL),
        "{\"total\":4,\"succeeded\":2,\"failed\":1,\"jobs\":[{\"index\":0,\"status\":\"SUCCEEDED\","
        "\"workflow\":\"" ID "\",\"result\":\"x\"},{\"index\":1,\"status\":\"FAILED\",\"workflow\":"
        "\"w1\",\"error\":{\"type\":\"Task.ExitCode\",\"message\":\"exit status 3\",\"data\":"
        "{\"taskArn\":\"t\"}}},{\"index\":2,\"status\":\"SUCCEEDED\",\"workflow\":\"w2\","
        "\"resultBytes\":99999}]}");
    batch_result_free(b);
}

Test(batch_result, leaves_out_the_largest_results_where_not_all_fit)
{
    static const size_t sizes[] = { 200000, 10, 90000, 100000, 20 };
    struct batch_result *b = batch_result_new();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        add_good(b, i, sizes[i]);
    auto_json struct json_object *doc = batch_result_doc(b, ARRAY_LEN(sizes), false, 250000);
    struct json_object *jobs = json_get_arr(doc, "jobs");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct json_object *job = json_object_array_get_idx(jobs, i);
        cr_expect_eq(json_get(job, "result") != NULL, i != 0, "job %zu", i);
        cr_expect_eq(json_get_int(job, "resultBytes", -1), i == 0 ? 200000 : -1);
    }
    cr_expect_leq(text_len(doc), 250000);
    batch_result_free(b);
}

Test(batch_result, fits_whatever_a_thousand_jobs_give)
{
    static const char *const messages[] = { "exit status 3", "\x01\x02\x03\x04\"\\" };
    for (size_t size = 1; size < 300; size += 149) {
        for (size_t m = 0; m < ARRAY_LEN(messages); m++) {
            struct batch_result *b = batch_result_new();
            for (size_t i = 0; i < 1000; i++) {
                if (i % 3)
                    add_good(b, i, size);
                else
                    add_bad(b, i, messages[m], "{\"workflow\":\"" ID "\",\"reason\":\"a\"}");
            }
            auto_json struct json_object *doc = batch_result_doc(b, 1000, false, BATCH_RESULT_ROOM);
            cr_expect_leq(text_len(doc), BATCH_RESULT_ROOM);
            cr_expect_gt(text_len(doc), 100000);
            cr_expect_eq(json_object_array_length(json_get_arr(doc, "jobs")), 1000);
            batch_result_free(b);
        }
    }
}

Test(batch_result, fits_the_longest_names)
{
    struct batch_result *b = batch_result_new();
    auto_free char *name = mem_printf("%0255d", 1);
    auto_free char *data = mem_printf("{\"workflow\":\"%s\"}", name);
    auto_free char *message = mem_printf("%0300d", 1);
    for (size_t i = 0; i < 1000; i++)
        add_bad(b, i, message, data);
    auto_json struct json_object *doc = batch_result_doc(b, 1000, false, 400000);
    cr_expect_leq(text_len(doc), 400000);
    struct json_object *jobs = json_get_arr(doc, "jobs");
    cr_expect_not_null(json_get(json_object_array_get_idx(jobs, 0), "workflow"));
    cr_expect_null(json_get(json_object_array_get_idx(jobs, 999), "workflow"), "the last lose it");
    batch_result_free(b);
}

Test(batch_result, of_a_failed_batch_names_failed_jobs_alone)
{
    struct batch_result *b = batch_result_new();
    for (size_t i = 0; i < 500; i++) {
        add_good(b, 2 * i, 10);
        add_bad(b, 2 * i + 1, "exit status 3", NULL);
    }
    auto_json struct json_object *doc = batch_result_doc(b, 1000, true, BATCH_ERROR_ROOM);
    struct json_object *jobs = json_get_arr(doc, "jobs");
    cr_expect_leq(text_len(doc), BATCH_ERROR_ROOM);
    cr_expect_gt(json_object_array_length(jobs), 100);
    for (size_t i = 0; i < json_object_array_length(jobs); i++)
        cr_expect_eq(json_get_int(json_object_array_get_idx(jobs, i), "index", -1),
                     2 * (int64_t)i + 1);
    cr_expect_eq(json_get_int(doc, "failed", -1), 500);
    batch_result_free(b);
}
