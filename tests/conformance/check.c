/* check: holds the handlers of tests/conformance against the requirements and their runner, on a
 * local-aws of its own, and every history that comes of it against the rules of history_rules.h.
 *
 *     check BIN-DIR FUNCTIONS CONFORMANCE-DIR STATE-DIR [ARGUMENT OF THE RUNNER...]
 *     check BIN-DIR FUNCTIONS - STATE-DIR
 *
 * The second form starts local-aws with all functions, says where it is and waits for Ctrl-C.
 *
 * BIN-DIR has local-aws, FUNCTIONS is the program of main.c, CONFORMANCE-DIR the runner (run.py)
 * with the requirements; where it or what it needs is not there, that is said and nothing is
 * checked. STATE-DIR, which is made, then holds the logs (logs/NAME.log) and report.json. Exit
 * status 0: all hold (or skipped), 1: some do not, 2: it could not run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "local/stack/program.h"
#include "shared/aws/aws.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"
#include "shared/base/signals.h"
#include "tests/conformance/suites.h"
#include "tests/integration/history_rules.h"

#define TEMPLATE  "tests/conformance/template.yaml"
#define PREFIX    "conformance-"
#define READY_MS  60000
#define STOP_MS   30000
#define PAGE_MAX  (16U << 20)
#define TIMEOUT_S 600 /* of an execution; the longest wait of a requirement is left running */
#define COULD_NOT 2

struct check {
    const char *bin_dir, *functions, *dir, *state;
    char **runner_args;
    struct program *local;
    char *url;
    size_t executions, events_broken;
};

/* ---- local-aws ------------------------------------------------------------------------------- */

static struct json_object *function(const struct check *c, const char *id)
{
    struct json_object *f = json_object_new_object(), *command = json_object_new_array();
    struct json_object *durable = json_object_new_object(), *env = json_object_new_object();
    json_object_array_add(command, json_object_new_string(c->functions));
    json_object_array_add(command, json_object_new_string(id));
    json_add_str(env, "ASAN_OPTIONS", "detect_leaks=0");
    json_add_int(durable, "executionTimeoutSeconds", TIMEOUT_S);
    json_add(f, "command", command);
    json_add(f, "environment", env);
    json_add(f, "durable", durable);
    return f;
}

static int write_config(const struct check *c, const char *path, struct error *err)
{
    auto_json struct json_object *config = json_object_new_object();
    struct json_object *functions = json_object_new_object();
    struct json_object *credentials = json_object_new_object();
    const struct conformance_case *one;
    for (size_t n = 0; (one = conformance_nth(n)); n++) {
        auto_free char *name = mem_printf(PREFIX "%s", one->id);
        json_add(functions, name, function(c, one->id));
    }
    json_add_str(credentials, "test", "test");
    json_add(config, "credentials", credentials);
    json_add(config, "functions", functions);
    FILE *f = fopen(path, "w");
    if (!f || fputs(json_text(config, NULL), f) == EOF || fclose(f) != 0)
        return error_set_errno(err, errno, "cannot write %s", path);
    return 0;
}

