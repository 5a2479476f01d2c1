/* Pages of an execution's history, and stopping what they tell of. */
#include <string.h>

#include "launcher/past.h"
#include "shared/base/json.h"
#include "tests/fuzz/answers.h"

#define ARN                                                                                        \
    "arn:aws:lambda:us-east-1:123456789012:function:launcher:1/durable-execution/e1/"              \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct answers *a = answers_of(data, size);
    struct aws *aws = answers_aws(a);
    auto_past struct past past = { .callbacks = NULL };
    int64_t tasks = 0;
    int rc = past_read(aws, ARN, &past, &err);
    FUZZ_MUST(json_object_is_type(past.callbacks, json_type_array));
    FUZZ_MUST(json_object_is_type(past.children, json_type_object));
    for (size_t i = 0; i < json_object_array_length(past.callbacks); i++)
        FUZZ_MUST(
            json_object_is_type(json_object_array_get_idx(past.callbacks, i), json_type_string));
    FUZZ_MUST(rc == 0 || err.msg[0]);
    int before = json_object_object_length(past.children);
    rc = past_stop_children(aws, "local", &past, true, "because", &tasks, &err);
    FUZZ_MUST(tasks >= 0 && json_object_object_length(past.children) <= before);
    FUZZ_MUST((rc == 0) == (json_object_object_length(past.children) == 0));
    return 0;
}
