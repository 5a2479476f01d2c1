#include "shared/aws/http.h"

#include "tests/unit/aws/served.h"

static struct http_client *client(void)
{
    http_global_init();
    struct error err = { 0 };
    struct http_client *c = http_client_new(&err);
    cr_assert_not_null(c, "%s", err.msg);
    return c;
}

static void done(struct http_client *c, struct served *s)
{
    http_client_free(c);
    served_stop(s);
    http_global_cleanup();
}

static const struct answer ok[] = { { .status = 200, .body = "hello" } };

Test(http, sends_what_it_is_given_and_nothing_else)
{
    struct served *s = served_start(ok, 1);
    struct http_client *c = client();
    static const struct http_header headers[] = { { "X-Given", "v" },
                                                  { "X-Empty", "" },
                                                  { NULL, NULL } };
    auto_free char *url = mem_printf("%s/a/%%2F/../b?x=%%20", s->url);
    struct http_request req = {
        .method = "POST", .url = url, .headers = headers, .body = "a\0b", .body_len = 3
    };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    cr_assert_eq(resp.status, 200);
    cr_assert_str_eq(buf_str(&resp.body), "hello");
    cr_assert_eq(s->asked[0].body_len, 3);
    cr_assert_eq(memcmp(s->asked[0].body, "a\0b", 3), 0);
    cr_assert_str_eq(s->asked[0].line, "POST /a/%2F/../b?x=%20");
    cr_assert_not_null(strstr(s->asked[0].headers, "X-Given: v\n"));
    cr_assert_not_null(strstr(s->asked[0].headers, "X-Empty: \n"));
    cr_assert_not_null(strstr(s->asked[0].headers, "Content-Length: 3\n"));
    static const char *const absent[] = { "Expect", "Content-Type", "Accept-Encoding",
                                          "Transfer-Encoding", "User-Agent" };
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        cr_expect_null(strstr(s->asked[0].headers, absent[i]), "%s", absent[i]);
    done(c, s);
}

Test(http, says_how_long_the_body_is_in_every_method)
{
    static const struct {
        const char *method;
        const char *body;
        const char *length; /* NULL: no Content-Length */
        const char *answered;
    } cases[] = {
        { "GET", NULL, NULL, "hello" },   { "HEAD", NULL, NULL, "" },
        { "POST", NULL, "0", "hello" },   { "PUT", NULL, "0", "hello" },
        { "PUT", "abc", "3", "hello" },   { "DELETE", NULL, NULL, "hello" },
        { "DELETE", "xy", "2", "hello" }, { "POST", "{}", "2", "hello" },
    };
    struct served *s = served_start(ok, 1);
    struct http_client *c = client();
    auto_response struct http_response resp = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_request req = { .method = cases[i].method,
                                    .url = s->url,
                                    .body = cases[i].body,
                                    .body_len = cases[i].body ? strlen(cases[i].body) : 0,
                                    .timeout_ms = 5000 };
        struct error err = { 0 };
        char value[1024];
        cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%zu: %s", i, err.msg);
        cr_expect_str_eq(buf_str(&resp.body), cases[i].answered, "case %zu", i);
        cr_expect_str_eq(served_value(s, i, "Content-Length", value),
                         cases[i].length ? cases[i].length : "", "case %zu", i);
        cr_expect_eq(strncmp(s->asked[i].line, cases[i].method, strlen(cases[i].method)), 0);
        cr_expect_str_eq(s->asked[i].peer, s->asked[0].peer, "one connection for all");
    }
    done(c, s);
}

