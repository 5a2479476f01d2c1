/* ECS's answers, as the client reads them; the first byte chooses the call. */
#include <string.h>

#include "shared/aws/ecs_client.h"
#include "shared/base/json.h"
#include "tests/fuzz/answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    auto_json struct json_object *out = NULL;
    auto_json struct json_object *arns = json_object_new_array();
    if (size == 0)
        return 0;
    struct answers *a = answers_of(data + 1, size - 1);
    struct aws *aws = answers_aws(a);
    int rc;
    json_object_array_add(arns, json_new_str("arn:task/1"));
    switch (data[0] % 5) {
    case 0:
        rc = ecs_run_task(aws, "{}", &out, &err);
        break;
    case 1:
        rc = ecs_describe_task(aws, "local", "arn:task/1", &out, &err);
        FUZZ_MUST(rc < 0 || !out || json_object_is_type(out, json_type_object));
        break;
    case 2:
        rc = ecs_describe_tasks(aws, "local", arns, &out, &err);
        FUZZ_MUST(rc < 0 || json_object_is_type(out, json_type_array));
        break;
    case 3:
        rc = ecs_list_tasks(aws, "local", "durable/x", "RUNNING", &out, &err);
        FUZZ_MUST(rc < 0 || json_object_is_type(out, json_type_array));
        for (size_t i = 0; rc == 0 && i < json_object_array_length(out); i++)
            FUZZ_MUST(json_object_is_type(json_object_array_get_idx(out, i), json_type_string));
        break;
    default:
        rc = ecs_stop_task(aws, "local", "arn:task/1", "because", &err);
        break;
    }
    FUZZ_MUST(rc == 0 || (err.msg[0] && err.code != ERR_NONE));
    return 0;
}
