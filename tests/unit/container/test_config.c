#include "container/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "container/environment.h"
#include "shared/base/opts.h"

#define URL   "CALLBACK_URL=http://127.0.0.1:8081/v1/callbacks/abc"
#define TOKEN "CALLBACK_TOKEN=v1.k.secret"

/* A configuration and the command line that it borrows from. */
struct loaded {
    struct config cfg;
    char *argv[16];
};

static int load(struct loaded *l, const char *const *args, const char *const *vars,
                struct error *err)
{
    *l = (struct loaded){ .argv = { mem_dup("callback-run") } };
    char *env[16] = { NULL };
    int argc = 1;
    for (size_t i = 0; args && args[i]; i++)
        l->argv[argc++] = mem_dup(args[i]);
    for (size_t i = 0; vars && vars[i]; i++)
        env[i] = mem_dup(vars[i]);
    int rc = config_load(&l->cfg, argc, l->argv, env, err);
    for (size_t i = 0; env[i]; i++)
        free(env[i]);
    return rc;
}

static void drop(struct loaded *l)
{
    config_release(&l->cfg);
    for (size_t i = 0; l->argv[i]; i++)
        free(l->argv[i]);
}

Test(config, reads_variables_flags_and_the_command)
{
    const char *args[] = { "--heartbeat=9", "--result", "file", "--", "sh", "-c", "x", NULL };
    const char *vars[] = {
        URL "/", TOKEN, "HEARTBEAT_SECONDS=90", "JOB_NAME=resize", "STOP_TIMEOUT_SECONDS=10", NULL
    };
    struct loaded l;
    struct error err = { 0 };
    cr_assert_eq(load(&l, args, vars, &err), 0, "%s", err.msg);
    cr_assert_eq(l.cfg.action, ACTION_RUN);
    cr_assert_str_eq(l.cfg.url, strchr(URL, '=') + 1, "without the slash at its end");
    cr_assert_eq(l.cfg.heartbeat_s, 9, "a flag wins over its variable");
    cr_assert_eq(l.cfg.stop_timeout_s, 10);
    cr_assert_eq(l.cfg.report_deadline_s, 0, "while the token lives");
    cr_assert_eq(l.cfg.timeout_s, 0);
    cr_assert_eq(l.cfg.max_output, 0);
    cr_assert_eq(l.cfg.stderr_tail, 4096);
    cr_assert_eq(l.cfg.result, RESULT_FROM_FILE);
    cr_assert_str_eq(l.cfg.job, "resize");
    cr_assert_eq(l.cfg.arg_count, 3);
    cr_assert_str_eq(l.cfg.args[0], "sh");
    drop(&l);
}

Test(config, tells_calls_from_commands)
{
    static const struct {
        const char *args[6];
        enum action action;
        int count;
    } cases[] = {
        { { NULL }, ACTION_RUN, 0 },
        { { "--", NULL }, ACTION_RUN, 0 },
        { { "--", "heartbeat", NULL }, ACTION_RUN, 1 },
        { { "heartbeat", NULL }, ACTION_HEARTBEAT, 0 },
        { { "progress", "0.5", "half", NULL }, ACTION_PROGRESS, 2 },
        { { "--job", "x", "success", "{}", NULL }, ACTION_SUCCESS, 1 },
        { { "failure", "My.Type", "why", NULL }, ACTION_FAILURE, 2 },
        { { "input", NULL }, ACTION_INPUT, 0 },
        { { "input", "/items/0", NULL }, ACTION_INPUT, 1 },
        { { "sample", "--message=x", NULL }, ACTION_SAMPLE, 1 },
    };
    const char *vars[] = { URL, TOKEN, NULL };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct loaded l;
        struct error err = { 0 };
        cr_assert_eq(load(&l, cases[i].args, vars, &err), 0, "case %zu: %s", i, err.msg);
        cr_assert_eq(l.cfg.action, cases[i].action, "case %zu", i);
        cr_assert_eq(l.cfg.arg_count, cases[i].count, "case %zu", i);
        drop(&l);
    }
}

