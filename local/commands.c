#include "local/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/config.h"
#include "local/table.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"
#include "shared/base/encode.h"
#include "shared/base/opts.h"

#define RESULT_MAX 262144

struct command {
    const char *endpoint, *state; /* options, borrowed */
    char *function, *status;
    int64_t limit;
    char *const *args; /* what follows the command's word and the options */
    int count;
    struct aws_options options;
    struct aws *aws;
};

static int usage(const char *text, struct error *err)
{
    return error_set(err, ERR_INVALID, 0, "use: local-aws %s", text);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

/* A GET of Lambda's API: the answer's JSON, the caller's. */
static int ask(struct command *c, const char *path, const char *query, struct json_object **out,
               struct error *err)
{
    auto_response struct http_response resp = { 0 };
    const struct aws_call call = {
        .service = AWS_LAMBDA, .method = "GET", .path = path, .query = query
    };
    if (aws_send(c->aws, &call, &resp, err) < 0)
        return -1;
    return json_parse(resp.body.data, resp.body.len, JSON_DEPTH, out, err);
}

static int ask_functions(struct command *c, struct json_object **out, struct error *err)
{
    return ask(c, "/_local/functions", NULL, out, err);
}

static double ms_of(struct json_object *o, const char *key)
{
    return json_get_double(o, key, 0) * 1000;
}

static void moment(double ms, char out[24])
{
    char text[CLOCK_TEXT] = "";
    if (ms > 0)
        clock_format((int64_t)ms, text);
    snprintf(out, 24, "%.10s %.8s", text, ms > 0 ? text + 11 : "");
}

static void duration(double ms, char out[24])
{
    if (ms < 1000)
        snprintf(out, 24, "%.0f ms", ms);
    else if (ms < 120000)
        snprintf(out, 24, "%.2f s", ms / 1000);
    else if (ms < 7200000)
        snprintf(out, 24, "%.0f min", ms / 60000);
    else
        snprintf(out, 24, "%.1f h", ms / 3600000);
}

/* ---- functions ---------------------------------------------------------------------------------
 */

static int run_functions(struct command *c, struct error *err)
{
    static const char *const heads[] = { "FUNCTION", "VERSION",      "KIND",
                                         "WAITING",  "ENVIRONMENTS", NULL };
    auto_json struct json_object *o = NULL;
    if (ask_functions(c, &o, err) < 0)
        return -1;
    struct json_object *list = json_get_arr(o, "functions");
    struct table *t = table_new(heads);
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *f = json_object_array_get_idx(list, i);
        struct json_object *aliases = json_get_arr(f, "aliases"),
                           *environments = json_get_arr(f, "environments");
        auto_buf struct buf version = BUF_INIT(4096), states = BUF_INIT(65536);
        char waiting[24];
        buf_add_str(&version, json_get_str(f, "version") ? json_get_str(f, "version") : "");
        for (size_t k = 0; aliases && k < json_object_array_length(aliases); k++)
            buf_printf(&version, " %s",
                       json_object_get_string(json_object_array_get_idx(aliases, k)));
        for (size_t k = 0; environments && k < json_object_array_length(environments); k++)
            buf_printf(&states, "%s%s", k ? " " : "",
                       json_get_str(json_object_array_get_idx(environments, k), "state"));
        snprintf(waiting, sizeof(waiting), "%" PRId64, json_get_int(f, "waiting", 0));
        const char *const cells[] = { json_get_str(f, "name"), buf_str(&version),
                                      json_get_bool(f, "durable", false) ? "durable" : "plain",
                                      waiting, states.len ? buf_str(&states) : "none" };
        table_row(t, cells);
    }
    table_print(t, stdout);
    table_free(t);
    return 0;
}

/* ---- executions --------------------------------------------------------------------------------
 */

struct found {
    struct json_object **items;
    size_t count;
};

static void release(struct found *f)
{
    for (size_t i = 0; i < f->count; i++)
        json_object_put(f->items[i]);
    free(f->items);
}

/* Adds the newest executions of one function and version. */
static int list_one(struct command *c, const char *function, const char *version, const char *name,
                    struct found *all, struct error *err)
{
    auto_buf struct buf query = BUF_INIT(4096);
    auto_free char *path = mem_printf("/2025-12-01/functions/%s/durable-executions", function);
    auto_json struct json_object *o = NULL;
    buf_add_str(&query, "Qualifier=");
    encode_percent(&query, version, strlen(version));
    buf_printf(&query, "&ReverseOrder=true&MaxItems=%" PRId64, c->limit);
    if (c->status)
        buf_printf(&query, "&Statuses=%s", c->status);
    if (name) {
        buf_add_str(&query, "&DurableExecutionName=");
        encode_percent(&query, name, strlen(name));
    }
    if (ask(c, path, buf_str(&query), &o, err) < 0)
        return -1;
    struct json_object *list = json_get_arr(o, "DurableExecutions");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        all->items = mem_resize(all->items, all->count + 1, sizeof(struct json_object *));
        all->items[all->count++] = json_object_get(json_object_array_get_idx(list, i));
    }
    return 0;
}

