#include "launcher/reason.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "shared/base/json.h"
#include "shared/base/signals.h"
#include "shared/base/utf8.h"

static void copy(char *out, size_t size, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len >= size)
        len = utf8_cut(text, len, size - 1);
    if (len)
        memcpy(out, text, len);
    out[len] = '\0';
}

static bool contains_any(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(text, *words))
            return true;
    return false;
}

/* Words of reasons that another try later can cure: RunTask's failures[], and stoppedReason of a
 * task that could not be placed. */
static bool is_capacity(const char *text)
{
    static const char *const words[] = {
        "RESOURCE:",
        "Capacity is unavail",
        "EMPTY CAPACITY PROVIDER",
        "NO ACTIVE INSTANCES",
        "insufficient capacity",
        "reached the limit on the number",
        NULL,
    };
    /* AGENT (not connected) is a reason only where it is the whole of it. */
    return strcmp(text, "AGENT") == 0 || contains_any(text, words);
}

static bool is_image(const char *text)
{
    static const char *const words[] = { "CannotPull", "ImagePull", "pull image",
                                         "CannotInspectContainerImage", NULL };
    return contains_any(text, words);
}

static bool is_memory(const char *text)
{
    static const char *const words[] = { "OutOfMemory", "out of memory", "due to memory usage",
                                         NULL };
    return contains_any(text, words);
}

const char *reason_refusal(const char *code, const char *text)
{
    if (is_capacity(text) || strstr(code, "LimitExceeded"))
        return "Task.Capacity";
    return is_image(text) ? "Task.ImagePull" : "Task.StartFailed";
}

void reason_signal_name(int signal, char out[32])
{
    const char *name = signals_name(signal);
    if (name)
        snprintf(out, 32, "%s", name);
    else
        snprintf(out, 32, "signal %d", signal);
}

static struct json_object *find_container(struct json_object *task, const char *name)
{
    struct json_object *list = json_get_arr(task, "containers");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *c = json_object_array_get_idx(list, i);
        const char *its = json_get_str(c, "name");
        if (its && strcmp(its, name) == 0)
            return c;
    }
    return NULL;
}

static enum reason_state judge_state(const struct reason *r, struct json_object *task)
{
    static const char *const ending[] = { "DEACTIVATING", "STOPPING", "DEPROVISIONING" };
    if (strcmp(r->status, "STOPPED") == 0 || strcmp(r->status, "DELETED") == 0 || r->exit_code >= 0)
        return REASON_ENDED;
    for (size_t i = 0; i < ARRAY_LEN(ending); i++)
        if (strcmp(r->status, ending[i]) == 0)
            return REASON_ENDING;
    const char *desired = json_get_str(task, "desiredStatus");
    return desired && strcmp(desired, "STOPPED") == 0 ? REASON_ENDING : REASON_RUNNING;
}

/* The stop codes that say more than the container's exit code, which they caused. */
static const char *judge_stop_code(const struct reason *r)
{
    static const struct {
        const char *code;
        const char *type;
    } table[] = {
        { "SpotInterruption", "Task.SpotInterruption" },
        { "TerminationNotice", "Task.SpotInterruption" },
        { "UserInitiated", "Task.StoppedByUser" },
        { "ServiceSchedulerInitiated", "Task.StoppedByUser" },
        { "InfrastructureHealth", "Task.Infrastructure" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(r->stop_code, table[i].code) == 0)
            return table[i].type;
    return NULL;
}

static void set(struct reason *r, const char *type, const char *what)
{
    r->type = type;
    snprintf(r->message, sizeof(r->message), "%s%s%s", what, r->text[0] ? ": " : "", r->text);
}

static void judge_exit(struct reason *r)
{
    char what[96];
    char name[32];
    if (r->exit_code < 0) {
        set(r, "Task.NoReport", "the task stopped without a report, its exit code is not known");
    } else if (r->signal) {
        reason_signal_name(r->signal, name);
        snprintf(what, sizeof(what), "the container was ended by signal %d (%s)", r->signal, name);
        set(r, "Task.Signal", what);
    } else if (r->exit_code) {
        snprintf(what, sizeof(what), "the container ended with exit code %d", r->exit_code);
        set(r, "Task.ExitCode", what);
    } else {
        set(r, "Task.NoReport", "the container ended with exit code 0 and sent no report");
    }
}

static void judge_end(struct reason *r)
{
    const char *by_code = judge_stop_code(r);
    bool never_started = strcmp(r->stop_code, "TaskFailedToStart") == 0 ||
                         (r->exit_code < 0 && strcasestr(r->text, "CannotStartContainer"));
    if (is_memory(r->text))
        set(r, "Task.OutOfMemory", "the container used more memory than it may");
    else if (by_code && strcmp(by_code, "Task.SpotInterruption") == 0)
        set(r, by_code, "AWS took the capacity back");
    else if (by_code && strcmp(by_code, "Task.StoppedByUser") == 0)
        set(r, by_code, "the task was stopped from outside");
    else if (by_code)
        set(r, by_code, "the host of the task failed");
    else if (r->exit_code < 0 && is_image(r->text))
        set(r, "Task.ImagePull", "the image could not be pulled");
    else if (never_started && is_capacity(r->text))
        set(r, "Task.Capacity", "there was no capacity for the task");
    else if (never_started)
        set(r, "Task.StartFailed", "the task could not start");
    else
        judge_exit(r);
}

void reason_judge(struct json_object *task, const char *container, struct reason *out)
{
    struct json_object *c = find_container(task, container);
    const char *stopped = json_get_str(task, "stoppedReason");
    const char *own = json_get_str(c, "reason");
    int64_t code = json_get_int(c, "exitCode", -1);
    *out = (struct reason){ .exit_code = code >= 0 && code <= INT32_MAX ? (int)code : -1 };
    /* Exit codes above 192 are ordinary ones (255 is what exit(-1) gives): there is no signal 127.
     */
    if (out->exit_code > 128 && out->exit_code <= 128 + 64)
        out->signal = out->exit_code - 128;
    copy(out->status, sizeof(out->status), json_get_str(task, "lastStatus"));
    copy(out->stop_code, sizeof(out->stop_code), json_get_str(task, "stopCode"));
    char both[1024];
    snprintf(both, sizeof(both), "%s%s%s", stopped ? stopped : "", stopped && own ? "; " : "",
             own ? own : "");
    copy(out->text, sizeof(out->text), both);
    out->state = judge_state(out, task);
    if (out->state == REASON_ENDED)
        judge_end(out);
}
