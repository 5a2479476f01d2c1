#include "shared/aws/http.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/httpd.h"

/* A server whose answers each test chooses, and what it saw. */
struct served {
    pthread_mutex_t lock;
    struct httpd *httpd;
    httpd_handler *answer;
    unsigned requests;
    struct buf bodies; /* of all requests, each followed by '|' */
    char last[2048];   /* "METHOD path?query" and the headers of the last one */
    char url[128];
};

static void note_header(void *arg, const char *name, const char *value)
{
    struct served *s = arg;
    size_t at = strlen(s->last);
    snprintf(s->last + at, sizeof(s->last) - at, "%s: %s\n", name, value);
}

static void serve(struct httpd_request *req, void *arg)
{
    struct served *s = arg;
    pthread_mutex_lock(&s->lock);
    s->requests++;
    size_t len;
    const char *body = httpd_body(req, &len);
    buf_add(&s->bodies, body, len);
    buf_add_char(&s->bodies, '|');
    snprintf(s->last, sizeof(s->last), "%s %s?%s\n", httpd_method(req), httpd_path(req),
             httpd_query(req));
    httpd_each_header(req, note_header, s);
    pthread_mutex_unlock(&s->lock);
    s->answer(req, s);
}

static struct served *serve_start(httpd_handler *answer)
{
    struct served *s = mem_alloc(sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->answer = answer;
    buf_init(&s->bodies, 1 << 20);
    struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 2, .max_body = 1 << 20, .handler = serve, .arg = s
    };
    struct error err = { 0 };
    s->httpd = httpd_start(&cfg, &err);
    cr_assert_not_null(s->httpd, "%s", err.msg);
    snprintf(s->url, sizeof(s->url), "http://%s/a/%%2F/../b", httpd_address(s->httpd));
    return s;
}

static void serve_stop(struct served *s)
{
    httpd_stop(s->httpd);
    buf_release(&s->bodies);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct http_client *client(void)
{
    http_global_init();
    struct error err = { 0 };
    struct http_client *c = http_client_new(&err);
    cr_assert_not_null(c, "%s", err.msg);
    return c;
}

static void answer_ok(struct httpd_request *req, void *arg)
{
    (void)arg;
    static const struct httpd_header headers[] = { { "X-One", "  first " }, { NULL, NULL } };
    httpd_reply(req, 200, "text/plain", "hello", 5, headers);
}

Test(http, sends_what_it_is_given_and_nothing_else)
{
    struct served *s = serve_start(answer_ok);
    struct http_client *c = client();
    static const struct http_header headers[] = { { "X-Given", "v" },
                                                  { "X-Empty", "" },
                                                  { NULL, NULL } };
    struct http_request req = {
        .method = "POST", .url = s->url, .headers = headers, .body = "a\0b", .body_len = 3
    };
    auto_response struct http_response resp = { 0 };
    struct error err = { 0 };
    cr_assert_eq(http_send(c, &req, &resp, &err), 0, "%s", err.msg);
    cr_assert_eq(resp.status, 200);
    cr_assert_str_eq(buf_str(&resp.body), "hello");
    cr_assert_eq(s->bodies.len, 4);
    cr_assert_eq(memcmp(s->bodies.data, "a\0b|", 4), 0);
    cr_assert_not_null(strstr(s->last, "POST /a/%2F/../b?\n"), "%s", s->last);
    cr_assert_not_null(strstr(s->last, "X-Given: v\n"));
    cr_assert_not_null(strstr(s->last, "X-Empty: \n"));
    cr_assert_not_null(strstr(s->last, "Content-Length: 3\n"));
    static const char *const absent[] = { "Expect", "Content-Type", "Accept-Encoding",
                                          "Transfer-Encoding", "User-Agent" };
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        cr_assert_null(strstr(s->last, absent[i]), "%s in %s", absent[i], s->last);
    http_client_free(c);
    serve_stop(s);
}