/* Of all durable functions, or the one that is wanted; `name` NULL: any. */
static int list_all(struct command *c, const char *name, struct found *all, struct error *err)
{
    auto_json struct json_object *o = NULL;
    if (ask_functions(c, &o, err) < 0)
        return -1;
    struct json_object *list = json_get_arr(o, "functions");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *f = json_object_array_get_idx(list, i);
        const char *function = json_get_str(f, "name"), *version = json_get_str(f, "version");
        if (!function || !version || !json_get_bool(f, "durable", false) ||
            (c->function && strcmp(function, c->function) != 0))
            continue;
        if (list_one(c, function, version, name, all, err) < 0 ||
            list_one(c, function, "$LATEST", name, all, err) < 0)
            return -1;
    }
    return 0;
}

static int newer(const void *a, const void *b)
{
    double x = ms_of(*(struct json_object *const *)a, "StartTimestamp");
    double y = ms_of(*(struct json_object *const *)b, "StartTimestamp");
    return (x < y) - (x > y);
}

static int run_executions(struct command *c, struct error *err)
{
    static const char *const heads[] = { "STARTED", "STATUS",    "TOOK", "FUNCTION",
                                         "NAME",    "EXECUTION", NULL };
    struct found all = { 0 };
    if (c->count > 0)
        return usage("executions [--function NAME] [--status STATUS] [--limit N]", err);
    if (list_all(c, NULL, &all, err) < 0) {
        release(&all);
        return -1;
    }
    if (all.count > 0)
        qsort(all.items, all.count, sizeof(*all.items), newer);
    struct table *t = table_new(heads);
    for (size_t i = 0; i < all.count && (int64_t)i < c->limit; i++) {
        struct json_object *o = all.items[i];
        const char *arn = json_get_str(o, "DurableExecutionArn");
        const char *function = json_get_str(o, "FunctionArn");
        const char *id = arn ? strrchr(arn, '/') : NULL, *short_name = NULL;
        double start = ms_of(o, "StartTimestamp"), end = ms_of(o, "EndTimestamp");
        char started[24], took[24];
        if (function && (short_name = strstr(function, ":function:")))
            short_name += strlen(":function:");
        moment(start, started);
        duration((end > 0 ? end : (double)clock_wall_ms(clock_system())) - start, took);
        const char *const cells[] = { started,
                                      json_get_str(o, "Status"),
                                      took,
                                      short_name,
                                      json_get_str(o, "DurableExecutionName"),
                                      id ? id + 1 : "" };
        table_row(t, cells);
    }
    table_print(t, stdout);
    table_free(t);
    release(&all);
    return 0;
}

/* The ARN that a person means by an ARN, an execution's name or its id; the caller's. */
static char *find_arn(struct command *c, const char *what, struct error *err)
{
    struct found all = { 0 };
    char *arn = NULL;
    if (strncmp(what, "arn:", 4) == 0)
        return mem_dup(what);
    c->limit = 1000;
    if (list_all(c, NULL, &all, err) == 0) {
        for (size_t i = 0; i < all.count && !arn; i++) {
            const char *found = json_get_str(all.items[i], "DurableExecutionArn");
            const char *name = json_get_str(all.items[i], "DurableExecutionName");
            const char *id = found ? strrchr(found, '/') : NULL;
            if ((id && strcmp(id + 1, what) == 0) || (name && strcmp(name, what) == 0))
                arn = mem_dup(found);
        }
        if (!arn)
            error_set(err, ERR_NOT_FOUND, 0, "there is no execution %s among the newest", what);
    }
    release(&all);
    return arn;
}

/* ---- history -----------------------------------------------------------------------------------
 */