/* The path goes out as it stands, whatever came before on the same handle. */
Test(http, asks_for_what_the_url_says)
{
    static const struct {
        const char *rest;
        const char *asked;
    } cases[] = {
        { "", "GET /" },
        { "/", "GET /" },
        { "/a?b=/c?d", "GET /a?b=/c?d" },
        { "?q=1", "GET /?q=1" },
        { "//a/./b/../c%2f%2F", "GET //a/./b/../c%2f%2F" },
        { "/a#part", "GET /a" },
        { "/a/%zz", "GET /a/%zz" },
        { "/x@y:z", "GET /x@y:z" },
        { "#part", "GET /" },
        { "/", "GET /" },
    };
    struct served *s = served_start(ok, 1);
    struct http_client *c = client();
    auto_response struct http_response resp = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *url = mem_printf("%s%s", s->url, cases[i].rest);
        struct http_request req = { .method = "GET", .url = url, .timeout_ms = 5000 };
        struct error err = { 0 };
        cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s: %s", url, err.msg);
        cr_expect_str_eq(s->asked[i].line, cases[i].asked, "%s: %s", cases[i].rest,
                         s->asked[i].line);
    }
    struct served *other = served_start(ok, 1); /* another server, the same path */
    struct http_request req = { .method = "GET", .url = other->url, .timeout_ms = 5000 };
    struct error err = { 0 };
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    cr_expect_eq(other->count, 1);
    served_stop(other);
    done(c, s);
}

Test(http, goes_straight_there_and_nowhere_else)
{
    static const struct answer away[] = {
        { .status = 302, .body = "x", .headers = { { "Location", "http://127.0.0.1:1/" } } },
    };
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    struct served *s = served_start(away, 1);
    struct http_client *c = client();
    struct http_request req = { .method = "GET", .url = s->url };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    cr_assert_eq(resp.status, 302);
    done(c, s);
}

Test(http, refuses_what_cannot_be_a_request)
{
    static const struct http_header split[] = { { "X", "a\r\nY: b" }, { NULL, NULL } };
    static const struct http_header spaced[] = { { "X Y", "a" }, { NULL, NULL } };
    static const struct http_header unnamed[] = { { "", "a" }, { NULL, NULL } };
    static const struct http_request cases[] = {
        { .method = "GET", .url = "" },
        { .method = "GET", .url = "ftp://127.0.0.1/" },
        { .method = "GET", .url = "file:///etc/hostname" },
        { .method = "GET", .url = "127.0.0.1:80" },
        { .method = "GET", .url = "http://" },
        { .method = "GET", .url = "http://127.0.0.1:99999/" },
        { .method = "GET", .url = "http://127.0.0.1/a b" },
        { .method = "GET", .url = "http://127.0.0.1/\r\nX: y" },
        { .method = "", .url = "http://127.0.0.1/" },
        { .method = "GET / HTTP/1.1\r\nX:", .url = "http://127.0.0.1/" },
        { .method = "GET", .url = "http://127.0.0.1:1/", .headers = split },
        { .method = "GET", .url = "http://127.0.0.1:1/", .headers = spaced },
        { .method = "GET", .url = "http://127.0.0.1:1/", .headers = unnamed },
    };
    struct http_client *c = client();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_response struct http_response resp = { 0 };
        struct error err = { 0 };
        cr_expect_eq(http_send(c, &cases[i], &resp, &err), -1, "case %zu", i);
        cr_expect_eq(err.code, ERR_INVALID, "case %zu: %s", i, err.msg);
        cr_expect(!err.retryable);
    }
    http_client_free(c);
}

Test(http, stops_reading_at_the_limit)
{
    static const struct {
        size_t max;
        int rc;
    } cases[] = { { 5, 0 }, { 4, -1 }, { 1, -1 } };
    struct served *s = served_start(ok, 1);
    struct http_client *c = client();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_request req = { .method = "GET", .url = s->url, .max_response = cases[i].max };
        auto_response struct http_response resp = { 0 };
        struct error err = { 0 };
        cr_expect_eq(http_send(c, &req, &resp, &err), cases[i].rc, "case %zu", i);
        if (cases[i].rc < 0)
            cr_expect_eq(err.code, ERR_TOO_LARGE);
        cr_expect(!err.retryable);
    }
    done(c, s);
}

