/* The real bootstrap against a Runtime API of the test's own: how it begins, where it cannot begin,
 * and how SIGTERM ends it. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/stack/folder.h"
#include "local/stack/program.h"
#include "shared/base/clock.h"
#include "shared/base/httpd.h"
#include "shared/base/mem.h"

#define WAIT_MS   60000
#define KEYS      "CALLBACK_TOKEN_KEYS={\"k\":\"0123456789012345678901234567890123456789012\"}"
#define VARIABLES 32

struct lambda {
    pthread_mutex_t lock;
    struct httpd *httpd;
    struct httpd_request *next; /* parked */
    unsigned nexts;
    const char *event; /* what the first `next` gets; NULL: it waits */
    char init_error[2048];
    char answer[2048];
    char dir[64];
    struct program *program;
};

static void give(struct httpd_request *req, const char *event)
{
    static const struct httpd_header headers[] = {
        { "Lambda-Runtime-Aws-Request-Id", "r1" },
        { "Lambda-Runtime-Deadline-Ms", "4102444800000" },
        { "Lambda-Runtime-Invoked-Function-Arn",
          "arn:aws:lambda:us-east-1:123456789012:function:launcher-api:1" },
        { NULL, NULL },
    };
    httpd_reply(req, 200, "application/json", event, strlen(event), headers);
}

static void on_request(struct httpd_request *req, void *arg)
{
    struct lambda *l = arg;
    const char *path = httpd_path(req);
    size_t len;
    const char *body = httpd_body(req, &len);
    pthread_mutex_lock(&l->lock);
    bool first = false, parked = false;
    if (strstr(path, "/invocation/next")) {
        first = l->nexts++ == 0 && l->event;
        parked = !first;
        if (parked) {
            httpd_park(req);
            l->next = req;
        }
    } else if (strstr(path, "/init/error")) {
        snprintf(l->init_error, sizeof(l->init_error), "%.*s", (int)len, body);
    } else {
        snprintf(l->answer, sizeof(l->answer), "%s %.*s", path, (int)len, body);
    }
    pthread_mutex_unlock(&l->lock);
    if (first)
        give(req, l->event);
    else if (!parked)
        httpd_reply_json(req, 202, "{}", NULL);
}

static void lambda_start(struct lambda *l, const char *event)
{
    struct error err = { 0 };
    *l = (struct lambda){ .event = event };
    pthread_mutex_init(&l->lock, NULL);
    snprintf(l->dir, sizeof(l->dir), "/tmp/test_bootstrap_XXXXXX");
    cr_assert_not_null(mkdtemp(l->dir));
    const struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 1U << 20, .handler = on_request, .arg = l
    };
    l->httpd = httpd_start(&cfg, &err);
    cr_assert_not_null(l->httpd, "%s", err.msg);
}

static char *log_file(const struct lambda *l)
{
    return mem_printf("%s/log", l->dir);
}

/* `more` (NULL-ended) comes behind what every handler needs; "NAME=" takes one away. */
static void run(struct lambda *l, const char *handler, const char *const *more)
{
    static const char *const usual[] = {
        "AWS_REGION=us-east-1",
        "AWS_ACCESS_KEY_ID=test",
        "AWS_SECRET_ACCESS_KEY=test",
        "ECS_CLUSTER=c",
        "TASK_DEFINITION=t",
        "CONTAINER_NAME=job",
        "SUBNETS=subnet-1",
        "CALLBACK_BASE_URL=http://127.0.0.1:1",
        "WORKFLOW_FUNCTION=launcher:1",
        KEYS,
    };
    const char *dir = getenv("BIN_DIR");
    auto_free char *program = mem_printf("%s/bootstrap", dir ? dir : "build/bin");
    auto_free char *api = mem_printf("AWS_LAMBDA_RUNTIME_API=%s", httpd_address(l->httpd));
    auto_free char *log = log_file(l);
    const char *env[VARIABLES] = { api };
    size_t n = 1;
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        env[n++] = usual[i];
    for (; more && *more; more++) {
        size_t name = (size_t)(strchr(*more, '=') - *more) + 1;
        for (size_t i = 0; i < n; i++)
            if (strncmp(env[i], *more, name) == 0)
                env[i] = env[--n];
        if ((*more)[name])
            env[n++] = *more;
    }
    env[n] = NULL;
    struct error err = { 0 };
    l->program = program_start((const char *[]){ program, handler, NULL }, env, log, &err);
    cr_assert_not_null(l->program, "%s", err.msg);
}

static char *log_text(const struct lambda *l)
{
    auto_free char *path = log_file(l);
    char *text = mem_alloc(1U << 16);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    (void)!fread(text, 1, (1U << 16) - 1, f);
    fclose(f);
    return text;
}

