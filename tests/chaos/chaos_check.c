/* chaos_check FOLDER: what did a storm break? It reads what the HTTP API answered and the histories
 * (workflows.jsonl), the marks that the jobs left (marks/KEY), the receivers' metrics
 * (metrics-N.txt) and which tasks were struck down on purpose (orders.jsonl), and knows nothing
 * else. One line for each finding; exit status 1 where there is one. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "tests/chaos/marks.h"

#define LINE_BYTES  (32U << 20)
#define BATCH_SIZE  5
#define BATCH_FAILS 2
#define METERED_MAX                                                                                \
    120 /* operations of one workflow; it may have four attempts, and Lambda's limit               \
           is 3,000 */

/* What must come of each kind of job. Alternatives of a type are separated by "|". */
static const struct rule {
    const char *kind;
    bool succeeds;
    const char *types;   /* of a failure */
    bool reports_itself; /* its marks tell whether a report was accepted */
    size_t attempts;     /* that do their work, where nothing strikes */
} rules[] = {
    { "ok", true, NULL, false, 1 },
    { "slow", true, NULL, false, 1 },
    { "input", true, NULL, false, 1 },
    { "big", true, NULL, false, 1 },
    { "curl", true, NULL, true, 1 },
    { "retry", true, NULL, false, 1 },
    { "exit", false, "Task.ExitCode", false, 1 },
    { "signal", false, "Task.Signal", false, 1 },
    { "own", false, "Chaos.Own", true, 1 },
    { "silent", false, "Task.NoReport|Task.Timeout", false, 1 },
    { "hang", false, "Task.HeartbeatLost", false, 0 },
    { "stop", false, NULL, false, 0 },
    { "sync", true, NULL, false, 1 },
    { "sync-exit", false, "Task.ExitCode", false, 1 },
    { "batch", true, NULL, false, 1 },
    { "sample", true, NULL, false, 0 },
};

/* How a task that was struck down may end its workflow. */
static const struct {
    const char *outcome, *type;
} strikes[] = {
    { "spot", "Task.SpotInterruption" },
    { "out-of-memory", "Task.OutOfMemory" },
    { "image-pull", "Task.ImagePull" },
    { "no-container", "Task.Infrastructure" },
};

struct checked {
    const char *folder;
    const char *key; /* of the workflow at hand, "" for the whole */
    unsigned findings, workflows, succeeded, failed, stopped, struck;
    unsigned orders[ARRAY_LEN(strikes)], met[ARRAY_LEN(strikes)];
};

static void found(struct checked *c, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void found(struct checked *c, const char *what, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    auto_free char *text = mem_vprintf(fmt, args);
    va_end(args);
    printf("  BROKEN %s: %s%s%s\n", what, c->key, *c->key ? ": " : "", text);
    c->findings++;
}

static bool is_one_of(const char *types, const char *type)
{
    size_t len = strlen(type);
    for (const char *p = types; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, type, len) == 0 && (p[len] == '\0' || p[len] == '|'))
            return true;
    return false;
}

/* ---- the answers ------------------------------------------------------------------------------*/

static void check_ids(struct checked *c, struct json_object *line)
{
    struct json_object *ids = json_get_arr(line, "ids");
    size_t n = ids ? json_object_array_length(ids) : 0;
    if (n == 0)
        found(c, "no answer", "it was never accepted");
    for (size_t i = 1; i < n; i++) {
        const char *first = json_object_get_string(json_object_array_get_idx(ids, 0));
        const char *other = json_object_get_string(json_object_array_get_idx(ids, i));
        if (strcmp(first, other) != 0)
            found(c, "second workflow", "the same post is %s and %s", first, other);
    }
}

static bool check_struck(struct checked *c, const char *type);

/* Five jobs in their order; the one in the middle fails by itself, any other where it was struck.
 */
static void check_batch(struct checked *c, struct json_object *line, struct json_object *result)
{
    struct json_object *jobs = json_get_arr(result, "jobs");
    size_t n = jobs ? json_object_array_length(jobs) : 0;
    if (n != BATCH_SIZE || json_get_int(result, "total", 0) != BATCH_SIZE)
        found(c, "batch", "%zu jobs", n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *job = json_object_array_get_idx(jobs, i);
        struct json_object *own = json_get_obj(job, "result");
        const char *type = json_get_str(json_get_obj(job, "error"), "type");
        const char *key = json_get_str(own, "key");
        bool right = json_get_int(job, "index", -1) == (int64_t)i;
        if (type)
            right = right && ((i == BATCH_FAILS && strcmp(type, "Task.ExitCode") == 0) ||
                              check_struck(c, type));
        else
            right = right && i != BATCH_FAILS && key && strcmp(key, c->key) == 0 &&
                    json_get_int(own, "index", -1) == (int64_t)i &&
                    json_get_int(own, "value", -1) == json_get_int(line, "value", -2);
        if (!right)
            found(c, "batch", "job %zu: %.200s", i, json_text(job, NULL));
    }
}