Test(http, reports_silence_and_broken_connections)
{
    static const struct answer slow[] = { { .status = 200, .body = "late", .delay_ms = 3000 },
                                          { .status = 0 } };
    struct served *s = served_start(slow, 2);
    struct http_client *c = client();
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    struct http_request req = { .method = "GET", .url = s->url, .timeout_ms = 1000 };
    cr_expect_eq(http_send(c, &req, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_TIMEOUT, "%s", err.msg);
    cr_expect(err.retryable);
    cr_expect_eq(http_send(c, &req, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_NET, "%s", err.msg);
    cr_expect(err.retryable);
    req.url = "http://127.0.0.1:1/";
    cr_expect_eq(http_send(c, &req, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_NET, "%s", err.msg);
    done(c, s);
}

/* A kept connection that is cut: libcurl sends again by itself, unless the request says `once`. */
Test(http, sends_again_on_a_dead_kept_connection_unless_told_not_to)
{
    static const struct answer cut[] = { { .status = 200, .body = "1" },
                                         { .status = 0 },
                                         { .status = 200, .body = "2" },
                                         { .status = 0 },
                                         { .status = 200, .body = "3" } };
    struct served *s = served_start(cut, 5);
    struct http_client *c = client();
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    struct http_request req = { .method = "POST", .url = s->url, .body = "same", .body_len = 4 };
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    cr_expect_str_eq(buf_str(&resp.body), "2");
    cr_expect_eq(s->count, 3);
    cr_expect_eq(memcmp(s->asked[2].body, "same", 4), 0);
    req.once = true;
    cr_assert_eq(http_send(c, &req, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_NET, "%s", err.msg);
    cr_expect(err.retryable);
    cr_expect_eq(s->count, 4);
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    cr_expect_str_eq(buf_str(&resp.body), "3");
    done(c, s);
}

struct later {
    atomic_bool flag;
    pthread_t thread;
};

static void *set_later(void *arg)
{
    struct later *l = arg;
    clock_sleep_ms(clock_system(), 50);
    atomic_store(&l->flag, true);
    return NULL;
}

static void later_start(struct later *l)
{
    atomic_init(&l->flag, false);
    cr_assert_eq(pthread_create(&l->thread, NULL, set_later, l), 0);
}

Test(http, gives_up_soon_after_cancel)
{
    static const struct answer slow[] = { { .status = 200, .body = "late", .delay_ms = 3000 } };
    struct served *s = served_start(slow, 1);
    struct http_client *c = client();
    struct later later;
    later_start(&later);
    struct http_request req = { .method = "GET", .url = s->url, .cancel = &later.flag };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    int64_t start = clock_mono_ms(clock_system());
    cr_assert_eq(http_send(c, &req, &resp, &err), -1);
    int64_t took = clock_mono_ms(clock_system()) - start;
    cr_expect_eq(err.code, ERR_CANCELLED);
    cr_expect_lt(took, 3000, "took %d ms", (int)took);
    cr_assert_eq(http_send(c, &req, &resp, &err), -1, "and is not begun after it");
    cr_expect_eq(err.code, ERR_CANCELLED);
    cr_expect_eq(s->count, 1);
    pthread_join(later.thread, NULL);
    done(c, s);
}

Test(http, finds_headers_whatever_their_case)
{
    static const struct answer one[] = {
        { .status = 200,
          .body = "x",
          .headers = { { "X-One", "first  value" }, { "X-One", "second" }, { "X-One-More", "m" } } }
    };
    struct served *s = served_start(one, 1);
    struct http_client *c = client();
    struct http_request req = { .method = "GET", .url = s->url };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    char value[13];
    cr_expect(http_response_header(&resp, "x-ONE", value, sizeof(value)));
    cr_expect_str_eq(value, "first  value");
    cr_expect(!http_response_header(&resp, "X-One", value, sizeof(value) - 1), "does not fit");
    cr_expect(http_response_header(&resp, "x-one-more", value, sizeof(value)));
    cr_expect(!http_response_header(&resp, "X-On", value, sizeof(value)));
    cr_expect(!http_response_header(&resp, "HTTP/1.1 200 OK", value, sizeof(value)));
    http_response_release(&resp);
    http_response_release(&resp);
    cr_expect(!http_response_header(&resp, "X-One", value, sizeof(value)));
    done(c, s);
}

Test(http, reads_retry_after_as_seconds_or_date)
{
    static const struct {
        const char *value;
        int64_t ms;
    } cases[] = {
        { "0", 0 },
        { "7", 7000 },
        { "120", 120000 },
        { "99999999999999999999999", 86400000 },
        { "Mon, 21 Sep 2026 14:13:30 GMT", 10000 }, /* 10 s from now */
        { "Mon, 21 Sep 2026 14:13:10 GMT", 0 },
        { "soon", -1 },
        { "-5", -1 },
        { "", -1 },
    };
    struct moved m;
    moved_init(&m);
    m.now_ms = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_response resp = { .headers = BUF_INIT(1000) };
        buf_printf(&resp.headers, "HTTP/1.1 429 X\r\nRetry-After: %s\r\n\r\n", cases[i].value);
        cr_expect_eq(http_retry_after_ms(&resp, &m.clock), cases[i].ms, "%s gives %d",
                     cases[i].value, (int)http_retry_after_ms(&resp, &m.clock));
        http_response_release(&resp);
    }
}

/* ---- retry ----------------------------------------------------------------------------------- */

Test(http_retry, repeats_what_can_succeed_later_with_the_same_bytes)
{
    static const struct answer answers[] = { { .status = 503, .body = "down" },
                                             { .status = 0 },
                                             { .status = 429, .body = "slow" },
                                             { .status = 200, .body = "up" } };
    struct served *s = served_start(answers, 4);
    struct http_client *c = client();
    struct moved m;
    moved_init(&m);
    struct http_retry retry = { .attempts = 5, .base_ms = 100, .cap_ms = 150, .clock = &m.clock };
    struct http_request req = {
        .method = "POST", .url = s->url, .body = "body", .body_len = 4, .once = true
    };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_assert_eq(http_send_retry(c, &req, &retry, &resp, &err), 0, "%s", err.msg);
    cr_expect_eq(resp.status, 200);
    cr_expect_str_eq(buf_str(&resp.body), "up");
    cr_expect_eq(err.code, ERR_NONE, "earlier failures are forgotten");
    cr_expect_eq(s->count, 4);
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(memcmp(s->asked[i].body, "body", 4), 0);
    cr_expect_leq(m.slept_ms, 100 + 150 + 150);
    done(c, s);
}

Test(http_retry, leaves_alone_what_will_not_change)
{
    static const int statuses[] = { 200, 201, 301, 400, 403, 404, 409, 413, 501, 505 };
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct answer answer = { .status = statuses[i], .body = "x" };
        struct served *s = served_start(&answer, 1);
        struct http_client *c = client();
        struct moved m;
        moved_init(&m);
        struct http_retry retry = { .attempts = 3, .clock = &m.clock };
        struct http_request req = { .method = "GET", .url = s->url };
        auto_response struct http_response resp = { 0 };
        struct error err = { 0 };
        cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), 0);
        cr_expect_eq(resp.status, statuses[i]);
        cr_expect_eq(s->count, 1, "status %d", statuses[i]);
        done(c, s);
    }
}

