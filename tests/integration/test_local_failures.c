/* What goes wrong with the machine, the configuration or a function, and what its user is told. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "tests/integration/lambda_rig.h"

#define LIMIT_MS 60000

/* ---- at the start -----------------------------------------------------------------------------*/

struct folder {
    char *path;
};

static struct folder folder_begin(void)
{
    struct error err;
    struct folder f = { folder_new("local-failures", &err) };
    cr_assert_not_null(f.path, "%s", err.msg);
    return f;
}

static void folder_end(struct folder *f)
{
    struct error err;
    cr_assert_eq(folder_remove(f->path, &err), 0, "%s", err.msg);
    free(f->path);
}

static void write_file(const struct folder *f, const char *name, const char *text)
{
    auto_free char *path = mem_printf("%s/%s", f->path, name);
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    cr_assert_geq(fputs(text, out), 0);
    cr_assert_eq(fclose(out), 0);
}

/* It ends with status 1 and the sentence on its standard error. */
static void expect_refusal(const struct folder *f, const char *config, const char *aws_listen,
                           const char *http_listen, const char *sentence)
{
    struct error err;
    char text[16384];
    const char *bin = getenv("BIN_DIR"), *asan = getenv("ASAN_OPTIONS");
    write_file(f, "config.json", config);
    write_file(f, "log", "");
    auto_free char *program = mem_printf("%s/local-aws", bin ? bin : "build/bin");
    auto_free char *file = mem_printf("%s/config.json", f->path);
    auto_free char *state = mem_printf("%s/state", f->path);
    auto_free char *log = mem_printf("%s/log", f->path);
    auto_free char *asan_options = mem_printf("ASAN_OPTIONS=%s", asan ? asan : "");
    const char *const argv[] = { program,    "--config",      file,
                                 "--state",  state,           "--aws-listen",
                                 aws_listen, "--http-listen", http_listen,
                                 NULL };
    const char *const env[] = { asan_options, NULL };
    struct program *p = program_start(argv, env, log, &err);
    cr_assert_not_null(p, "%s", err.msg);
    cr_assert_lt(program_wait_ready(p, LIMIT_MS, &err), 0, "it serves");
    cr_assert_eq(program_stop(p, LIMIT_MS), EXIT_FAILURE);
    program_free(p);
    FILE *in = fopen(log, "r");
    cr_assert_not_null(in);
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    fclose(in);
    cr_assert_not_null(strstr(text, sentence), "not said: %s\nbut: %s", sentence, text);
}

static const char plain[] = "{\"credentials\":{\"test\":\"secret\"}}";

Test(local_failures, a_port_that_is_taken_is_named_with_its_option, .timeout = 300)
{
    struct folder f = folder_begin();
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    auto_close int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(taken, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(taken, 1), 0);
    cr_assert_eq(getsockname(taken, (struct sockaddr *)&at, &len), 0);
    auto_free char *port = mem_printf("127.0.0.1:%d", ntohs(at.sin_port));
    auto_free char *aws = mem_printf("--aws-listen: cannot listen on %s: Address already", port);
    auto_free char *http = mem_printf("--http-listen: cannot listen on %s: Address already", port);
    auto_free char *attach = mem_printf("function f: cannot listen on %s: Address already", port);
    auto_free char *config = mem_printf("{\"credentials\":{\"test\":\"secret\"},\"functions\":{"
                                        "\"f\":{\"runtimeApi\":\"%s\"}}}",
                                        port);
    expect_refusal(&f, plain, port, "127.0.0.1:0", aws);
    expect_refusal(&f, plain, "127.0.0.1:0", port, http);
    expect_refusal(&f, config, "127.0.0.1:0", "127.0.0.1:0", attach);
    folder_end(&f);
}

Test(local_failures, a_damaged_database_is_said_to_be_one, .timeout = 300)
{
    struct folder f = folder_begin();
    auto_free char *state = mem_printf("%s/state", f.path);
    auto_buf struct buf noise = BUF_INIT(65536);
    cr_assert_eq(mkdir(state, 0700), 0);
    for (int i = 0; i < 4000; i++)
        buf_printf(&noise, "%d, ", i);
    write_file(&f, "state/local-aws.db", buf_str(&noise));
    expect_refusal(&f, plain, "127.0.0.1:0", "127.0.0.1:0",
                   "local-aws.db is damaged: start with an empty folder");
    folder_end(&f);
}

/* ---- functions --------------------------------------------------------------------------------*/

#define NEXT "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"

