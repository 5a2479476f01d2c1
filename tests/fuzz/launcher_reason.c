/* Task objects of ECS: every one has a state, and what has ended has a type and a message. Answers
 * of RunTask: a task, a refusal, or nobody knows. */
#include <string.h>

#include "launcher/reason.h"
#include "launcher/started.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static void check_started(struct json_object *answer)
{
    auto_json struct json_object *result = NULL;
    struct error err = { 0 }, why = { 0 };
    int rc = started_judge(0, answer, &why, &result, &err);
    FUZZ_MUST((rc == 0) == (result != NULL));
    FUZZ_MUST(rc == 0 || err.msg[0]);
    if (result)
        FUZZ_MUST(json_get_str(result, "taskArn") ||
                  json_get_str(json_get_obj(result, "refused"), "type"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json struct json_object *task = NULL;
    struct reason r;
    struct error err;
    if (json_parse((const char *)data, size, JSON_DEPTH, &task, &err) < 0)
        return 0;
    reason_judge(task, "job", &r);
    FUZZ_MUST(memchr(r.message, 0, sizeof(r.message)) && memchr(r.text, 0, sizeof(r.text)));
    FUZZ_MUST((r.state == REASON_ENDED) == (r.type != NULL));
    FUZZ_MUST((r.state == REASON_ENDED) == (r.message[0] != '\0'));
    FUZZ_MUST(!r.type || strncmp(r.type, "Task.", 5) == 0);
    FUZZ_MUST(r.signal >= 0 && r.signal <= 64 && r.exit_code >= -1);
    FUZZ_MUST(strncmp(reason_refusal("", r.text), "Task.", 5) == 0);
    check_started(task);
    return 0;
}
