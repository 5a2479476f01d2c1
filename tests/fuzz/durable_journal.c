/* Records of operations: taking them in twice changes nothing, and what is found is whole. */
#include <string.h>

#include "shared/base/json.h"
#include "shared/durable/journal.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct journal *j, struct json_object *operations)
{
    for (size_t i = 0; i < json_object_array_length(operations); i++) {
        const char *id = json_get_str(json_object_array_get_idx(operations, i), "Id");
        const struct operation *op = journal_find(j, id);
        FUZZ_MUST(op && strcmp(op->id, id) == 0);
        FUZZ_MUST(!op->payload || strlen(op->payload) == op->payload_len);
        FUZZ_MUST(operation_ended(op) == (operation_status(op) >= OP_SUCCEEDED));
        FUZZ_MUST(op_type_name(op->type));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json struct json_object *operations = NULL;
    struct error err = { 0 };
    if (json_parse((const char *)data, size, JSON_DEPTH, &operations, &err) < 0 ||
        !json_object_is_type(operations, json_type_array))
        return 0;
    struct journal *j = journal_new();
    if (journal_merge(j, operations, &err) == 0) {
        size_t count = journal_count(j);
        check(j, operations);
        FUZZ_MUST(journal_merge(j, operations, &err) == 0 && journal_count(j) == count);
        check(j, operations);
    } else {
        FUZZ_MUST(err.msg[0]);
    }
    journal_free(j);
    return 0;
}