Test(http_retry, gives_the_last_outcome_when_its_tries_are_used_up)
{
    static const struct answer down[] = { { .status = 502, .body = "down" } };
    struct served *s = served_start(down, 1);
    struct http_client *c = client();
    struct moved m;
    moved_init(&m);
    struct http_retry retry = { .attempts = 3, .base_ms = 10, .cap_ms = 10, .clock = &m.clock };
    struct http_request req = { .method = "GET", .url = s->url };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), 0);
    cr_expect_eq(resp.status, 502);
    cr_expect_eq(s->count, 3);
    req.url = "http://127.0.0.1:1/";
    cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_NET);
    done(c, s);
}

Test(http_retry, waits_as_long_as_it_is_asked_to)
{
    static const struct answer answers[] = {
        { .status = 503, .body = "x", .headers = { { "Retry-After", "7" } } },
        { .status = 200, .body = "up" }
    };
    struct served *s = served_start(answers, 2);
    struct http_client *c = client();
    struct moved m;
    moved_init(&m);
    struct http_retry retry = { .attempts = 2, .base_ms = 10, .cap_ms = 10, .clock = &m.clock };
    struct http_request req = { .method = "GET", .url = s->url };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), 0);
    cr_expect_eq(resp.status, 200);
    cr_expect_eq(m.slept_ms, 7000);
    done(c, s);
}