/* What an event says besides its type, in a few words. */
static void say(struct json_object *event, struct buf *out)
{
    auto_free char *key = mem_printf("%sDetails", json_get_str(event, "EventType"));
    struct json_object *d = json_get_obj(event, key);
    struct json_object *error = json_get_obj(json_get_obj(d, "Error"), "Payload");
    struct json_object *retry = json_get_obj(d, "RetryDetails");
    const char *type = json_get_str(error, "ErrorType"),
               *message = json_get_str(error, "ErrorMessage");
    const char *payload = json_get_str(json_get_obj(d, "Result"), "Payload");
    if (!payload)
        payload = json_get_str(json_get_obj(d, "Input"), "Payload");
    if (type || message)
        buf_printf(out, "%s%s%s", type ? type : "", type && message ? ": " : "",
                   message ? message : "");
    if (json_get_int(retry, "NextAttemptDelaySeconds", 0))
        buf_printf(out, "%sattempt %" PRId64 ", again in %" PRId64 " s", out->len ? "; " : "",
                   json_get_int(retry, "CurrentAttempt", 0),
                   json_get_int(retry, "NextAttemptDelaySeconds", 0));
    if (json_get_str(d, "FunctionName"))
        buf_printf(out, "%s ", json_get_str(d, "FunctionName"));
    if (json_get_int(d, "Duration", 0))
        buf_printf(out, "%" PRId64 " s", json_get_int(d, "Duration", 0));
    if (payload)
        buf_add_str(out, payload);
}

static void add_event(struct table *t, struct json_object *event, double *begun)
{
    char number[24], at[24];
    double ms = ms_of(event, "EventTimestamp");
    auto_buf struct buf more = BUF_INIT(32U << 20);
    if (*begun == 0)
        *begun = ms;
    snprintf(number, sizeof(number), "%" PRId64, json_get_int(event, "EventId", 0));
    duration(ms - *begun, at);
    say(event, &more);
    const char *name = json_get_str(event, "Name");
    const char *const cells[] = { number, at, json_get_str(event, "EventType"),
                                  name ? name : json_get_str(event, "Id"), buf_str(&more) };
    table_row(t, cells);
}

static int add_events(struct command *c, const char *arn, struct table *t, struct error *err)
{
    auto_free char *marker = NULL;
    double begun = 0;
    do {
        auto_json struct json_object *o = NULL;
        if (lambda_get_history(c->aws, arn, true, marker, 1000, &o, err) < 0)
            return -1;
        struct json_object *events = json_get_arr(o, "Events");
        for (size_t i = 0; events && i < json_object_array_length(events); i++)
            add_event(t, json_object_array_get_idx(events, i), &begun);
        free(marker);
        marker = mem_dup(json_get_str(o, "NextMarker"));
    } while (marker && *marker);
    return 0;
}

static int run_history(struct command *c, struct error *err)
{
    static const char *const heads[] = { "#", "AFTER", "EVENT", "NAME", "", NULL };
    if (c->count != 1)
        return usage("history ARN|NAME|ID", err);
    auto_free char *arn = find_arn(c, c->args[0], err);
    if (!arn)
        return -1;
    struct table *t = table_new(heads);
    int rc = add_events(c, arn, t, err);
    if (rc == 0) {
        printf("%s\n", arn);
        table_print(t, stdout);
    }
    table_free(t);
    return rc;
}

/* ---- doing -------------------------------------------------------------------------------------
 */

static int run_stop(struct command *c, struct error *err)
{
    if (c->count != 1)
        return usage("stop ARN|NAME|ID", err);
    auto_free char *arn = find_arn(c, c->args[0], err);
    if (!arn)
        return -1;
    return lambda_stop(c->aws, arn, "Stopped", "Stopped on the command line.", err);
}

static int read_input(struct buf *out, struct error *err)
{
    char chunk[8192];
    ssize_t n;
    while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
        if (buf_add(out, chunk, (size_t)n) < 0)
            return error_set(err, ERR_TOO_LARGE, 0, "a result has at most %d bytes", RESULT_MAX);
    return n == 0 ? 0 : error_set_errno(err, errno, "cannot read standard input");
}

static int succeed(struct command *c, struct error *err)
{
    auto_buf struct buf input = BUF_INIT(RESULT_MAX);
    const char *result = c->count > 2 ? c->args[2] : "";
    if (strcmp(result, "-") == 0) {
        if (read_input(&input, err) < 0)
            return -1;
        result = buf_str(&input);
    }
    return lambda_callback_success(c->aws, c->args[1], result, strlen(result), err);
}

static int fail(struct command *c, struct error *err)
{
    auto_json struct json_object *o = json_object_new_object();
    json_add_str(o, "ErrorType", c->count > 2 ? c->args[2] : NULL);
    json_add_str(o, "ErrorMessage", c->count > 3 ? c->args[3] : NULL);
    return lambda_callback_failure(c->aws, c->args[1], json_text(o, NULL), err);
}

