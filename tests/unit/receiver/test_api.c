/* The pure parts of the API: tokens against paths and scopes, Prefer, what errors of Lambda mean.
 */
#include "callback-receiver/api.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/attempt.h"
#include "callback-receiver/auth.h"
#include "callback-receiver/ops.h"

#define KEYS "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"

static char *bearer(const struct token_keys *k, const char *scheme, const char *callback_id,
                    enum token_scope scope, int64_t expires_s)
{
    struct token_content c = { .scope = scope, .expires_s = expires_s };
    auto_buf struct buf b = BUF_INIT(TOKEN_MAX);
    struct error err;
    memcpy(c.callback_id, callback_id, strlen(callback_id) + 1);
    cr_assert_eq(token_seal(k, &c, &b, &err), 0, "%s", err.msg);
    return mem_printf("%s%s", scheme, buf_str(&b));
}

Test(auth, the_token_must_be_ours_alive_of_this_callback_and_of_the_scope)
{
    struct error err;
    struct token_keys *k = token_keys_new(KEYS, NULL, &err);
    char id[TOKEN_PUBLIC_ID];
    token_public_id("QQ==", id);
    const unsigned job = 1U << TOKEN_SCOPE_JOB, launcher = 1U << TOKEN_SCOPE_LAUNCHER;
    struct {
        char *header;
        unsigned scopes;
        enum auth verdict;
    } cases[] = {
        { bearer(k, "Bearer ", "QQ==", TOKEN_SCOPE_JOB, 100), job, AUTH_OK },
        { bearer(k, "bearer  ", "QQ==", TOKEN_SCOPE_JOB, 100), job | launcher, AUTH_OK },
        { bearer(k, "Bearer ", "QQ==", TOKEN_SCOPE_JOB, 100), launcher, AUTH_SCOPE },
        { bearer(k, "Bearer ", "QQ==", TOKEN_SCOPE_LAUNCHER, 100), job, AUTH_SCOPE },
        { bearer(k, "Bearer ", "QQ==", TOKEN_SCOPE_JOB, 50), job, AUTH_EXPIRED },
        { bearer(k, "Bearer ", "QUE=", TOKEN_SCOPE_JOB, 100), job, AUTH_MISMATCH },
        { bearer(k, "Basic ", "QQ==", TOKEN_SCOPE_JOB, 100), job, AUTH_MISSING },
        { bearer(k, "", "QQ==", TOKEN_SCOPE_JOB, 100), job, AUTH_MISSING },
        { mem_dup("Bearer "), job, AUTH_MISSING },
        { mem_dup("Bearer v1.k1.AAAA"), job, AUTH_MISSING },
        { NULL, job, AUTH_MISSING },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct token_content c;
        cr_assert_eq(auth_check(k, cases[i].header, id, cases[i].scopes, 50, &c), cases[i].verdict,
                     "case %zu", i);
        cr_assert_str_eq(c.callback_id, cases[i].verdict == AUTH_OK ? "QQ==" : "");
        free(cases[i].header);
    }
    struct token_content c;
    auto_free char *good = bearer(k, "Bearer ", "QQ==", TOKEN_SCOPE_JOB, 100);
    id[23] = '\0';
    cr_assert_eq(auth_check(k, good, id, job, 50, &c), AUTH_MISMATCH, "an id that is cut");
    token_keys_free(k);
}

Test(api, reads_the_wait_preference)
{
    static const struct {
        const char *text;
        int wait_s;
    } cases[] = {
        { "wait=5", 5 },
        { "Wait = 7", 7 },
        { "respond-async, wait=10", 10 },
        { "wait=\"3\"", 3 },
        { "wait=31", 30 },
        { "wait=99999999999999999999", 30 },
        { "wait=0", 0 },
        { "wait", 0 },
        { "wait=x", 0 },
        { "handling=lenient", 0 },
        { "", 0 },
        { "waiter=4", 0 },
        { "wait=-5", 0 },
        { ",, wait=2;x=1", 2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(api_prefer_wait(cases[i].text), cases[i].wait_s, "%s: %d", cases[i].text,
                     api_prefer_wait(cases[i].text));
}

Test(delivery, tells_refused_from_lost_and_gone)
{
    static const struct {
        enum error_code code;
        int detail;
        const char *type;
        enum callback_attempt_outcome outcome;
    } cases[] = {
        { ERR_NONE, 0, "", CALLBACK_ATTEMPT_OK },
        { ERR_GONE, 400, "CallbackTimeoutException", CALLBACK_ATTEMPT_GONE },
        { ERR_NOT_FOUND, 404, "ResourceNotFoundException", CALLBACK_ATTEMPT_GONE },
        { ERR_INVALID, 400, "InvalidParameterValueException", CALLBACK_ATTEMPT_REFUSED },
        { ERR_TOO_LARGE, 413, "RequestTooLargeException", CALLBACK_ATTEMPT_REFUSED },
        { ERR_TOO_LARGE, 0, "", CALLBACK_ATTEMPT_RETRY },
        { ERR_NOT_FOUND, 404, "", CALLBACK_ATTEMPT_RETRY }, /* not Lambda's */
        { ERR_INVALID, 400, "", CALLBACK_ATTEMPT_RETRY },
        { ERR_GONE, 408, "CallbackTimeoutException", CALLBACK_ATTEMPT_GONE },
        { ERR_DENIED, 403, "AccessDeniedException", CALLBACK_ATTEMPT_RETRY },
        { ERR_THROTTLED, 429, "TooManyRequestsException", CALLBACK_ATTEMPT_RETRY },
        { ERR_UNAVAILABLE, 500, "ServiceException", CALLBACK_ATTEMPT_RETRY },
        { ERR_UNAVAILABLE, 503, "", CALLBACK_ATTEMPT_RETRY },
        { ERR_UNAVAILABLE, 502, "", CALLBACK_ATTEMPT_LOST },
        { ERR_UNAVAILABLE, 504, "", CALLBACK_ATTEMPT_LOST },
        { ERR_UNAVAILABLE, 502, "KMSDisabledException", CALLBACK_ATTEMPT_RETRY },
        { ERR_NET, 7, "", CALLBACK_ATTEMPT_RETRY }, /* no connection */
        { ERR_NET, 52, "", CALLBACK_ATTEMPT_LOST }, /* nothing came back */
        { ERR_TIMEOUT, 28, "", CALLBACK_ATTEMPT_LOST },
        { ERR_CANCELLED, 0, "", CALLBACK_ATTEMPT_LOST },
        { ERR_PROTOCOL, 200, "", CALLBACK_ATTEMPT_LOST },
        { ERR_INTERNAL, 0, "", CALLBACK_ATTEMPT_RETRY },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { .code = cases[i].code, .detail = cases[i].detail };
        error_set_type(&err, cases[i].type);
        cr_assert_eq(attempt_classify(&err), cases[i].outcome, "case %zu", i);
    }
}

Test(ops, knows_loopback_names)
{
    static const struct {
        const char *host;
        bool loopback;
    } cases[] = {
        { "localhost", true },           { "LOCALHOST:9091", true },
        { "127.0.0.1:9091", true },      { "127.1.2.3", true },
        { "[::1]:9091", true },          { "[::1]", true },
        { "0.0.0.0:9091", false },       { "[::]:9091", false },
        { "localhost.evil.com", false }, { "127.0.0.1.evil.com", false },
        { "evil.com", false },           { "", false },
        { "128.0.0.1", false },          { "[::1", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(ops_loopback(cases[i].host), cases[i].loopback, "%s", cases[i].host);
}