/* The result of the sample is text inside JSON: it is looked for as text there. */
static void check_result(struct checked *c, struct json_object *line, struct json_object *end)
{
    struct json_object *result = json_get(end, "result");
    const char *kind = json_get_str(line, "kind"), *text = json_text(result, NULL);
    if (strcmp(kind, "sync") == 0)
        return;
    if (strcmp(kind, "batch") == 0) {
        check_batch(c, line, result);
        return;
    }
    if (strcmp(kind, "sample") == 0) {
        if (!strstr(text, c->key))
            found(c, "another's result", "%.200s", text);
        return;
    }
    const char *key = json_get_str(result, "key");
    if (!key || strcmp(key, c->key) != 0 ||
        json_get_int(result, "value", -1) != json_get_int(line, "value", -2))
        found(c, "another's result", "%.200s", text);
    size_t expected = strcmp(kind, "big") == 0 ? 100000 : strcmp(kind, "input") == 0 ? 20000 : 0;
    const char *long_text = json_get_str(result, "text");
    if (expected && (!long_text || strlen(long_text) != expected))
        found(c, "changed result", "%zu characters instead of %zu",
              long_text ? strlen(long_text) : 0, expected);
}

/* True where the failure is one of a struck task. */
static bool check_struck(struct checked *c, const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(strikes); i++)
        if (strcmp(strikes[i].type, type) == 0) {
            c->struck++;
            c->met[i]++;
            return true;
        }
    return false;
}

static void check_failure(struct checked *c, const struct rule *rule, struct json_object *end,
                          const struct marks *marks)
{
    struct json_object *error = json_get_obj(end, "error");
    const char *type = json_get_str(error, "type");
    const char *message = json_get_str(error, "message");
    if (!type) {
        found(c, "untyped failure", "%.200s", json_text(end, NULL));
        return;
    }
    if (marks->told_success)
        found(c, "lost report", "a success was accepted, but it ended with %s: %.200s", type,
              message ? message : "");
    else if (rule->types && is_one_of(rule->types, type))
        return;
    else if (!check_struck(c, type))
        found(c, "wrong failure", "%s: %.300s", type, message ? message : "");
}

static void check_outcome(struct checked *c, const struct rule *rule, struct json_object *line,
                          const struct marks *marks)
{
    struct json_object *end = json_get_obj(line, "end");
    const char *status = json_get_str(end, "status");
    if (!status) {
        found(c, "no end", "%s", json_get_str(line, "late") ? json_get_str(line, "late") : "");
    } else if (strcmp(status, "SUCCEEDED") == 0) {
        c->succeeded++;
        if (!rule->succeeds)
            found(c, "false success", "a job of kind %s ended as a success: %.200s", rule->kind,
                  json_text(json_get(end, "result"), NULL));
        else
            check_result(c, line, end);
    } else if (strcmp(status, "FAILED") == 0) {
        c->failed++;
        check_failure(c, rule, end, marks);
    } else if (strcmp(status, "STOPPED") == 0) {
        c->stopped++;
        if (!json_get_bool(line, "stopped", false))
            found(c, "wrong end", "STOPPED, but nobody stopped it");
    } else {
        found(c, "wrong end", "%s", status);
    }
}

/* ---- the history ------------------------------------------------------------------------------*/

static const char *name_of(struct json_object *event, const char *member)
{
    const char *text = json_get_str(event, member);
    return text ? text : "";
}

/* Event ids without a gap, one end and nothing of substance behind it, an end that is the API's. */
static void check_history(struct checked *c, struct json_object *line, size_t *attempts)
{
    static const char *const ends[][2] = { { "ExecutionSucceeded", "SUCCEEDED" },
                                           { "ExecutionFailed", "FAILED" },
                                           { "ExecutionStopped", "STOPPED" },
                                           { "ExecutionTimedOut", "TIMED_OUT" } };
    struct json_object *events = json_get_arr(line, "history");
    const char *ended = NULL;
    size_t metered = 0, n = events ? json_object_array_length(events) : 0;
    *attempts = 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *e = json_object_array_get_idx(events, i);
        const char *type = name_of(e, "EventType");
        if (json_get_int(e, "EventId", 0) != (int64_t)i + 1)
            found(c, "history", "event %zu has the id %lld", i + 1,
                  (long long)json_get_int(e, "EventId", 0));
        if (ended && strcmp(type, "InvocationCompleted") != 0)
            found(c, "history", "%s behind the end", type);
        if (strstr(type, "Started"))
            metered++;
        if (strcmp(type, "StepStarted") == 0 && strncmp(name_of(e, "Name"), "run-task", 8) == 0)
            ++*attempts;
        for (size_t k = 0; k < ARRAY_LEN(ends); k++)
            if (strcmp(type, ends[k][0]) == 0)
                ended = ends[k][1];
    }
    const char *status = json_get_str(json_get_obj(line, "end"), "status");
    if (status && (!ended || strcmp(ended, status) != 0))
        found(c, "history", "the API says %s, the history %s", status, ended ? ended : "nothing");
    if (metered > METERED_MAX)
        found(c, "operations", "%zu were used", metered);
}

