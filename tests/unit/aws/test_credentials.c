/* Credentials of the container's endpoint: which URLs are asked, how, and when again. */
#include "shared/aws/credentials.h"

#include "shared/aws/aws.h"
#include "tests/unit/aws/served.h"

TestSuite(credentials_container, .init = http_global_init, .fini = http_global_cleanup);

Test(credentials_container, asks_only_where_nobody_else_can_answer)
{
    static const struct {
        const char *relative, *full, *url; /* NULL: refused */
    } cases[] = {
        { "/v2/credentials/x", NULL, "http://169.254.170.2/v2/credentials/x" },
        { "/a", "https://h/b", "http://169.254.170.2/a" },
        { "a", NULL, NULL },
        { "/a b", NULL, NULL },
        { "/a\r\nHost: x", NULL, NULL },
        { NULL, "https://credentials.example/x?y", "https://credentials.example/x?y" },
        { NULL, "http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x" },
        { NULL, "http://127.9.9.9/x", "http://127.9.9.9/x" },
        { NULL, "http://localhost:1/x", "http://localhost:1/x" },
        { NULL, "http://[::1]:1/x", "http://[::1]:1/x" },
        { NULL, "http://169.254.170.2/x", "http://169.254.170.2/x" },
        { NULL, "http://169.254.170.23/v1/credentials", "http://169.254.170.23/v1/credentials" },
        { NULL, "http://[fd00:ec2::23]/v1/credentials", "http://[fd00:ec2::23]/v1/credentials" },
        { NULL, "http://169.254.169.254/x", NULL },
        { NULL, "http://10.0.0.1/x", NULL },
        { NULL, "http://127.0.0.1.evil.example/x", NULL },
        { NULL, "http://localhost@evil.example/x", NULL },
        { NULL, "http://127.0.0.1#@evil.example/x", "http://127.0.0.1#@evil.example/x" },
        { NULL, "http://evil.example/127.0.0.1", NULL },
        { NULL, "http://[::2]/x", NULL },
        { NULL, "ftp://127.0.0.1/x", NULL },
        { NULL, "/x", NULL },
        { NULL, "", NULL },
        { NULL, NULL, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { 0 };
        struct credentials_container c = { .relative_uri = cases[i].relative,
                                           .full_uri = cases[i].full };
        auto_free char *url = credentials_container_url(&c, &err);
        if (cases[i].url)
            cr_expect_str_eq(url ? url : "(refused)", cases[i].url);
        else
            cr_expect(!url && err.code == ERR_INVALID, "case %zu: %s", i, url);
    }
}

static char *answer_until(int64_t wall_ms, const char *key)
{
    char at[CLOCK_TEXT];
    clock_format(wall_ms, at);
    return mem_printf("{\"RoleArn\":\"r\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s%s\","
                      "\"Token\":\"t%s\",\"Expiration\":\"%s\"}",
                      key, key, key, at);
}

static void expect_key(struct credentials_source *s, const char *key)
{
    struct credentials c = { 0 };
    struct error err = { 0 };
    cr_assert_eq(credentials_get(s, &c, &err), 0, "%s", err.msg);
    cr_expect_str_eq(c.access_key, key);
    cr_expect_eq(c.secret_key[0], 's');
    cr_expect_str_eq(c.secret_key + 1, key);
    cr_expect_str_eq(c.session_token + 1, key);
}

static struct credentials_source *open_source(const struct served *s, const struct moved *m,
                                              const char *token, const char *token_file)
{
    auto_free char *url = mem_printf("%s/creds", s->url);
    struct credentials_container c = { .full_uri = url, .token = token, .token_file = token_file };
    struct error err = { 0 };
    struct credentials_source *source = credentials_container_new(&c, &m->clock, &err);
    cr_assert_not_null(source, "%s", err.msg);
    return source;
}

Test(credentials_container, are_fetched_again_before_they_expire)
{
    struct moved m;
    moved_init(&m);
    int64_t start = m.epoch_ms + m.now_ms;
    auto_free char *first = answer_until(start + 3600000, "A");
    auto_free char *second = answer_until(start + 7200000, "B");
    auto_free char *third = answer_until(start + 9000000, "C");
    const struct answer answers[] = { { .status = 200, .body = first },
                                      { .status = 200, .body = second },
                                      { .status = 200, .body = third } };
    struct served *s = served_start(answers, ARRAY_LEN(answers));
    struct credentials_source *source = open_source(s, &m, "secret-authorization", NULL);
    char value[1024];
    expect_key(source, "A");
    cr_expect_str_eq(s->asked[0].line, "GET /creds");
    cr_expect_str_eq(served_value(s, 0, "Authorization", value), "secret-authorization");
    m.now_ms += 3200000;
    expect_key(source, "A");
    cr_expect_eq(s->count, 1);
    m.now_ms += 200000; /* less than five minutes are left */
    expect_key(source, "B");
    expect_key(source, "B");
    cr_expect_eq(s->count, 2);
    credentials_forget(source); /* AWS says that they have expired */
    expect_key(source, "C");
    cr_expect_eq(s->count, 3);
    credentials_free(source);
    served_stop(s);
}

Test(credentials_container, last_while_the_endpoint_is_away_and_no_longer)
{
    struct moved m;
    moved_init(&m);
    auto_free char *first = answer_until(m.epoch_ms + m.now_ms + 3600000, "A");
    auto_free char *later = answer_until(m.epoch_ms + m.now_ms + 9000000, "B");
    const struct answer answers[] = {
        { .status = 200, .body = first }, { .status = 404, .body = "{}" },
        { .status = 200, .body = "x" },   { .status = 200, .body = "{\"AccessKeyId\":\"A\"}" },
        { .status = 200, .body = later },
    };
    struct served *s = served_start(answers, ARRAY_LEN(answers));
    struct credentials_source *source = open_source(s, &m, NULL, NULL);
    struct credentials c;
    struct error err = { 0 };
    expect_key(source, "A");
    m.now_ms += 3400000;
    expect_key(source, "A"); /* 404, but still valid */
    expect_key(source, "A");
    cr_expect_eq(s->count, 2, "not asked at every call: %zu", s->count);
    m.now_ms += 200000;
    cr_expect_eq(credentials_get(source, &c, &err), -1);
    cr_expect_eq(err.code, ERR_DENIED);
    cr_expect_not_null(strstr(err.msg, "not JSON"), "%s", err.msg);
    m.now_ms += 20000;
    cr_expect_eq(credentials_get(source, &c, &err), -1);
    cr_expect_not_null(strstr(err.msg, "no keys"), "%s", err.msg);
    m.now_ms += 20000;
    expect_key(source, "B");
    credentials_free(source);
    served_stop(s);
}

Test(credentials_container, the_token_file_is_read_for_each_fetch)
{
    struct moved m;
    moved_init(&m);
    auto_free char *body = answer_until(m.epoch_ms + m.now_ms + 1000, "A"); /* never fresh */
    const struct answer answers[] = { { .status = 200, .body = body } };
    struct served *s = served_start(answers, 1);
    char file[] = "/tmp/credentials-test-XXXXXX";
    int fd = mkstemp(file);
    FILE *f = fdopen(fd, "w");
    char value[1024];
    fputs("first\n", f);
    fflush(f);
    struct credentials_source *source = open_source(s, &m, "not this one", file);
    expect_key(source, "A");
    rewind(f);
    fputs("again\n", f);
    fflush(f);
    expect_key(source, "A");
    cr_expect_str_eq(served_value(s, 0, "Authorization", value), "first");
    cr_expect_str_eq(served_value(s, 1, "Authorization", value), "again");
    rewind(f);
    fputs("a\nb\n", f);
    fclose(f);
    struct credentials c;
    struct error err = { 0 };
    credentials_forget(source);
    cr_expect_eq(credentials_get(source, &c, &err), -1);
    cr_expect_not_null(strstr(err.msg, "line breaks"), "%s", err.msg);
    cr_expect_eq(remove(file), 0);
    credentials_free(source);
    served_stop(s);
}

Test(credentials_container, serve_signed_calls)
{
    auto_free char *body =
        answer_until(clock_wall_ms(clock_system()) + INT64_C(3600000), "AKIACONTAINER");
    const struct answer answers[] = { { .status = 200, .body = body } };
    struct served *s = served_start(answers, 1);
    auto_free char *full = mem_printf("%s/creds", s->url);
    const struct aws_options o = { .region = (char[]){ "us-east-1" },
                                   .endpoint = s->url,
                                   .container_full_uri = full };
    struct error err = { 0 };
    char value[1024];
    struct aws *a = aws_new(&o, clock_system(), &err);
    cr_assert_not_null(a, "%s", err.msg);
    auto_response struct http_response resp = { 0 };
    const struct aws_call call = { .service = AWS_LAMBDA, .method = "GET", .path = "/x" };
    cr_assert_eq(aws_send(a, &call, &resp, &err), 0, "%s", err.msg);
    cr_expect_not_null(strstr(served_value(s, 1, "Authorization", value), "AKIACONTAINER/"));
    cr_expect_str_eq(served_value(s, 1, "X-Amz-Security-Token", value), "tAKIACONTAINER");
    aws_free(a);
    served_stop(s);
}