Test(config, says_what_is_wrong)
{
    static const struct {
        const char *args[6];
        const char *vars[5];
        const char *says;
    } cases[] = {
        { { "--", "true" }, { TOKEN }, "CALLBACK_URL is not set" },
        { { "--", "true" }, { URL }, "CALLBACK_TOKEN is not set" },
        { { "--", "true" }, { "CALLBACK_URL=ftp://x/", TOKEN }, "CALLBACK_URL: must be" },
        { { "--", "true" }, { "CALLBACK_URL=http://", TOKEN }, "CALLBACK_URL: must be" },
        { { "--", "true" }, { "CALLBACK_URL=https:///v1", TOKEN }, "CALLBACK_URL: must be" },
        { { "--", "true" }, { "CALLBACK_URL=http://x/?a=1", TOKEN }, "CALLBACK_URL: must be" },
        { { "--", "true" }, { "CALLBACK_URL=http://x/a b", TOKEN }, "CALLBACK_URL: must be" },
        { { "--", "true" }, { URL, "CALLBACK_TOKEN=a\r\nX: y" }, "CALLBACK_TOKEN: must be" },
        { { "--", "true" }, { URL, TOKEN, "HEARTBEAT_SECONDS=soon" }, "HEARTBEAT_SECONDS" },
        { { "--", "true" }, { URL, TOKEN, "STOP_TIMEOUT_SECONDS=0" }, "STOP_TIMEOUT_SECONDS" },
        { { "--result=first", "--" }, { URL, TOKEN }, "--result: must be" },
        { { "--log-level=loud", "--" }, { URL, TOKEN }, "--log-level: must be" },
        { { "--stderr-tail=20001", "--" }, { URL, TOKEN }, "--stderr-tail" },
        { { "--no-input", "--require-input", "--" }, { URL, TOKEN }, "--require-input" },
        { { "--what", "--" }, { URL, TOKEN }, "--what" },
        { { "true" }, { URL, TOKEN }, "true: unknown; a command to run comes behind --" },
        { { "progress" }, { URL, TOKEN }, "progress: wrong number of arguments" },
        { { "input", "/a", "/b" }, { URL, TOKEN }, "input: wrong number of arguments" },
        { { "--timeout=-1", "--" }, { URL, TOKEN }, "--timeout" },
        { { "--max-output=many", "--" }, { URL, TOKEN }, "--max-output" },
        { { "--", "true" }, { URL, "CALLBACK_SOCKET=/x" }, "CALLBACK_TOKEN is not set" },
        { { "input" }, { "CALLBACK_URL=" }, "CALLBACK_URL is not set" },
        { { "heartbeat", "x" }, { URL, TOKEN }, "heartbeat: wrong number of arguments" },
        { { "--no-callback", "heartbeat" }, { URL, TOKEN }, "--no-callback" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct loaded l;
        struct error err = { 0 };
        cr_assert_eq(load(&l, cases[i].args, cases[i].vars, &err), -1, "case %zu", i);
        cr_assert_eq(err.code, ERR_INVALID);
        cr_assert(strstr(err.msg, cases[i].says), "case %zu: %s", i, err.msg);
        cr_assert_null(strstr(err.msg, "secret"), "no token in a message");
        drop(&l);
    }
}

Test(config, needs_nobody_to_report_to_with_no_callback)
{
    const char *args[] = { "--no-callback", "--", "true", NULL };
    struct loaded l;
    struct error err = { 0 };
    cr_assert_eq(load(&l, args, NULL, &err), 0, "%s", err.msg);
    drop(&l);
}

Test(config, a_socket_or_a_file_takes_the_place_of_the_token_for_calls)
{
    static const struct {
        const char *args[3], *vars[3];
    } cases[] = {
        { { "heartbeat" }, { "CALLBACK_SOCKET=/x/socket" } },
        { { "input" }, { URL, "CALLBACK_SOCKET=/x/socket" } },
        { { "input", "/a" }, { "CALLBACK_INPUT_FILE=/x/input.json" } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct loaded l;
        struct error err = { 0 };
        cr_assert_eq(load(&l, cases[i].args, cases[i].vars, &err), 0, "case %zu: %s", i, err.msg);
        drop(&l);
    }
}

Test(environment, wipes_a_value_where_it_is)
{
    char other[] = "CALLBACK_TOKENS=kept", token[] = "CALLBACK_TOKEN=secret", end[] = "Z=kept";
    char *vars[] = { other, token, end, NULL };
    environment_wipe(vars, "CALLBACK_TOKEN");
    cr_assert_str_eq(other, "CALLBACK_TOKENS=kept");
    cr_assert_eq(memcmp(token, "CALLBACK_TOKEN=\0\0\0\0\0\0", sizeof(token)), 0);
    cr_assert_str_eq(end, "Z=kept");
}

Test(environment, sets_replaces_and_removes)
{
    char a[] = "A=1", ab[] = "AB=2", again[] = "A=3";
    char *base[] = { a, ab, again, NULL };
    struct environment e;
    environment_init(&e, base);
    environment_set(&e, "A", "new");
    environment_set(&e, "C", "x=y");
    environment_set(&e, "NONE", NULL);
    cr_assert_str_eq(e.vars[0], "AB=2");
    cr_assert_str_eq(e.vars[1], "A=new");
    cr_assert_str_eq(e.vars[2], "C=x=y");
    cr_assert_null(e.vars[3]);
    environment_set(&e, "AB", NULL);
    cr_assert_str_eq(e.vars[0], "A=new");
    environment_release(&e);
}
