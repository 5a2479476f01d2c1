#include "launcher/started.h"

#include <string.h>

#include "launcher/reason.h"
#include "shared/base/json.h"

struct json_object *started_task(const char *arn)
{
    struct json_object *o = json_object_new_object();
    json_add_str(o, "taskArn", arn);
    return o;
}

static struct json_object *refused(const char *code, const char *text, bool throttled)
{
    struct json_object *inner = json_object_new_object();
    auto_free char *reason =
        code[0] && text[0] ? mem_printf("%s: %s", code, text) : mem_dup(text[0] ? text : code);
    const char *type = throttled ? "Task.Capacity" : reason_refusal(code, text);
    json_add_str(inner, "type", type);
    json_add_str(inner, "reason", reason);
    if (strcmp(type, "Task.Capacity") == 0)
        json_add_bool(inner, "again", true);
    struct json_object *o = json_object_new_object();
    json_add(o, "refused", inner);
    return o;
}

static struct json_object *first(struct json_object *list)
{
    return list && json_object_array_length(list) > 0 ? json_object_array_get_idx(list, 0) : NULL;
}

static int judge_answer(struct json_object *answer, struct json_object **result, struct error *err)
{
    const char *arn = json_get_str(first(json_get_arr(answer, "tasks")), "taskArn");
    struct json_object *failure = first(json_get_arr(answer, "failures"));
    if (arn) {
        *result = started_task(arn);
        return 0;
    }
    if (failure) {
        const char *reason = json_get_str(failure, "reason");
        const char *detail = json_get_str(failure, "detail");
        *result = refused("", reason ? reason : detail ? detail : "no reason given", false);
        return 0;
    }
    error_set(err, ERR_PROTOCOL, 0, "RunTask answered with neither a task nor a failure");
    return -1;
}

int started_judge(int rc, struct json_object *answer, const struct error *why,
                  struct json_object **result, struct error *err)
{
    *result = NULL;
    if (rc == 0)
        return judge_answer(answer, result, err);
    /* The token was used with another request, which must have been ours all the same: the token
     * is this step's alone. What it started is the job. */
    struct json_object *existing = first(json_get_arr(answer, "resourceIds"));
    if (why->code == ERR_CONFLICT && json_object_is_type(existing, json_type_string)) {
        *result = started_task(json_object_get_string(existing));
        return 0;
    }
    bool expired = strncmp(why->type, "ExpiredToken", 12) == 0; /* ours: the next try has others */
    bool definite = !why->retryable && !expired &&
                    (why->code == ERR_INVALID || why->code == ERR_DENIED ||
                     why->code == ERR_NOT_FOUND || why->code == ERR_TOO_LARGE);
    /* The front end refuses before anything is done. */
    if (definite || why->code == ERR_THROTTLED) {
        *result = refused(why->type, why->msg, why->code == ERR_THROTTLED);
        return 0;
    }
    *err = *why;
    return -1;
}