static int start(struct check *c, struct error *err)
{
    auto_free char *config = mem_printf("%s/config.json", c->state);
    auto_free char *log = mem_printf("%s/local-aws.log", c->state);
    auto_free char *program = mem_printf("%s/local-aws", c->bin_dir);
    if (mkdir(c->state, 0700) < 0)
        return error_set_errno(err, errno, "cannot make %s", c->state);
    if (write_config(c, config, err) < 0)
        return -1;
    const char *const argv[] = { program,       "--config",      config,
                                 "--state",     c->state,        "--aws-listen",
                                 "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                                 NULL };
    const char *const env[] = { "PATH=/usr/bin:/bin", "ASAN_OPTIONS=abort_on_error=1", NULL };
    c->local = program_start(argv, env, log, err);
    if (!c->local || program_wait_ready(c->local, READY_MS, err) < 0)
        return error_wrap(err, "local-aws (see %s)", log);
    c->url = program_url(c->local, "aws");
    return c->url ? 0 : error_set(err, ERR_PROTOCOL, 0, "local-aws does not say where it listens");
}

/* ---- the runner ------------------------------------------------------------------------------ */

/* Its exit status; 128 + N where signal N ended it. */
static int run(const char *const *argv, struct error *err)
{
    int status = 0;
    size_t n = 0;
    while (argv[n])
        n++;
    char **copy = mem_array(n + 1, sizeof(*copy)); /* exec wants text that it could change */
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_dup(argv[i]);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execvp(copy[0], copy);
        _exit(127);
    }
    int eno = errno;
    for (size_t i = 0; i < n; i++)
        free(copy[i]);
    free(copy);
    if (pid < 0)
        return error_set_errno(err, eno, "cannot fork");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *runner_of(const struct check *c)
{
    return mem_printf("%s/run.py", c->dir);
}

/* Why nothing can be checked; NULL: it can. The caller's. */
static char *missing(const struct check *c)
{
    auto_free char *runner = runner_of(c);
    struct error err;
    const char *const probe[] = { "python3", "-c", "import boto3, yaml", NULL };
    if (access(runner, R_OK) < 0)
        return mem_printf("there is no %s (CONFORMANCE=FOLDER says where the requirements are)",
                          runner);
    return run(probe, &err) == 0 ? NULL : mem_dup("python3 with boto3 and PyYAML is not here");
}

static int requirements(const struct check *c, struct error *err)
{
    auto_free char *runner = runner_of(c);
    auto_free char *logs = mem_printf("%s/logs", c->state);
    auto_free char *report = mem_printf("%s/report.json", c->state);
    size_t n = 0;
    while (c->runner_args[n])
        n++;
    const char *const own[] = { "python3", runner, "--endpoint", c->url,
                                "--logs",  logs,   "--report",   report };
    const char **argv = mem_array(n + ARRAY_LEN(own) + 1, sizeof(*argv));
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        argv[i] = own[i];
    for (size_t i = 0; i < n; i++)
        argv[ARRAY_LEN(own) + i] = c->runner_args[i];
    int rc = run(argv, err);
    free(argv);
    return rc;
}

/* ---- the histories --------------------------------------------------------------------------- */

static int list_page(struct aws *aws, const char *id, const char *marker, struct json_object **page,
                     struct error *err)
{
    auto_buf struct buf query = BUF_INIT(4096);
    auto_free char *path = mem_printf("/2025-12-01/functions/" PREFIX "%s/durable-executions", id);
    struct http_response resp = { 0 };
    if (marker && *marker) {
        buf_add_str(&query, "Marker=");
        encode_percent(&query, marker, strlen(marker));
    }
    const struct aws_call call = { .service = AWS_LAMBDA,
                                   .method = "GET",
                                   .path = path,
                                   .query = query.len ? buf_str(&query) : NULL,
                                   .max_response = PAGE_MAX };
    int rc = aws_send(aws, &call, &resp, err);
    if (rc == 0)
        rc = json_parse(resp.body.data, resp.body.len, JSON_DEPTH, page, err);
    http_response_release(&resp);
    return rc;
}

/* Every execution of a function. */
static int histories_of(struct check *c, struct aws *aws, const char *id, struct error *err)
{
    auto_free char *marker = NULL;
    do {
        auto_json struct json_object *page = NULL;
        if (list_page(aws, id, marker, &page, err) < 0)
            return error_wrap(err, "list the executions of " PREFIX "%s", id);
        struct json_object *all = json_get_arr(page, "DurableExecutions");
        for (size_t i = 0; all && i < json_object_array_length(all); i++) {
            const char *arn =
                json_get_str(json_object_array_get_idx(all, i), "DurableExecutionArn");
            struct history_facts facts;
            c->executions++;
            if (history_check(aws, arn, &facts, err) == 0)
                continue;
            if (err->code != ERR_PROTOCOL)
                return error_wrap(err, "the history of %s", arn);
            printf("FAIL %s: %s\n", arn, err->msg);
            c->events_broken++;
        }
        free(marker);
        marker = mem_dup(json_get_str(page, "NextMarker"));
    } while (marker && *marker);
    return 0;
}

static int histories(struct check *c, struct error *err)
{
    struct aws_options options = { .region = mem_dup("us-east-1"),
                                   .endpoint = mem_dup(c->url),
                                   .access_key = mem_dup("test"),
                                   .secret_key = mem_dup("test") };
    const struct conformance_case *one;
    int rc = 0;
    http_global_init();
    struct aws *aws = aws_new(&options, clock_system(), err);
    if (!aws)
        rc = -1;
    for (size_t n = 0; rc == 0 && (one = conformance_nth(n)); n++)
        rc = histories_of(c, aws, one->id, err);
    aws_free(aws);
    http_global_cleanup();
    free(options.region);
    free(options.endpoint);
    free(options.access_key);
    free(options.secret_key);
    return rc;
}

/* ---- the template ---------------------------------------------------------------------------- */

/* Each handler, and no other, is in the template for AWS. */
static int template_fits(const char *path, struct error *err)
{
    auto_free char *line = NULL;
    size_t size = 0, named = 0, count = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return error_set_errno(err, errno, "cannot read %s", path);
    while (getline(&line, &size, f) > 0) {
        char id[64];
        if (sscanf(line, " Handler: '%63[^']'", id) != 1)
            continue;
        named++;
        if (!conformance_find(id))
            error_set(err, ERR_INVALID, 0, "%s names the handler %s, which is not there", path, id);
    }
    fclose(f);
    while (conformance_nth(count))
        count++;
    if (named != count)
        error_set(err, ERR_INVALID, 0, "%s names %zu handlers of %zu", path, named, count);
    return *err->msg ? -1 : 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

/* Keeps everything running for whoever wants to run the requirements by hand. */
static int up(struct check *c, struct error *err)
{
    if (start(c, err) < 0)
        return COULD_NOT;
    printf("local-aws with the functions " PREFIX
           "ID is at %s, their logs in %s/logs. For example:\n"
           "    ../shared/conformance/run.py --endpoint %s --logs %s/logs\n"
           "Ctrl-C stops it.\n",
           c->url, c->state, c->url, c->state);
    fflush(stdout);
    signals_wait();
    return 0;
}

static int check(struct check *c, struct error *err)
{
    if (template_fits(TEMPLATE, err) < 0 || start(c, err) < 0)
        return COULD_NOT;
    int status = requirements(c, err);
    if (status < 0 || status > 1)
        return status < 0 ? COULD_NOT : (error_set(err, ERR_IO, status, "the runner failed"), 2);
    if (histories(c, err) < 0)
        return COULD_NOT;
    printf("%zu histories, %zu break a rule\n", c->executions, c->events_broken);
    return status || c->events_broken ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct error err = { 0 };
    if (argc < 5) {
        fprintf(stderr, "usage: %s BIN-DIR FUNCTIONS CONFORMANCE-DIR STATE-DIR [ARGUMENT...]\n",
                argv[0]);
        return COULD_NOT;
    }
    struct check c = { .bin_dir = argv[1],
                       .functions = argv[2],
                       .dir = argv[3],
                       .state = argv[4],
                       .runner_args = argv + 5 };
    bool wait = strcmp(c.dir, "-") == 0;
    auto_free char *reason = wait ? NULL : missing(&c);
    if (reason) {
        printf("skipped: %s\n", reason);
        return 0;
    }
    if (wait)
        signals_block();
    int status = wait ? up(&c, &err) : check(&c, &err);
    if (status == COULD_NOT)
        fprintf(stderr, "conformance: %s\n", err.msg);
    if (c.local && program_running(c.local) && program_stop(c.local, STOP_MS) != 0 && status == 0) {
        fprintf(stderr, "conformance: local-aws did not end cleanly: see %s/local-aws.log\n",
                c.state);
        status = 1;
    }
    program_free(c.local);
    free(c.url);
    return status;
}
