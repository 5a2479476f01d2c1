#include "launcher/receiver_client.h"

#include <criterion/criterion.h>

#include "shared/base/json.h"
#include "tests/unit/launcher/fake_aws.h"

#define TOKEN "v1.k.c2VjcmV0"

static struct receiver_client *client(const struct fake_aws *f)
{
    struct error err = { 0 };
    struct receiver_client *r = receiver_client_new(f->url, clock_system(), &err);
    cr_assert_not_null(r, "%s", err.msg);
    receiver_client_set_retry(r, 2, 1);
    return r;
}

Test(receiver_client, speaks_the_receivers_http)
{
    struct error err = { 0 };
    struct fake_aws *f = fake_start(NULL);
    struct receiver_client *r = client(f);
    auto_json struct json_object *status = NULL;
    cr_expect_eq(receiver_register(r, "id1", TOKEN, "{\"input\":null}", &err), 0);
    cr_expect_eq(receiver_status(r, "id1", TOKEN, &status, &err), 0);
    cr_expect_eq(receiver_close(r, "id1", TOKEN, "Task.Timeout", &err), 0);
    cr_expect_str_eq(json_get_str(status, "state"), "pending");
    cr_expect_str_eq(f->asked[0].operation, "PUT");
    cr_expect_str_eq(f->asked[0].body, "{\"input\":null}");
    cr_expect_str_eq(f->asked[2].operation, "DELETE");
    cr_expect_str_eq(f->asked[2].body, "{\"outcome\":\"Task.Timeout\"}");
    for (size_t i = 0; i < 3; i++) {
        cr_expect_str_eq(f->asked[i].path, "/v1/callbacks/id1");
        cr_expect_str_eq(f->asked[i].auth, "Bearer " TOKEN);
    }
    receiver_client_free(r);
    fake_stop(f);
}

Test(receiver_client, says_what_can_be_asked_again)
{
    static const struct {
        int status;
        enum error_code code;
        bool retryable;
    } table[] = {
        { 400, ERR_INVALID, false },    { 401, ERR_DENIED, false },
        { 403, ERR_DENIED, false },     { 404, ERR_NOT_FOUND, false },
        { 409, ERR_CONFLICT, false },   { 410, ERR_GONE, false },
        { 413, ERR_TOO_LARGE, false },  { 429, ERR_THROTTLED, true },
        { 500, ERR_UNAVAILABLE, true }, { 503, ERR_UNAVAILABLE, true },
        { 302, ERR_PROTOCOL, false },   { 0, ERR_NET, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct fake_rule rules[] = { { "PUT", table[i].status, "{\"detail\":\"because\"}" },
                                           { NULL, 0, NULL } };
        struct error err = { 0 };
        struct fake_aws *f = fake_start(rules);
        struct receiver_client *r = client(f);
        cr_assert_eq(receiver_register(r, "id1", TOKEN, "{}", &err), -1);
        cr_expect_eq(err.code, table[i].code, "%d: %s", table[i].status, err.msg);
        cr_expect_eq(err.retryable, table[i].retryable, "%d", table[i].status);
        cr_expect_eq(!strstr(err.msg, "because"), table[i].status == 0, "%s", err.msg);
        cr_expect_null(strstr(err.msg, TOKEN));
        receiver_client_free(r);
        fake_stop(f);
    }
}

Test(receiver_client, takes_a_missing_registration_for_closed)
{
    static const int statuses[] = { 404, 410 };
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        const struct fake_rule rules[] = { { "DELETE", statuses[i], "{}" }, { NULL, 0, NULL } };
        struct error err = { 0 };
        struct fake_aws *f = fake_start(rules);
        struct receiver_client *r = client(f);
        cr_expect_eq(receiver_close(r, "id1", TOKEN, "x", &err), 0);
        receiver_client_free(r);
        fake_stop(f);
    }
}

Test(receiver_client, refuses_an_answer_that_makes_no_sense)
{
    static const char *const bodies[] = { "", "[]", "null", "<html>" };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        const struct fake_rule rules[] = { { "GET", 200, bodies[i] }, { NULL, 0, NULL } };
        struct error err = { 0 };
        struct json_object *status = NULL;
        struct fake_aws *f = fake_start(rules);
        struct receiver_client *r = client(f);
        cr_expect_eq(receiver_status(r, "id1", TOKEN, &status, &err), -1);
        cr_expect_null(status);
        receiver_client_free(r);
        fake_stop(f);
    }
}
