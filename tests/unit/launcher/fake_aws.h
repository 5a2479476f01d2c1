/* fake_aws.h - for tests: one HTTP server that plays Lambda, ECS and the callback receiver with
 * ordered answers, and remembers what it was asked. */
#ifndef TESTS_UNIT_LAUNCHER_FAKE_AWS_H
#define TESTS_UNIT_LAUNCHER_FAKE_AWS_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/aws/aws.h"
#include "shared/base/clock.h"
#include "shared/base/httpd.h"

#define FAKE_ASKED 256
#define UNUSED     __attribute__((unused))

/* What the n-th call of an operation gets; the last rule of an operation stays. */
struct fake_rule {
    const char *operation; /* "RunTask", "PUT", "Invoke", ... */
    int status;            /* 0: the connection is cut */
    const char *body;
};

struct fake_asked {
    char operation[32];
    char path[512]; /* with the query */
    char auth[2048];
    char name[80];  /* X-Amz-Durable-Execution-Name */
    char trace[96]; /* X-Amzn-Trace-Id */
    char *body;
};

struct fake_aws {
    pthread_mutex_t lock;
    struct httpd *httpd;
    const struct fake_rule *rules;
    size_t count;
    struct fake_asked asked[FAKE_ASKED];
    char url[128];
};

/* A port of the loopback interface that takes connections and never answers; *fd is the caller's to
 * close. */
UNUSED static char *fake_silence(int *fd)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(*fd, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(*fd, 16), 0);
    cr_assert_eq(getsockname(*fd, (struct sockaddr *)&at, &len), 0);
    return mem_printf("http://127.0.0.1:%d", ntohs(at.sin_port));
}

static const struct fake_rule fake_defaults[] = {
    { "RunTask", 200, "{\"tasks\":[{\"taskArn\":\"arn:task/1\"}],\"failures\":[]}" },
    { "DescribeTasks", 200,
      "{\"tasks\":[{\"taskArn\":\"arn:task/1\",\"lastStatus\":\"STOPPED\",\"stopCode\":"
      "\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task exited\","
      "\"containers\":[{\"name\":\"job\",\"exitCode\":137}]}],\"failures\":[]}" },
    { "StopTask", 200, "{\"task\":{}}" },
    { "ListTasks", 200, "{\"taskArns\":[]}" },
    { "PUT", 201, "{\"id\":\"x\",\"state\":\"pending\"}" },
    { "GET", 200, "{\"id\":\"x\",\"state\":\"pending\"}" },
    { "DELETE", 200, "{\"id\":\"x\",\"state\":\"closed\"}" },
    { "Stop", 200, "{\"StopTimestamp\":1764700000.5}" },
    { "Invoke", 202, "" },
};

/* The operation of a request, by the parts of it that name one. */
static void fake_operation(struct httpd_request *req, char out[32])
{
    const char *target = httpd_header(req, "X-Amz-Target");
    const char *path = httpd_path(req);
    const char *name = httpd_method(req);
    if (target)
        name = strrchr(target, '.') + 1;
    else if (strstr(path, "/invocations"))
        name = "Invoke";
    else if (strstr(path, "/stop"))
        name = "Stop";
    else if (strstr(path, "/history"))
        name = "History";
    else if (strstr(path, "/durable-executions/"))
        name = "Execution";
    snprintf(out, 32, "%s", name);
}

static const struct fake_rule *fake_find(const struct fake_aws *f, const char *operation)
{
    const struct fake_rule *found = NULL;
    size_t before = 0;
    for (size_t i = 0; i + 1 < f->count && i < FAKE_ASKED; i++)
        before += strcmp(f->asked[i].operation, operation) == 0;
    for (const struct fake_rule *r = f->rules; r && r->operation; r++) {
        if (strcmp(r->operation, operation) != 0)
            continue;
        found = r;
        if (before-- == 0)
            return r;
    }
    for (size_t i = 0; !found && i < ARRAY_LEN(fake_defaults); i++)
        if (strcmp(fake_defaults[i].operation, operation) == 0)
            found = &fake_defaults[i];
    return found;
}

#define FAKE_ARN                                                                                   \
    "arn:aws:lambda:us-east-1:123456789012:function:launcher:1/durable-execution/%s/"              \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"