static int run_callback(struct command *c, struct error *err)
{
    const char *what = c->count > 1 ? c->args[0] : "";
    if (strcmp(what, "succeed") == 0 && c->count <= 3)
        return succeed(c, err);
    if (strcmp(what, "fail") == 0 && c->count <= 4)
        return fail(c, err);
    if (strcmp(what, "heartbeat") == 0 && c->count == 2)
        return lambda_callback_heartbeat(c->aws, c->args[1], err);
    return usage("callback succeed ID [RESULT|-] | fail ID [TYPE [MESSAGE]] | heartbeat ID", err);
}

static int run_console(struct command *c, struct error *err)
{
    char line[512];
    if (!c->state)
        return usage("console --state DIR", err);
    auto_free char *path = mem_printf("%s/console.url", c->state);
    FILE *f = fopen(path, "r");
    if (!f)
        return error_set_errno(err, errno, "cannot open %s: is local-aws started?", path);
    if (fgets(line, sizeof(line), f))
        fputs(line, stdout);
    fclose(f);
    return 0;
}

/* ---- which -------------------------------------------------------------------------------------
 */

static const struct {
    const char *word;
    int (*run)(struct command *c, struct error *err);
    bool offline;
} commands[] = {
    { "functions", run_functions, false }, { "executions", run_executions, false },
    { "history", run_history, false },     { "stop", run_stop, false },
    { "callback", run_callback, false },   { "console", run_console, true },
};

bool commands_has(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].word, word) == 0)
            return true;
    return false;
}

/* The first credential of the configuration file, where the environment gives none. */
static int borrow_keys(struct command *c, const char *file, struct error *err)
{
    if (c->options.access_key || !file)
        return 0;
    struct config *config = config_load(file, err);
    if (!config)
        return -1;
    c->options.access_key = mem_dup(config->credentials[0].access_key);
    c->options.secret_key = mem_dup(config->credentials[0].secret_key);
    config_free(config);
    return 0;
}

static int run(struct command *c, const char *word, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].word, word) != 0)
            continue;
        if (!commands[i].offline && !(c->aws = aws_new(&c->options, clock_system(), err)))
            return -1;
        int rc = commands[i].run(c, err);
        aws_free(c->aws);
        return rc;
    }
    return error_set(err, ERR_INVALID, 0, "%s: there is no such command", word);
}

int commands_run(int argc, char **argv, struct error *err)
{
    struct command c = { 0 };
    char *config = NULL, *state = NULL;
    const struct opt table[] = {
        { "endpoint-url", "AWS_ENDPOINT_URL", OPT_STR, &c.options.endpoint, "http://127.0.0.1:4566",
          0, 0, "URL", "the running local-aws" },
        { "region", "AWS_REGION", OPT_STR, &c.options.region, "us-east-1", 0, 0, "NAME", "region" },
        { NULL, "AWS_ACCESS_KEY_ID", OPT_SECRET, &c.options.access_key, NULL, 0, 0, NULL, "key" },
        { NULL, "AWS_SECRET_ACCESS_KEY", OPT_SECRET, &c.options.secret_key, NULL, 0, 0, NULL,
          "its secret" },
        { "config", "LOCAL_AWS_CONFIG", OPT_STR, &config, NULL, 0, 0, "FILE",
          "local-aws's configuration: its first credential is used where no key is given" },
        { "state", "LOCAL_AWS_STATE", OPT_STR, &state, NULL, 0, 0, "DIR",
          "local-aws's folder (console)" },
        { "function", NULL, OPT_STR, &c.function, NULL, 0, 0, "NAME", "of this one alone" },
        { "status", NULL, OPT_STR, &c.status, NULL, 0, 0, "STATUS",
          "RUNNING, SUCCEEDED, FAILED, TIMED_OUT or STOPPED" },
        { "limit", NULL, OPT_INT, &c.limit, "30", 1, 1000, "N", "at most so many" },
    };
    auto_free char *program = mem_printf("local-aws %s", argv[1]);
    const struct opts opts = { .program = program,
                               .synopsis = "[options] [arguments]",
                               .about =
                                   "Asks a running local-aws. Commands: functions, executions, "
                                   "history ARN, stop ARN, callback succeed|fail|heartbeat "
                                   "ID, console.",
                               .table = table,
                               .count = ARRAY_LEN(table) };
    int rc = opts_load(&opts, argc - 1, argv + 1, environ, err);
    bool helped = rc == OPTS_DONE;
    if (rc >= 0) {
        c.args = argv + 1 + rc;
        c.count = argc - 1 - rc;
        c.state = state;
        rc = borrow_keys(&c, config, err) < 0 ? -1 : run(&c, argv[1], err);
    }
    opts_release(&opts);
    return rc < 0 && !helped ? -1 : 0;
}
