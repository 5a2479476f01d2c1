/* Names of functions and executions and callback ids, as callers of local-aws write them, and what
 * functions post: answers and errors. The first byte chooses. */
#include <string.h>

#include "local/aws/error_object.h"
#include "local/aws/names.h"
#include "local/aws/outcome.h"
#include "shared/base/json.h"
#include "tests/fuzz/parts.h"

static void check_function(const char *text, const char *qualifier)
{
    struct function_name f, again;
    struct error err = { 0 };
    if (function_name_parse(text, qualifier, &f, &err) < 0) {
        FUZZ_MUST(err.code == ERR_INVALID && err.msg[0]);
        return;
    }
    FUZZ_MUST(f.name[0] && !strchr(f.name, ':') && !strchr(f.qualifier, ':'));
    FUZZ_MUST(function_name_parse(f.name, f.qualifier[0] ? f.qualifier : NULL, &again, &err) == 0);
    FUZZ_MUST(strcmp(f.name, again.name) == 0 && strcmp(f.qualifier, again.qualifier) == 0);
}

static void check_execution(const char *text)
{
    struct execution_arn a;
    struct error err = { 0 };
    if (execution_arn_parse(text, &a, &err) < 0) {
        FUZZ_MUST(err.code == ERR_INVALID && err.msg[0]);
        return;
    }
    auto_free char *rest = mem_printf(":lambda:%s:%s:function:%s:%s/durable-execution/%s/%s",
                                      a.region, a.account, a.function, a.version, a.name, a.id);
    const char *partition = text + strlen("arn:");
    FUZZ_MUST(strcmp(partition + strcspn(partition, ":"), rest) == 0);
}

static void check_callback(const char *text)
{
    char id[RANDOM_UUID];
    uint32_t operation = 0;
    if (callback_id_parse(text, id, &operation) == 0)
        FUZZ_MUST(strlen(id) == RANDOM_UUID - 1 && strlen(text) < CALLBACK_ID);
}

static void check_answer(const char *text, size_t len, bool is_pending)
{
    struct envelope e = { 0 };
    envelope_read(&e, text, len, is_pending);
    FUZZ_MUST(e.status != EX_RUNNING || is_pending);
    FUZZ_MUST(!e.result || strlen(e.result) <= e.result_len);
    if (e.error) {
        auto_json struct json_object *o = NULL;
        struct error err = { 0 };
        FUZZ_MUST(json_parse(e.error, strlen(e.error), JSON_DEPTH, &o, &err) == 0);
    }
    envelope_release(&e);
}

static void check_error(const char *text, size_t len, const char *type)
{
    auto_json struct json_object *o = NULL;
    struct error err = { 0 };
    auto_free char *object = error_object_from_lambda(text, len, type);
    FUZZ_MUST(object && json_parse(object, strlen(object), JSON_DEPTH, &o, &err) == 0);
    auto_free char *again = error_object_text(o, "", &err);
    FUZZ_MUST(again || err.code == ERR_INVALID);
    auto_free char *lambda = error_object_lambda(object);
    FUZZ_MUST(lambda);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct parts p = { data + 1, size - 1 };
    size_t len, ignored;
    auto_free char *first = parts_next(&p, &len);
    auto_free char *second = parts_next(&p, &ignored);
    if (!first)
        first = mem_dup("");
    switch (data[0] % 5) {
    case 0:
        check_function(first, second);
        break;
    case 1:
        check_execution(first);
        break;
    case 2:
        check_callback(first);
        break;
    case 3:
        check_answer(first, len, second != NULL);
        break;
    default:
        check_error(first, len, second);
        break;
    }
    return 0;
}