static void fake_handle(struct httpd_request *req, void *arg)
{
    struct fake_aws *f = arg;
    char operation[32];
    char arn[256] = "";
    size_t len;
    fake_operation(req, operation);
    pthread_mutex_lock(&f->lock);
    size_t n = f->count++;
    const struct fake_rule *rule = NULL;
    if (n < FAKE_ASKED) {
        struct fake_asked *a = &f->asked[n];
        const char *query = httpd_query(req);
        const char *auth = httpd_header(req, "Authorization");
        const char *name = httpd_header(req, "X-Amz-Durable-Execution-Name");
        const char *body = httpd_body(req, &len);
        snprintf(a->operation, sizeof(a->operation), "%s", operation);
        snprintf(a->path, sizeof(a->path), "%s%s%s", httpd_path(req), *query ? "?" : "", query);
        snprintf(a->auth, sizeof(a->auth), "%s", auth ? auth : "");
        const char *trace = httpd_header(req, "X-Amzn-Trace-Id");
        snprintf(a->trace, sizeof(a->trace), "%s", trace ? trace : "");
        snprintf(a->name, sizeof(a->name), "%s", name ? name : "");
        snprintf(arn, sizeof(arn), FAKE_ARN, a->name);
        a->body = mem_dup_len(body, len);
        rule = fake_find(f, operation);
    }
    pthread_mutex_unlock(&f->lock);
    const struct httpd_header headers[] = {
        { strcmp(operation, "Invoke") == 0 ? "X-Amz-Durable-Execution-Arn" : NULL, arn },
        { NULL, NULL },
    };
    if (!rule)
        httpd_reply_json(req, 404, "{\"message\":\"no rule\"}", NULL);
    else if (rule->status == 0)
        httpd_abort(req);
    else
        httpd_reply(req, rule->status, "application/json", rule->body, strlen(rule->body), headers);
}

/* `rules` end with a NULL operation and outlive the server; NULL: the defaults alone. */
UNUSED static struct fake_aws *fake_start(const struct fake_rule *rules)
{
    struct fake_aws *f = mem_alloc(sizeof(*f));
    struct error err = { 0 };
    pthread_mutex_init(&f->lock, NULL);
    f->rules = rules;
    const struct httpd_config cfg = { .listen = "127.0.0.1:0",
                                      .threads = 1,
                                      .max_body = 8U << 20,
                                      .handler = fake_handle,
                                      .arg = f };
    f->httpd = httpd_start(&cfg, &err);
    cr_assert_not_null(f->httpd, "%s", err.msg);
    snprintf(f->url, sizeof(f->url), "http://%s", httpd_address(f->httpd));
    return f;
}

UNUSED static void fake_stop(struct fake_aws *f)
{
    httpd_stop(f->httpd);
    for (size_t i = 0; i < f->count && i < FAKE_ASKED; i++)
        free(f->asked[i].body);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* A client for it, which does not wait long between tries. */
UNUSED static struct aws *fake_client(const struct fake_aws *f, struct aws_options *o)
{
    struct error err = { 0 };
    *o = (struct aws_options){
        .region = mem_dup("us-east-1"),
        .endpoint = mem_dup(f->url),
        .access_key = mem_dup("test"),
        .secret_key = mem_dup("test"),
    };
    struct aws *a = aws_new(o, clock_system(), &err);
    cr_assert_not_null(a, "%s", err.msg);
    aws_set_retry(a, 2, 1, 1);
    return a;
}

UNUSED static void fake_client_free(struct aws *a, struct aws_options *o)
{
    aws_free(a);
    free(o->region);
    free(o->endpoint);
    free(o->access_key);
    free(o->secret_key);
}

/* How often `operation` was asked, and the n-th (from 0) of those. */
UNUSED static size_t fake_count(const struct fake_aws *f, const char *operation)
{
    size_t n = 0;
    for (size_t i = 0; i < f->count && i < FAKE_ASKED; i++)
        n += strcmp(f->asked[i].operation, operation) == 0;
    return n;
}

UNUSED static const struct fake_asked *fake_nth(const struct fake_aws *f, const char *operation,
                                                size_t n)
{
    for (size_t i = 0; i < f->count && i < FAKE_ASKED; i++)
        if (strcmp(f->asked[i].operation, operation) == 0 && n-- == 0)
            return &f->asked[i];
    cr_assert_fail("%s was not asked that often", operation);
    return NULL;
}

#endif