/* Functions that are shell scripts, "NAME" and "SCRIPT" one after the other, ended by NULL. */
static void start_scripts(struct lambda_rig *r, const char *const *scripts)
{
    struct json_object *functions = json_object_new_object();
    for (; *scripts; scripts += 2) {
        struct json_object *f = json_object_new_object(), *command = json_object_new_array();
        json_push(command, json_new_str("/bin/sh"));
        json_push(command, json_new_str("-c"));
        json_push(command, json_new_str(scripts[1]));
        json_add(f, "command", command);
        json_add_int(f, "maxConcurrency", 2);
        json_add(functions, scripts[0], f);
    }
    lambda_rig_start_with(r, functions);
}

static void expect_error(struct lambda_rig *r, const char *function, const char *text)
{
    auto_free char *answer = lambda_rig_invoke(r, function, "{}", true);
    cr_assert_not_null(strstr(answer, text), "%s: not %s but %s", function, text, answer);
}

static bool there_is_curl(void)
{
    bool found = access("/usr/bin/curl", X_OK) == 0;
    if (!found)
        fprintf(stderr, "skipped: there is no curl\n");
    return found;
}

Test(local_failures, a_function_that_cannot_begin_says_why, .timeout = 300)
{
    static const char *const scripts[] = {
        "init",
        "curl -s -d '{\"errorType\":\"Config.Missing\",\"errorMessage\":\"no key\"}' " NEXT
        "/init/error; exit 1",
        "ends",
        "exit 3",
        "killed",
        "kill -9 $$",
        NULL
    };
    struct lambda_rig r;
    if (!there_is_curl())
        return;
    start_scripts(&r, scripts);
    expect_error(&r, "init", "{\"errorType\":\"Config.Missing\",\"errorMessage\":\"no key\"}");
    expect_error(&r, "ends", "Runtime exited with error: exit status 3");
    expect_error(&r, "killed", "Runtime exited with error: signal: killed");
    lambda_rig_stop(&r);
}

Test(local_failures, an_answer_that_is_too_large_fails_the_invocation_as_such, .timeout = 300)
{
    /* It makes nothing of the 413 and asks for the next. */
    static const char *const scripts[] = {
        "large",
        "cd /tmp; h=$(mktemp); trap 'rm -f $h' EXIT;"
        " while curl -s -D $h -o /dev/null " NEXT "/invocation/next; do"
        " id=$(tr -d '\\r' <$h | sed -n 's/^lambda-runtime-aws-request-id: *//Ip');"
        " head -c 7000000 /dev/zero | tr '\\0' 1 |"
        " curl -s -o /dev/null --data-binary @- " NEXT "/invocation/$id/response; done",
        NULL
    };
    struct lambda_rig r;
    if (!there_is_curl())
        return;
    start_scripts(&r, scripts);
    expect_error(&r, "large",
                 "Response payload size exceeded maximum allowed payload size (6291556 bytes).");
    expect_error(&r, "large", "\"errorType\":\"Function.ResponseSizeTooLarge\"");
    lambda_rig_stop(&r);
}

/* ---- the machine ------------------------------------------------------------------------------*/

static void expect_logged(struct lambda_rig *r, const char *text)
{
    static char line[16384];
    auto_free char *path = mem_printf("%s/local-aws.log", r->dir);
    int64_t until = clock_mono_ms(clock_system()) + LIMIT_MS;
    for (;;) {
        FILE *f = fopen(path, "r");
        bool found = false;
        while (f && !found && fgets(line, sizeof(line), f))
            found = strstr(line, text) != NULL;
        if (f)
            fclose(f);
        if (found)
            return;
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s is not in %s", text, path);
        clock_sleep_ms(clock_system(), 20);
    }
}

static size_t open_files(pid_t pid)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        auto_free char *path = mem_printf("/proc/%d/fd/%d", (int)pid, fd);
        count += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }
    return count;
}

