/* The subcommands for scripts, inside a command too, with the token and without. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "tests/integration/fake_receiver.h"

#define LIST(...)  ((const char *const[]){ __VA_ARGS__, NULL })
#define RULES(...) ((const struct fake_rule[]){ __VA_ARGS__, { NULL, 0, 0, 0, NULL } })
#define PATIENCE   60000
#define INPUT      "{\"name\":\"a \\\"b\\\"\",\"items\":[1,{\"x/y\":2.50}],\"none\":null,\"\":true}"

Test(callback_run_calls, print_the_input_or_a_place_of_it)
{
    static const struct {
        const char *args[3];
        int status;
        const char *out;
    } cases[] = {
        { { "input" }, 0, INPUT },
        { { "input", "" }, 0, INPUT "\n" },
        { { "input", "/name" }, 0, "a \"b\"\n" },
        { { "input", "/items" }, 0, "[1,{\"x/y\":2.50}]\n" },
        { { "input", "/items/0" }, 0, "1\n" },
        { { "input", "/items/1/x~1y" }, 0, "2.50\n" },
        { { "input", "/none" }, 0, "null\n" },
        { { "input", "/" }, 0, "true\n" },
        { { "input", "/items/7" }, 66, "" },
        { { "input", "/other" }, 66, "" },
        { { "input", "name" }, 64, "" },
    };
    struct fake *f = fake_start(0, NULL, INPUT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct job j;
        job_start_args(&j, &(struct job_setup){ .port = fake_port(f) }, cases[i].args);
        job_wait(&j, PATIENCE);
        cr_assert_eq(j.status, cases[i].status, "case %zu: %d %s", i, j.status, j.err);
        cr_assert_str_eq(j.out, cases[i].out, "case %zu", i);
        job_release(&j);
    }
    fake_stop(f);
}

Test(callback_run_calls, input_that_cannot_be_had)
{
    static const struct {
        struct fake_rule rule;
        int status;
        const char *says;
    } cases[] = {
        { { NULL, 0, 0, 0, NULL }, 66, "answered 404" },
        { { "input", 1, 0, 410, NULL }, 75, "answered 410" },
        { { "input", 1, 0, 401, NULL }, 74, "answered 401" },
        { { "input", 1, 0, 503, NULL }, 74, "answered 503" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, RULES(cases[i].rule), NULL);
        struct job j;
        job_start_args(
            &j, &(struct job_setup){ .port = fake_port(f), .options = LIST("--input-timeout=1") },
            LIST("input"));
        job_wait(&j, PATIENCE);
        cr_assert_eq(j.status, cases[i].status, "case %zu: %d %s", i, j.status, j.err);
        cr_assert(strstr(j.err, cases[i].says), "%s", j.err);
        cr_assert_eq(j.out_len, 0);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run_calls, input_inside_a_command_is_read_from_its_file)
{
    struct fake *f = fake_start(0, NULL, INPUT);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = fake_port(f) },
              "unset CALLBACK_URL CALLBACK_TOKEN; $CALLBACK_RUN input /items/1/x~1y");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "2.50");
    cr_assert_eq(fake_count(f, "input"), 1);
    job_release(&j);
    fake_stop(f);
}

/* What a job looks like that may not know its token. */
#define HIDDEN LIST("--hide-token", "--heartbeat=0")