Test(http_retry, keeps_its_deadline)
{
    static const struct answer busy[] = {
        { .status = 429, .body = "x", .headers = { { "Retry-After", "7" } } }
    };
    struct served *s = served_start(busy, 1);
    struct http_client *c = client();
    struct moved m;
    moved_init(&m);
    struct http_retry retry = { .attempts = 5,
                                .base_ms = 10,
                                .cap_ms = 10,
                                .deadline_ms = m.now_ms + 6999,
                                .clock = &m.clock };
    struct http_request req = { .method = "GET", .url = s->url };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), 0);
    cr_expect_eq(resp.status, 429, "the wait would end past it");
    cr_expect_eq(m.sleeps, 0);
    m.now_ms += 10000;
    cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_TIMEOUT);
    cr_expect_eq(s->count, 1, "nothing is sent when it has passed");
    done(c, s);
}

Test(http_retry, leaves_time_for_another_try)
{
    static const struct {
        int64_t left_ms; /* until the deadline; 0: there is none */
        int64_t timeout_ms;
        bool last;
        int64_t limit_ms; /* -1: no time is left */
    } cases[] = {
        { 0, 0, false, 0 },
        { 0, 10000, false, 10000 },
        { 60000, 10000, false, 10000 },
        { 60000, 0, false, 30000 },
        { 12000, 10000, false, 6000 },
        { 12000, 10000, true, 10000 },
        { 12000, 0, true, 12000 },
        { 2500, 10000, false, 1250 },
        { 2500, 1100, false, 1100 },
        { 1500, 10000, false, HTTP_TRY_MIN_MS },
        { HTTP_TRY_MIN_MS, 10000, false, HTTP_TRY_MIN_MS },
        { 700, 10000, false, 700 },
        { 1, 10000, false, 1 },
        { -1, 10000, false, -1 },
        { -1, 10000, true, -1 },
    };
    struct moved m;
    moved_init(&m);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct http_retry retry = { .deadline_ms =
                                              cases[i].left_ms ? m.now_ms + cases[i].left_ms : 0,
                                          .clock = &m.clock };
        struct error err = { 0 };
        int64_t limit_ms = 0;
        int rc = http_try_limit(&retry, cases[i].last, cases[i].timeout_ms, &limit_ms, &err);
        cr_expect_eq(rc, cases[i].limit_ms < 0 ? -1 : 0, "case %zu", i);
        if (cases[i].limit_ms < 0)
            cr_expect_eq(err.code, ERR_TIMEOUT, "case %zu", i);
        else
            cr_expect_eq(limit_ms, cases[i].limit_ms, "case %zu: %lld", i, (long long)limit_ms);
    }
}

Test(http_retry, cuts_a_try_at_the_deadline)
{
    static const struct answer slow[] = { { .status = 200, .body = "late", .delay_ms = 500 } };
    struct served *s = served_start(slow, 1);
    struct http_client *c = client();
    struct http_retry retry = { .attempts = 5,
                                .deadline_ms = clock_mono_ms(clock_system()) + 100,
                                .clock = clock_system() };
    struct http_request req = { .method = "GET", .url = s->url };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_TIMEOUT);
    done(c, s);
}

Test(http_retry, stops_waiting_when_cancelled)
{
    static const struct answer busy[] = {
        { .status = 429, .body = "x", .headers = { { "Retry-After", "30" } } }
    };
    struct served *s = served_start(busy, 1);
    struct http_client *c = client();
    struct later later;
    later_start(&later);
    struct http_retry retry = { .attempts = 5, .clock = clock_system() };
    struct http_request req = { .method = "GET", .url = s->url, .cancel = &later.flag };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    int64_t start = clock_mono_ms(clock_system());
    cr_expect_eq(http_send_retry(c, &req, &retry, &resp, &err), -1);
    cr_expect_eq(err.code, ERR_CANCELLED);
    cr_expect_lt(clock_mono_ms(clock_system()) - start, 30000);
    pthread_join(later.thread, NULL);
    done(c, s);
}