/* Waits until it has asked for `count` invocations. */
static void await_next(struct lambda *l, unsigned count)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + WAIT_MS;
    for (unsigned n = 0; n < count;) {
        auto_free char *log = log_text(l);
        cr_assert(program_running(l->program) && clock_mono_ms(clock_system()) < until_ms, "%s",
                  log);
        clock_sleep_ms(clock_system(), 5);
        pthread_mutex_lock(&l->lock);
        n = l->nexts;
        pthread_mutex_unlock(&l->lock);
    }
}

static int await_end(struct lambda *l)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + WAIT_MS;
    while (program_running(l->program) && clock_mono_ms(clock_system()) < until_ms)
        clock_sleep_ms(clock_system(), 5);
    cr_assert_not(program_running(l->program), "it does not end by itself");
    return program_stop(l->program, 0);
}

static void lambda_stop(struct lambda *l)
{
    program_free(l->program);
    httpd_stop(l->httpd);
    pthread_mutex_destroy(&l->lock);
    struct error err = { 0 };
    cr_assert_eq(folder_remove(l->dir, &err), 0, "%s", err.msg);
}

Test(bootstrap, ends_cleanly_on_sigterm_while_it_waits)
{
    static const char *const handlers[] = { "workflow", "api", "events" };
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        struct lambda l;
        lambda_start(&l, NULL);
        run(&l, handlers[i], NULL);
        await_next(&l, 1);
        int status = program_stop(l.program, WAIT_MS);
        auto_free char *log = log_text(&l);
        cr_assert_eq(status, 0, "%s: %d, %s", handlers[i], status, log);
        cr_assert_not_null(strstr(log, "\"event\":\"stopped\""), "%s", log);
        cr_assert_str_eq(l.init_error, "");
        lambda_stop(&l);
    }
}

Test(bootstrap, answers_and_asks_for_more)
{
    struct lambda l;
    lambda_start(&l, "{\"version\":\"2.0\",\"rawPath\":\"/nothing\",\"rawQueryString\":\"\","
                     "\"headers\":{},\"requestContext\":{\"http\":{\"method\":\"GET\"},"
                     "\"stage\":\"$default\"}}");
    run(&l, "api", NULL);
    await_next(&l, 2);
    cr_assert_not_null(strstr(l.answer, "/invocation/r1/response"), "%s", l.answer);
    cr_assert_not_null(strstr(l.answer, "\"statusCode\":404"), "%s", l.answer);
    cr_assert_eq(program_stop(l.program, WAIT_MS), 0);
    lambda_stop(&l);
}

/* What is wrong is told to Lambda, which shows it, and in the log. */
Test(bootstrap, a_configuration_of_no_use_is_told_to_lambda)
{
    static const struct {
        const char *handler;
        const char *change;
        const char *says;
    } table[] = {
        { "workflow", "CALLBACK_BASE_URL=", "CALLBACK_BASE_URL" },
        { "workflow", "CALLBACK_TOKEN_KEYS={}", "CALLBACK_TOKEN_KEYS" },
        { "api", "CALLBACK_TOKEN_KEYS=[1]", "CALLBACK_TOKEN_KEYS" },
        { "events", "CALLBACK_TOKEN_KEYS=no", "CALLBACK_TOKEN_KEYS" },
        { "workflow", "RECEIVER_URL=ftp://x", "RECEIVER_URL" },
        { "workflow", "AWS_ENDPOINT_URL_LAMBDA=ftp://x", "the endpoint for lambda" },
        { "nothing", NULL, "nothing" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct lambda l;
        lambda_start(&l, NULL);
        run(&l, table[i].handler, (const char *[]){ table[i].change, NULL });
        int status = await_end(&l);
        auto_free char *log = log_text(&l);
        cr_assert_eq(status, EXIT_FAILURE, "case %zu: %d %s", i, status, log);
        cr_assert_not_null(strstr(l.init_error, table[i].says), "case %zu: %s %s", i, l.init_error,
                           log);
        cr_assert_not_null(strstr(log, table[i].says), "case %zu: %s", i, log);
        cr_assert_null(strstr(l.init_error, "0123456789012345"), "no key in it: %s", l.init_error);
        lambda_stop(&l);
    }
}

Test(bootstrap, outside_of_lambda_it_says_so)
{
    struct lambda l;
    lambda_start(&l, NULL);
    run(&l, "workflow", (const char *[]){ "AWS_LAMBDA_RUNTIME_API=", NULL });
    cr_assert_eq(await_end(&l), EXIT_FAILURE);
    auto_free char *log = log_text(&l);
    cr_assert_not_null(strstr(log, "runs inside AWS Lambda"), "%s", log);
    lambda_stop(&l);
}