Test(callback_run_hidden, calls_go_through_the_socket)
{
    static const struct {
        const char *script;
        struct fake_rule rule;
        const char *path, *body;
        int times;
        const char *result; /* of the command */
    } cases[] = {
        { "$CALLBACK_RUN progress 0.5 half; echo $?",
          { 0 },
          "heartbeat",
          "{\"progress\":0.5,\"message\":\"half\"}",
          1,
          "0" },
        { "$CALLBACK_RUN heartbeat; echo $?", { 0 }, "heartbeat", "", 1, "0" },
        { "$CALLBACK_RUN heartbeat; echo $?",
          { "heartbeat", 1, 0, 410, NULL },
          "heartbeat",
          "",
          1,
          "75" },
        { "$CALLBACK_RUN heartbeat; echo $?",
          { "heartbeat", 1, 0, 403, NULL },
          "heartbeat",
          "",
          1,
          "74" },
        { "$CALLBACK_RUN heartbeat; echo $?",
          { "heartbeat", 1, 1, FAKE_ABORT, NULL },
          "heartbeat",
          "",
          2,
          "0" },
        { "$CALLBACK_RUN heartbeat; echo $?",
          { "heartbeat", 1, 1, 429, "1" },
          "heartbeat",
          "",
          2,
          "0" },
        { "$CALLBACK_RUN failure My.Type why; echo $?",
          { 0 },
          "failure",
          "{\"errorType\":\"My.Type\",\"errorMessage\":\"why\"}",
          1,
          "0" },
        { "rm $CALLBACK_INPUT_FILE; unset CALLBACK_INPUT_FILE; $CALLBACK_RUN input /name",
          { 0 },
          "input",
          "",
          2,
          "a \"b\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *f = fake_start(0, RULES(cases[i].rule), INPUT);
        struct job j;
        job_start(&j, &(struct job_setup){ .port = fake_port(f), .options = HIDDEN },
                  cases[i].script);
        job_wait(&j, PATIENCE);
        cr_assert_eq(j.status, 0, "case %zu: %s", i, j.err);
        cr_assert_eq(fake_count(f, cases[i].path), cases[i].times, "case %zu: %s", i, j.err);
        const struct fake_request *req = fake_get(f, cases[i].path, 0);
        cr_assert(req->authorized);
        cr_assert_str_eq(req->body, cases[i].body, "case %zu", i);
        cr_assert_str_eq(fake_get(f, "success", 0)->body, cases[i].result, "case %zu: %s", i,
                         j.err);
        job_release(&j);
        fake_stop(f);
    }
}

Test(callback_run_hidden, a_large_result_goes_through_too)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .options = HIDDEN },
              "$CALLBACK_RUN success \"$(head -c 120000 /dev/zero | tr '\\0' x)\"; echo $?");
    job_wait(&j, PATIENCE);
    cr_assert_eq(fake_count(f, "success"), 2, "%s", j.err);
    cr_assert_eq(fake_get(f, "success", 0)->len, 120000);
    cr_assert_str_eq(fake_get(f, "success", 1)->body, "0");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_hidden, the_token_is_nowhere_to_be_found)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    /* In its own environment, its parent's, or that of anything that it can see. */
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .options = HIDDEN },
              "env >$FOLDER/own; cat /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n' "
              ">$FOLDER/above; stat -c %a $CALLBACK_SOCKET; echo seen");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 0, "%s", j.err);
    auto_free char *own = job_file(&j, "own"), *above = job_file(&j, "above");
    cr_assert_null(strstr(own, "CALLBACK_TOKEN"), "%s", own);
    cr_assert(strstr(own, "CALLBACK_SOCKET=") && strstr(own, "CALLBACK_URL="));
    cr_assert_null(strstr(above, "token-of-the-test"), "%s", above);
    cr_assert(strncmp(j.out, "600\n", 4) == 0, "%s", j.out);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "seen");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_hidden, without_the_option_the_command_has_it)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    job_start(&j,
              &(struct job_setup){ .port = fake_port(f), .vars = LIST("CALLBACK_SOCKET=/stale") },
              "echo \"${CALLBACK_TOKEN:+set} $CALLBACK_SOCKET\"");
    job_wait(&j, PATIENCE);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "set ");
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_hidden, who_holds_the_socket_holds_up_nothing)
{
    /* One that connects and says nothing, while others ask; and at the end. */
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .options = HIDDEN },
              "python3 -c 'import os,socket,time\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              "s.connect(os.environ[\"CALLBACK_SOCKET\"])\n"
              "open(os.environ[\"FOLDER\"] + \"/up\", \"w\").close()\n"
              "time.sleep(600)' & while [ ! -e $FOLDER/up ]; do sleep 0.02; done; "
              "$CALLBACK_RUN progress 1; echo $?");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "0", "%s", j.err);
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_hidden, needs_a_folder_for_the_socket)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    char deep[200];
    memset(deep, 'd', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    auto_free char *shell = mem_printf("mkdir $FOLDER/%s; TMPDIR=$FOLDER/%s \"$@\"; s=$?; rmdir "
                                       "$FOLDER/%s; exit $s",
                                       deep, deep, deep);
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .options = HIDDEN, .shell = shell },
              "echo never");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 71, "%d %s", j.status, j.err);
    cr_assert(strstr(fake_get(f, "failure", 0)->body, "too long for a socket"), "%s",
              fake_get(f, "failure", 0)->body);
    job_release(&j);
    fake_stop(f);
}
