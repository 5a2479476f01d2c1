#include "launcher/metrics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define LINE_MAX_BYTES 16384
#define TYPE_MAX       256 /* bytes of a failure's type that are told */

struct metrics {
    int fd;
    char *name_space;
    const struct clock *clock;
};

struct metrics *metrics_open(int fd, const char *name_space, const struct clock *clock)
{
    if (!name_space)
        return NULL;
    struct metrics *m = mem_alloc(sizeof(*m));
    *m = (struct metrics){ .fd = fd, .name_space = mem_dup(name_space), .clock = clock };
    return m;
}

void metrics_close(struct metrics *m)
{
    if (!m)
        return;
    free(m->name_space);
    free(m);
}

/* The type itself where it is one of the launcher's, of which there are few. */
static const char *bounded(const char *type)
{
    static const char *const known[] = {
        "Task.ExitCode",
        "Task.Signal",
        "Task.OutOfMemory",
        "Task.NoReport",
        "Task.Stopped",
        "Task.NotFound",
        "Task.NotExecutable",
        "Task.InputUnavailable",
        "Task.ResultTooLarge",
        "Task.ResultUnreadable",
        "Task.ImagePull",
        "Task.Capacity",
        "Task.StartFailed",
        "Task.SpotInterruption",
        "Task.Infrastructure",
        "Task.StoppedByUser",
        "Task.StartTimeout",
        "Task.HeartbeatLost",
        "Task.Timeout",
        "Task.Failed",
        "Task.OutputTooLarge",
        "Workflow.InvalidInput",
        "Workflow.RegistrationFailed",
        "Workflow.Stopped",
        "Workflow.Timeout",
        "Workflow.TooManyFailures",
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(type, known[i]) == 0)
            return known[i];
    return "Job";
}

/* The dimension sets, each one member longer than the one before; and the members themselves. */
static struct json_object *dimensions(const struct metrics_of *of, struct json_object *line)
{
    const struct {
        const char *name;
        const char *value;
    } all[] = {
        { "Cluster", of->cluster },
        { "Function", of->function },
        { "Pattern", of->pattern },
        { "ErrorType", of->error_type ? bounded(of->error_type) : NULL },
    };
    struct json_object *sets = json_object_new_array();
    for (size_t n = 0; n < ARRAY_LEN(all); n++) {
        if (!all[n].value)
            continue;
        struct json_object *set = json_object_new_array();
        for (size_t i = 0; i <= n; i++)
            if (all[i].value)
                json_push(set, json_new_str(all[i].name));
        json_push(sets, set);
        json_add_str(line, all[n].name, all[n].value);
    }
    return sets;
}

static void write_line(const struct metrics *m, struct json_object *line)
{
    auto_buf struct buf b = BUF_INIT(LINE_MAX_BYTES);
    size_t len;
    const char *text = json_text(line, &len);
    buf_add(&b, text, len);
    buf_add_char(&b, '\n');
    if (!buf_overflowed(&b))
        (void)!write(m->fd, b.data, b.len); /* one that cannot be written is nobody's failure */
}

static void emit(struct metrics *m, const char *name, const char *unit, int64_t value,
                 const struct metrics_of *of)
{
    if (!m)
        return;
    auto_json struct json_object *line = json_object_new_object();
    struct json_object *aws = json_object_new_object();
    struct json_object *directives = json_object_new_array();
    struct json_object *directive = json_object_new_object();
    struct json_object *metrics = json_object_new_array();
    struct json_object *metric = json_object_new_object();
    json_add_int(aws, "Timestamp", clock_wall_ms(m->clock));
    json_add_str(directive, "Namespace", m->name_space);
    json_add(line, "_aws", aws);
    json_add(directive, "Dimensions", dimensions(of, line));
    json_add_str(metric, "Name", name);
    json_add_str(metric, "Unit", unit);
    json_push(metrics, metric);
    json_add(directive, "Metrics", metrics);
    json_push(directives, directive);
    json_add(aws, "CloudWatchMetrics", directives);
    json_add_int(line, name, value);
    if (of->error_type) { /* a job may call its failure as it likes */
        size_t len = strlen(of->error_type);
        json_add(line, "errorType",
                 json_new_str_len(of->error_type, utf8_cut(of->error_type, len, TYPE_MAX)));
    }
    json_add_str(line, "workflow", of->workflow);
    json_add_str(line, "task", of->task);
    write_line(m, line);
}

void metrics_count(struct metrics *m, const char *name, const struct metrics_of *of)
{
    emit(m, name, "Count", 1, of);
}

void metrics_time(struct metrics *m, const char *name, int64_t ms, const struct metrics_of *of)
{
    emit(m, name, "Milliseconds", ms > 0 ? ms : 0, of);
}
