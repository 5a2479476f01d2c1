/* AWS's clients and durable-execution SDK for JavaScript, unmodified, and the console in a real
 * browser: the scripts in js/ against a real local-aws. Skipped with the reason where node, npm or
 * a browser is not there. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/lambda_rig.h"

#define PEERS   "build/peers-js"
#define SOURCES "tests/integration/js"

static int run(const char *command)
{
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Installs the packages where that has not been done for this lock file; false with the reason said
 * where they can't be had. */
static bool have_peers(void)
{
    static const char install[] =
        "set -e; mkdir -p " PEERS "; exec 9>" PEERS "/lock; flock 9;"
        "cp " SOURCES "/functions.mjs " SOURCES "/package.json " PEERS "/;"
        "cmp -s " SOURCES "/package-lock.json " PEERS "/package-lock.json &&"
        " test -f " PEERS "/node_modules/.package-lock.json && exit 0;"
        "cp " SOURCES "/package-lock.json " PEERS "/; cd " PEERS ";"
        "npm ci --no-audit --no-fund --ignore-scripts >install.log 2>&1 ||"
        " { rm -rf node_modules; exit 1; }";
    if (run("command -v node >/dev/null && command -v npm >/dev/null") != 0) {
        printf("skipped: there is no node and npm\n");
        return false;
    }
    if (run(install) == 0)
        return true;
    printf("skipped: npm ci has failed: see " PEERS "/install.log\n");
    return false;
}

/* The functions of functions.mjs, as "js-NAME" with the alias "live". */
static struct json_object *functions(const char *memory)
{
    static const char *const names[] = { "step-retry",
                                         "step-fails",
                                         "wait",
                                         "callback",
                                         "wait-for-callback",
                                         "wait-for-condition",
                                         "child",
                                         "child-fails",
                                         "parallel",
                                         "map",
                                         "invoke",
                                         "large",
                                         "crash",
                                         "echo",
                                         "fail",
                                         "evil",
                                         "order" };
    char cwd[512];
    struct error err;
    struct json_object *all = json_object_new_object();
    cr_assert_not_null(getcwd(cwd, sizeof(cwd)));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct json_object *o = NULL;
        auto_free char *name = mem_printf("js-%s", names[i]);
        auto_free char *text =
            mem_printf("{\"command\":[\"node\",\"%s/" PEERS "/functions.mjs\"],\"handler\":\"%s\","
                       "\"aliases\":{\"live\":\"1\"},\"environment\":{\"MEMORY\":\"%s\","
                       "\"NODE_NO_WARNINGS\":\"1\"},\"maxConcurrency\":4,"
                       "\"durable\":{\"executionTimeoutSeconds\":600}}",
                       cwd, names[i], memory);
        cr_assert_eq(json_parse_str(text, &o, &err), 0, "%s", err.msg);
        json_add(all, name, o);
    }
    return all;
}

/* Starts local-aws with the functions, runs the script with its URL and the
 * path of a file of its state (NULL: none), and stops. */
static void hold(const char *script, const char *file)
{
    char memory[] = "/tmp/local-js-XXXXXX";
    struct lambda_rig r;
    cr_assert_not_null(mkdtemp(memory));
    lambda_rig_start_with(&r, functions(memory));
    auto_free char *path = file ? mem_printf("%s/%s", r.dir, file) : mem_dup("");
    auto_free char *command =
        mem_printf("PEERS=$PWD/" PEERS " NODE_NO_WARNINGS=1 node " SOURCES "/%s %s %s >&2", script,
                   r.url, path);
    cr_expect_eq(run(command), 0, "%s", command);
    auto_free char *remove = mem_printf("rm -rf %s", memory);
    cr_expect_eq(run(remove), 0);
    lambda_rig_stop(&r);
}

Test(local_js, its_clients_work_unmodified, .timeout = 300)
{
    if (have_peers())
        hold("clients.mjs", NULL);
}

Test(local_js, every_operation_of_its_durable_sdk_ends_as_on_aws, .timeout = 300)
{
    if (have_peers())
        hold("sdk.mjs", NULL);
}

Test(local_js, the_console_holds_in_a_real_browser, .timeout = 300)
{
    if (!have_peers())
        return;
    if (run("command -v chromium >/dev/null") != 0) {
        printf("skipped: there is no chromium\n");
        return;
    }
    hold("console.mjs", "console.url");
}

static char *console_address(const struct lambda_rig *r)
{
    char path[128], line[256] = "";
    struct stat st;
    snprintf(path, sizeof(path), "%s/console.url", r->dir);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    cr_assert_not_null(fgets(line, sizeof(line), f));
    cr_assert_eq(fstat(fileno(f), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return mem_dup(line);
}

static int overview(struct lambda_rig *r, const char *address)
{
    const struct http_header headers[] = { { "X-Console-Secret", strchr(address, '#') + 1 },
                                           { NULL, NULL } };
    return lambda_rig_raw(r, "GET", "/console/api/overview", headers, NULL, NULL);
}

Test(local_console, the_secret_is_new_at_each_start_and_in_no_log, .timeout = 60)
{
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *first = console_address(&r);
    cr_expect_eq(overview(&r, first), 200);
    lambda_rig_kill(&r);
    lambda_rig_restart(&r);
    auto_free char *second = console_address(&r);
    cr_expect_str_neq(first, second);
    cr_expect_eq(overview(&r, first), 401);
    cr_expect_eq(overview(&r, second), 200);
    auto_free char *look = mem_printf("! grep -rqF -e '%s' -e '%s' %s/local-aws.log",
                                      strchr(first, '#') + 1, strchr(second, '#') + 1, r.dir);
    cr_expect_eq(run(look), 0);
    lambda_rig_stop(&r);
}

Test(local_console, it_refuses_what_makes_no_sense, .timeout = 60)
{
    static const struct {
        const char *method, *path, *body;
        int status;
    } cases[] = {
        { "GET", "/console", NULL, 200 },
        { "POST", "/console", "{}", 405 },
        { "GET", "/console/", NULL, 404 },
        { "GET", "/console/../etc/passwd", NULL, 404 },
        { "GET", "/console/api/nothing", NULL, 404 },
        { "GET", "/console/api/overview?status=DONE", NULL, 400 },
        { "GET", "/console/api/execution", NULL, 404 },
        { "GET", "/console/api/execution?arn=x", NULL, 404 },
        { "POST", "/console/api/stop", "{", 400 },
        { "POST", "/console/api/stop", "[]", 400 },
        { "POST", "/console/api/stop", "{}", 400 },
        { "POST", "/console/api/stop", "{\"arn\":\"x\"}", 404 },
        { "POST", "/console/api/stop", "{\"arn\":\"x\",\"more\":1}", 400 },
        { "POST", "/console/api/callback", "{\"arn\":\"x\",\"operation\":\"y\"}", 400 },
        { "POST", "/console/api/callback",
          "{\"arn\":\"x\",\"operation\":\"y\",\"action\":\"explode\"}", 400 },
        { "POST", "/console/api/callback",
          "{\"arn\":\"x\",\"operation\":\"y\",\"action\":\"succeed\"}", 404 },
    };
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *address = console_address(&r);
    const struct http_header headers[] = { { "X-Console-Secret", strchr(address, '#') + 1 },
                                           { "Content-Type", "application/json" },
                                           { NULL, NULL } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *body = NULL;
        cr_expect_eq(
            lambda_rig_raw(&r, cases[i].method, cases[i].path, headers, cases[i].body, &body),
            cases[i].status, "%s %s: %s", cases[i].path, cases[i].body, body);
    }
    lambda_rig_stop(&r);
}