Test(local_failures, too_many_open_files_fail_a_call_and_not_the_program, .timeout = 300)
{
    struct lambda_rig r;
    struct rlimit old, low;
    lambda_rig_start(&r, NULL);
    free(lambda_rig_invoke(&r, "f:1", "{\"x\":1}", false));
    pid_t pid = program_pid(r.program);
    cr_assert_eq(prlimit(pid, RLIMIT_NOFILE, NULL, &old), 0);
    low = (struct rlimit){ open_files(pid) + 1, old.rlim_max };
    cr_assert_eq(prlimit(pid, RLIMIT_NOFILE, &low, NULL), 0);
    /* "p" has no environment yet and gets none; the connection is open already. */
    auto_free char *answer = lambda_rig_invoke(&r, "p", "{}", true);
    cr_assert_not_null(strstr(answer, "Too many open files"), "%s", answer);
    expect_logged(&r, "\"environment_not_started\",\"function\":\"p\"");
    cr_assert_eq(prlimit(pid, RLIMIT_NOFILE, &old, NULL), 0);
    auto_free char *well = lambda_rig_invoke(&r, "p", "{\"y\":2}", false);
    cr_assert_str_eq(well, "{\"y\":2}");
    lambda_rig_stop(&r);
}

/* What a client asks for that is not there is named as the client knows it. */
Test(local_failures, an_operation_that_is_not_there_is_named, .timeout = 300)
{
    static const struct {
        const char *method, *path, *target, *named;
    } asked[] = {
        { "POST", "/", "AmazonEC2ContainerServiceV20141113.ListClusters",
          "no such operation: AmazonEC2ContainerServiceV20141113.ListClusters" },
        { "POST", "/", "Logs_20140328.PutLogEvents",
          "no such operation: Logs_20140328.PutLogEvents" },
        { "GET", "/2015-03-31/functions", NULL, "no such operation: GET /2015-03-31/functions" },
    };
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        const struct http_header headers[] = {
            { "Content-Type", "application/x-amz-json-1.1" },
            { asked[i].target ? "X-Amz-Target" : NULL, asked[i].target },
            { NULL, NULL },
        };
        auto_free char *body = NULL;
        int status = lambda_rig_raw(&r, asked[i].method, asked[i].path, headers, "{}", &body);
        cr_expect(status == 400 || status == 404, "%d", status);
        cr_expect_not_null(strstr(body, asked[i].named), "%s", body);
    }
    lambda_rig_stop(&r);
}

/* A day after its end a task's folder is removed, whatever it has made in it, and nothing else. */
Test(local_failures, old_folders_of_tasks_are_removed_with_what_is_in_them, .timeout = 300)
{
    static const char id[] = "0123456789abcdef0123456789abcdef";
    struct lambda_rig r;
    lambda_rig_start(&r, NULL);
    auto_free char *tasks = mem_printf("%s/tasks", r.dir);
    auto_free char *outside = mem_printf("%s/outside", r.dir);
    auto_free char *others = mem_printf("%s/notes", tasks);
    auto_free char *old = mem_printf("%s/%s", tasks, id);
    auto_free char *make =
        mem_printf("mkdir -p %s %s %s/a/b && touch %s/kept %s/a/b/c && ln -s %s %s/a/link && "
                   "touch -d '3 days ago' %s/status.json",
                   outside, others, old, outside, old, outside, old, old);
    auto_free char *kept = mem_printf("%s/kept", outside);
    lambda_rig_kill(&r);
    cr_assert_eq(system(make), 0);
    lambda_rig_restart(&r);
    cr_expect_neq(access(old, F_OK), 0, "%s is there", old);
    cr_expect_eq(access(kept, F_OK), 0, "%s is gone", kept);
    cr_expect_eq(access(others, F_OK), 0, "%s is gone", others);
    lambda_rig_stop(&r);
}

Test(local_failures, executions_of_a_function_that_is_gone_wait_for_it, .timeout = 300)
{
    struct lambda_rig r;
    struct error err;
    lambda_rig_start(&r, NULL);
    auto_free char *arn = lambda_rig_begin(&r, "lasting:1", "{\"mode\":\"callback\"}");
    free(lambda_rig_callback(&r, arn));
    auto_free char *path = mem_printf("%s/config.json", r.dir);
    auto_free char *kept = mem_printf("%s/kept.json", r.dir);
    lambda_rig_kill(&r);
    cr_assert_eq(rename(path, kept), 0);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(plain, f), 0);
    cr_assert_eq(fclose(f), 0);
    lambda_rig_restart(&r);
    expect_logged(&r, "\"execution_without_function\",\"function\":\"lasting\"");
    lambda_rig_kill(&r);
    cr_assert_eq(rename(kept, path), 0);
    lambda_rig_restart(&r);
    auto_free char *id = lambda_rig_callback(&r, arn);
    cr_assert_eq(lambda_callback_success(r.aws, id, "\"late\"", 6, &err), 0, "%s", err.msg);
    json_object_put(lambda_rig_end(&r, arn, "SUCCEEDED"));
    lambda_rig_stop(&r);
}
