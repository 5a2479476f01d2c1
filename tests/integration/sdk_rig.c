#include "tests/integration/sdk_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDLER "SDK_RIG_HANDLER"

/* Other test programs have no such list. */
#pragma weak sdk_rig_handlers

static struct json_object *parsed(const char *text)
{
    struct json_object *o = NULL;
    struct error err;
    cr_assert_eq(json_parse_str(text, &o, &err), 0, "%s: %s", text, err.msg);
    return o;
}

void sdk_rig_start(struct lambda_rig *r)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    cr_assert_gt(n, 0);
    self[n] = '\0';
    auto_buf struct buf b = BUF_INIT(1 << 20);
    for (const struct sdk_rig_handler *h = sdk_rig_handlers; h->name; h++)
        buf_printf(&b,
                   "%s\"%s\":{\"command\":[\"%s\"],\"environment\":{\"" HANDLER "\":\"%s\","
                   "\"ASAN_OPTIONS\":\"detect_leaks=0\"},"
                   "\"durable\":{\"executionTimeoutSeconds\":600}%s%s}",
                   h == sdk_rig_handlers ? "{" : ",", h->name, self, h->name, h->more ? "," : "",
                   h->more ? h->more : "");
    buf_add_str(&b, "}");
    lambda_rig_start_with(r, parsed(buf_str(&b)));
}

static int post(struct lambda_rig *r, const char *path, const char *json)
{
    static const struct http_header headers[] = { { "Content-Type", "application/json" },
                                                  { NULL, NULL } };
    return lambda_rig_raw(r, "POST", path, headers, json, NULL);
}

void sdk_rig_speed(struct lambda_rig *r, int speed)
{
    auto_free char *json = mem_printf("{\"speed\":%d}", speed);
    cr_assert_eq(post(r, "/_local/time", json) / 100, 2);
}

void sdk_rig_fault(struct lambda_rig *r, const char *json)
{
    if (json)
        cr_assert_eq(post(r, "/_local/faults", json), 201);
    else
        cr_assert_eq(lambda_rig_raw(r, "DELETE", "/_local/faults", NULL, NULL, NULL), 204);
}

size_t sdk_rig_faults_left(struct lambda_rig *r)
{
    auto_free char *body = NULL;
    cr_assert_eq(lambda_rig_raw(r, "GET", "/_local/faults", NULL, NULL, &body), 200);
    auto_json struct json_object *o = parsed(body);
    return json_object_array_length(json_get_arr(o, "faults"));
}

void sdk_rig_history(struct lambda_rig *r, const char *arn, struct history_facts *out)
{
    struct error err;
    cr_assert_eq(history_check(r->aws, arn, out, &err), 0, "%s: %s", arn, err.msg);
}

struct json_object *sdk_rig_run(struct lambda_rig *r, const char *name, const char *input,
                                const char *status)
{
    struct history_facts facts;
    auto_free char *function = mem_printf("%s:$LATEST", name);
    auto_free char *arn = lambda_rig_begin(r, function, input);
    struct json_object *ended = lambda_rig_end(r, arn, status);
    sdk_rig_history(r, arn, &facts);
    return ended;
}

char *sdk_rig_result(struct lambda_rig *r, const char *name, const char *input)
{
    auto_json struct json_object *ended = sdk_rig_run(r, name, input, "SUCCEEDED");
    return mem_dup(json_get_str(ended, "Result"));
}

void sdk_rig_fails(struct lambda_rig *r, const char *name, const char *input, const char *type,
                   const char *message)
{
    auto_json struct json_object *ended = sdk_rig_run(r, name, input, "FAILED");
    struct json_object *why = json_get_obj(ended, "Error");
    const char *text = json_text(why, NULL);
    cr_assert_str_eq(json_get_str(why, "ErrorType"), type, "%s", text);
    if (message)
        cr_assert_str_eq(json_get_str(why, "ErrorMessage"), message, "%s", text);
}

int sdk_rig_logged(struct lambda_rig *r, const char *name, const char *arn, const char *message)
{
    auto_free char *path = mem_printf("%s/logs/%s.log", r->dir, name);
    auto_free char *wanted = mem_printf("\"message\":\"%s\"", message);
    auto_free char *line = NULL;
    size_t size = 0;
    int n = 0;
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    while (getline(&line, &size, f) > 0)
        n += strstr(line, arn) && strstr(line, wanted);
    fclose(f);
    return n;
}

/* ---- the function's side --------------------------------------------------------------------- */

static int serve(const char *name)
{
    struct durable_error err = { 0 };
    for (const struct sdk_rig_handler *h = sdk_rig_handlers; h && h->name; h++)
        if (strcmp(h->name, name) == 0 && durable_serve(environ, h->handler, NULL, &err) == 0)
            return 0;
    fprintf(stderr, "%s: %s\n", name, err.message ? err.message : "no such handler");
    return 1;
}

__attribute__((constructor)) static void serve_instead_of_tests(void)
{
    const char *name = getenv(HANDLER);
    if (name)
        _exit(serve(name));
}
