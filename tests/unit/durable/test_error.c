#include "shared/durable/error.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/json.h"

static void text_of(const struct durable_error *e, struct buf *b)
{
    buf_reset(b);
    error_object_write(b, e);
    cr_assert(!buf_overflowed(b));
    cr_assert_leq(b->len, ERROR_OBJECT_MAX);
}

static char *long_text(const char *unit, size_t count)
{
    auto_buf struct buf b = BUF_INIT(1 << 20);
    for (size_t i = 0; i < count; i++)
        buf_add_str(&b, unit);
    return buf_take(&b, NULL);
}

Test(durable_error, has_the_members_that_are_there)
{
    auto_durable_error struct durable_error e = { 0 };
    auto_buf struct buf b = BUF_INIT(1 << 20);
    text_of(&e, &b);
    cr_assert_str_eq(buf_str(&b), "{\"ErrorType\":\"Error\"}");
    durable_error_set(&e, "Order.OutOfStock", "%d left", 0);
    durable_error_set_data(&e, "{\"sku\":7}");
    text_of(&e, &b);
    cr_assert_str_eq(buf_str(&b), "{\"ErrorType\":\"Order.OutOfStock\",\"ErrorMessage\":\"0 left\","
                                  "\"ErrorData\":\"{\\\"sku\\\":7}\"}");
}

Test(durable_error, survives_writing_and_reading)
{
    auto_json struct json_object *o = NULL;
    cr_assert_eq(json_parse_str("{\"ErrorType\":\"T\",\"ErrorMessage\":\"m\",\"ErrorData\":\"d\","
                                "\"StackTrace\":[\"a\",7,\"b\"],\"Other\":[]}",
                                &o, NULL),
                 0);
    auto_durable_error struct durable_error e = { 0 };
    error_object_read(&e, o);
    error_round_trip(&e);
    cr_assert_str_eq(e.type, "T");
    cr_assert_str_eq(e.message, "m");
    cr_assert_str_eq(e.data, "d");
    cr_assert_eq(e.stack_count, 2);
    cr_assert_str_eq(e.stack[1], "b");
    auto_durable_error struct durable_error copy = { 0 };
    durable_error_copy(&copy, &e);
    error_object_read(&e, NULL);
    cr_assert_null(e.type);
    cr_assert_str_eq(copy.stack[0], "a");
}

Test(durable_error, is_cut_stack_first_then_data_then_message)
{
    static const struct {
        size_t message, data, frames, frame;
        bool stack_left, data_whole, data_left, message_whole;
    } cases[] = {
        { 10, 10, 3, 10, true, true, true, true },
        { 10, 10, 20, 5000, true, true, true, true },       /* as many frames as fit */
        { 20000, 12000, 5, 2000, false, true, true, true }, /* no frame fits */
        { 20000, 20000, 5, 10, false, false, true, true },
        { 40000, 20000, 5, 10, false, false, false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_durable_error struct durable_error e = { 0 };
        auto_buf struct buf b = BUF_INIT(1 << 20);
        auto_free char *message = long_text("m", cases[i].message);
        auto_free char *data = long_text("d", cases[i].data);
        durable_error_set(&e, "T", "%s", message);
        durable_error_set_data(&e, data);
        e.stack = mem_array(cases[i].frames, sizeof(*e.stack));
        for (; e.stack_count < cases[i].frames; e.stack_count++)
            e.stack[e.stack_count] = long_text("s", cases[i].frame);
        text_of(&e, &b);
        error_round_trip(&e);
        cr_assert_eq(e.stack_count > 0, cases[i].stack_left, "case %zu", i);
        cr_assert_eq(e.data && strlen(e.data) == cases[i].data, cases[i].data_whole, "case %zu", i);
        cr_assert_eq(e.data != NULL, cases[i].data_left, "case %zu", i);
        cr_assert_eq(strlen(e.message) == cases[i].message, cases[i].message_whole, "case %zu", i);
        if (!cases[i].message_whole)
            cr_assert_gt(b.len, ERROR_OBJECT_MAX - 100, "no more is cut than has to be");
    }
}

Test(durable_error, counts_what_escaping_makes_of_the_text_and_cuts_whole_characters)
{
    static const char *const units[] = {
        "\x01", "\"", "\n", "\xc3\xa4", "\xf0\x9f\x98\x80", "\xff"
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        auto_durable_error struct durable_error e = { 0 };
        auto_buf struct buf b = BUF_INIT(1 << 20);
        auto_free char *message = long_text(units[i], 40000);
        durable_error_set(&e, message, "%s", message);
        text_of(&e, &b);
        error_round_trip(&e); /* aborts where it is not JSON */
        cr_assert_gt(b.len, ERROR_OBJECT_MAX - 100);
        cr_assert_lt(strlen(e.type), 260);
    }
}

Test(durable_error, wraps_the_cause)
{
    auto_durable_error struct durable_error e = { 0 };
    durable_error_set(&e, "Task.ExitCode", "it ended with 3");
    error_wrap_as(&e, "StepError", "Step failed");
    cr_assert_str_eq(e.type, "StepError");
    cr_assert_str_eq(e.cause_type, "Task.ExitCode");
    cr_assert_str_eq(e.message, "it ended with 3");
    error_object_read(&e, NULL);
    error_wrap_as(&e, "StepError", "Step failed");
    cr_assert_null(e.cause_type);
    cr_assert_str_eq(e.message, "Step failed");
    durable_error_set(&e, "T", "again: %s", e.message);
    cr_assert_str_eq(e.message, "again: Step failed", "an argument may be the error's own text");
}
