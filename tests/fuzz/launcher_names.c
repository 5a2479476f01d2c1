/* Workflow ids, ARNs of executions and trace headers: what is taken is written again as the same.
 */
#include <string.h>

#include "launcher/trace.h"
#include "launcher/workflow_id.h"
#include "tests/fuzz/fuzz.h"

static void check_id(const char *text)
{
    struct workflow_id id;
    char again[WORKFLOW_ID_TEXT];
    if (workflow_id_parse(&id, text) < 0)
        return;
    workflow_id_text(&id, again);
    FUZZ_MUST(strcmp(again, text) == 0);
}

static void check_arn(const char *text)
{
    struct workflow_id id;
    struct workflow_place place;
    char again[WORKFLOW_ARN], started[WORKFLOW_STARTED];
    (void)!workflow_place_from_arn(&place, text);
    if (workflow_id_from_arn(&id, &place, text) < 0)
        return;
    workflow_id_arn(&id, &place, again);
    FUZZ_MUST(strcmp(again, text) == 0);
    workflow_id_started_by(&id, started);
    FUZZ_MUST(strncmp(started, "durable/", 8) == 0 && strlen(started) < sizeof(started));
}

static void check_trace(const char *text)
{
    char xray[TRACE_XRAY], parent[TRACE_PARENT], again[TRACE_XRAY];
    if (trace_to_xray(text, xray) == 0) {
        FUZZ_MUST(trace_from_xray(xray, parent) == 0);
        FUZZ_MUST(trace_to_xray(parent, again) == 0 && strcmp(again, xray) == 0);
    } else {
        FUZZ_MUST(xray[0] == '\0');
    }
    if (trace_from_xray(text, parent) == 0)
        FUZZ_MUST(trace_to_xray(parent, again) == 0);
    else
        FUZZ_MUST(parent[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = mem_dup_len(data, size);
    check_id(text);
    check_arn(text);
    check_trace(text);
    return 0;
}