/* ---- the marks --------------------------------------------------------------------------------*/

static void check_marks(struct checked *c, const struct rule *rule, const struct marks *m,
                        const char *status, size_t run_tasks)
{
    if (m->doubled > 0)
        found(c, "doubled task", "%zu more containers of an attempt than one", m->doubled);
    if (m->begun > run_tasks && run_tasks > 0)
        found(c, "doubled task", "%zu containers by %zu steps", m->begun, run_tasks);
    if (rule->attempts > 0 && status && strcmp(status, "SUCCEEDED") == 0 && m->ended == 0)
        found(c, "false success", "no container did the work");
    if (rule->reports_itself && m->told_success && m->told_failure)
        found(c, "two reports", "both a success and a failure were accepted");
    auto_free char *folder = mem_printf("%s/marks", c->folder);
    if (marks_alive(folder, c->key))
        found(c, "orphan", "a process of it is alive");
}

/* ---- all of it --------------------------------------------------------------------------------*/

static void check_workflow(struct checked *c, struct json_object *line)
{
    const char *kind = json_get_str(line, "kind");
    const struct rule *rule = NULL;
    struct marks marks;
    struct error err = { 0 };
    size_t run_tasks;
    auto_free char *folder = mem_printf("%s/marks", c->folder);
    c->key = json_get_str(line, "key") ? json_get_str(line, "key") : "?";
    c->workflows++;
    for (size_t i = 0; i < ARRAY_LEN(rules) && kind; i++)
        if (strcmp(rules[i].kind, kind) == 0)
            rule = &rules[i];
    if (!rule || marks_read(folder, c->key, &marks, &err) < 0) {
        found(c, "unreadable", "%s", rule ? err.msg : "a kind that the checker does not know");
        return;
    }
    check_ids(c, line);
    check_outcome(c, rule, line, &marks);
    check_history(c, line, &run_tasks);
    check_marks(c, rule, &marks, json_get_str(json_get_obj(line, "end"), "status"), run_tasks);
}

static void order(struct checked *c, struct json_object *line)
{
    for (size_t i = 0; i < ARRAY_LEN(strikes); i++)
        if (strcmp(name_of(line, "outcome"), strikes[i].outcome) == 0)
            c->orders[i] += (unsigned)json_get_int(line, "times", 1);
}

/* Each line of a file as JSON. */
static int each_line(struct checked *c, const char *file,
                     void (*visit)(struct checked *c, struct json_object *line))
{
    auto_free char *path = mem_printf("%s/%s", c->folder, file);
    auto_free char *text = mem_alloc(LINE_BYTES);
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "chaos_check: %s: %s\n", path, strerror(errno));
        return -1;
    }
    int rc = 0;
    while (rc == 0 && fgets(text, LINE_BYTES, f)) {
        auto_json struct json_object *line = NULL;
        struct error err = { 0 };
        rc = json_parse_str(text, &line, &err);
        if (rc == 0)
            visit(c, line);
        else
            fprintf(stderr, "chaos_check: %s: %s\n", path, err.msg);
    }
    fclose(f);
    return rc;
}

/* When all is over nothing waits to be delivered, and nothing had to be given up. */
static void check_metrics(struct checked *c, const char *file)
{
    char text[512], name[256];
    double value;
    auto_free char *path = mem_printf("%s/%s", c->folder, file);
    FILE *f = fopen(path, "r");
    size_t seen = 0;
    c->key = file;
    while (f && fgets(text, sizeof(text), f)) {
        if (sscanf(text, "callback_receiver_callbacks{state=\"%255[a-z]\"} %lf", name, &value) != 2)
            continue;
        seen++;
        if ((strcmp(name, "accepted") == 0 || strcmp(name, "dead") == 0) && value > 0)
            found(c, "undelivered", "%.0f reports are %s", value, name);
    }
    if (f)
        fclose(f);
    if (seen == 0)
        found(c, "unreadable", "there are no callbacks in it");
}

int main(int argc, char **argv)
{
    struct checked c = { .key = "" };
    if (argc != 2) {
        fprintf(stderr, "usage: chaos_check FOLDER\n");
        return 2;
    }
    c.folder = argv[1];
    if (each_line(&c, "orders.jsonl", order) < 0 ||
        each_line(&c, "workflows.jsonl", check_workflow) < 0)
        return 2;
    check_metrics(&c, "metrics-0.txt");
    check_metrics(&c, "metrics-1.txt");
    c.key = "";
    for (size_t i = 0; i < ARRAY_LEN(strikes); i++)
        if (c.met[i] > c.orders[i])
            found(&c, "wrong failure", "%u workflows ended with %s, %u tasks were struck so",
                  c.met[i], strikes[i].type, c.orders[i]);
    if (c.workflows == 0)
        found(&c, "unreadable", "no workflow was seen");
    printf("  %u workflows: %u succeeded, %u failed (%u because their task was struck), %u "
           "stopped; %u findings\n",
           c.workflows, c.succeeded, c.failed, c.struck, c.stopped, c.findings);
    return c.findings ? 1 : 0;
}
