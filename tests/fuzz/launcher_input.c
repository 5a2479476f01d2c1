/* The body of POST /workflows, which is also what the durable function gets: judged with faults, or
 * everything is within its limits. */
#include <string.h>

#include "launcher/input.h"
#include "shared/base/json.h"
#include "tests/fuzz/fuzz.h"

static void check_faults(struct json_object *faults)
{
    FUZZ_MUST(json_object_is_type(faults, json_type_array) && json_object_array_length(faults) > 0);
    FUZZ_MUST(json_object_array_length(faults) <= INPUT_FAULTS);
    for (size_t i = 0; i < json_object_array_length(faults); i++) {
        struct json_object *fault = json_object_array_get_idx(faults, i);
        FUZZ_MUST(json_get_str(fault, "pointer") && json_get_str(fault, "detail"));
    }
    auto_free char *text = input_faults_text(faults);
    FUZZ_MUST(text && text[0]);
}

static void check_times(const struct input *in)
{
    FUZZ_MUST(in->timeout_s >= 1 && in->timeout_s <= INPUT_TIMEOUT_MAX_S);
    FUZZ_MUST(in->pattern != INPUT_SYNC || in->timeout_s <= INPUT_SYNC_MAX_S);
    FUZZ_MUST(in->start_timeout_s >= 0 && in->start_timeout_s <= in->timeout_s);
    FUZZ_MUST(in->heartbeat_s >= 0 && in->heartbeat_s <= INPUT_HEARTBEAT_MAX);
    FUZZ_MUST(in->engine_heartbeat_s >= 0 && in->engine_heartbeat_s <= in->timeout_s);
    FUZZ_MUST(in->retry.max_attempts >= 1 && in->retry.max_attempts <= INPUT_ATTEMPTS_MAX);
    FUZZ_MUST(in->retry.first_delay_s >= 1 && in->retry.max_delay_s >= in->retry.first_delay_s);
    FUZZ_MUST(in->retry.backoff_rate >= 1 && in->retry.backoff_rate <= INPUT_RETRY_RATE_MAX);
}

static void check_input(const struct input *in)
{
    size_t items = 0, variables = 0;
    check_times(in);
    FUZZ_MUST(in->environment);
    while (in->environment[variables].name)
        FUZZ_MUST(in->environment[variables++].value);
    while (in->command && in->command[items])
        items++;
    /* The sample's fields become two variables more. */
    FUZZ_MUST(items <= INPUT_COMMAND_ITEMS && variables <= INPUT_ENVIRONMENT + 2);
    if (in->pattern == INPUT_BATCH) {
        size_t jobs = json_object_array_length(in->jobs);
        FUZZ_MUST(jobs >= 1 && jobs <= INPUT_JOBS && in->max_concurrency >= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const allowed[] = { "job", "other:*", NULL };
    auto_json struct json_object *doc = NULL;
    auto_json struct json_object *faults = NULL;
    auto_input struct input in = { 0 };
    struct error err;
    if (json_parse((const char *)data, size, JSON_DEPTH, &doc, &err) < 0)
        return 0;
    if (input_parse(doc, allowed, &in, &faults) < 0)
        check_faults(faults);
    else
        check_input(&in);
    return 0;
}
