#include "local/aws/outcome.h"

#include <stdlib.h>
#include <string.h>

#include "local/aws/error_object.h"
#include "shared/base/json.h"

static void invalid(struct envelope *out, const char *message)
{
    envelope_release(out);
    out->status = EX_FAILED;
    out->error = error_object_make("InvalidParameterValueException", message);
}

static void read_succeeded(struct envelope *out, struct json_object *o)
{
    struct json_object *result = json_get(o, "Result");
    out->status = EX_SUCCEEDED;
    if (json_get(o, "Error")) {
        invalid(out, "Cannot provide an Error for SUCCEEDED status.");
    } else if (result && !json_object_is_type(result, json_type_string)) {
        invalid(out, "Invalid Result in invocation output.");
    } else if (result) {
        out->result_len = (size_t)json_object_get_string_len(result);
        out->result = mem_dup_len(json_object_get_string(result), out->result_len);
    }
}

static void read_failed(struct envelope *out, struct json_object *o)
{
    struct error err;
    struct json_object *error = json_get(o, "Error");
    out->status = EX_FAILED;
    if (json_get(o, "Result"))
        invalid(out, "Cannot provide a Result for FAILED status.");
    else if (error && !(out->error = error_object_text(error, "/Error", &err)))
        invalid(out, "Invalid Error in invocation output.");
}

void envelope_read(struct envelope *out, const char *body, size_t len, bool is_pending)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    *out = (struct envelope){ .status = EX_RUNNING };
    const char *status =
        json_parse(body, len, JSON_DEPTH, &o, &err) == 0 ? json_get_str(o, "Status") : NULL;
    if (status && strcmp(status, "SUCCEEDED") == 0)
        read_succeeded(out, o);
    else if (status && strcmp(status, "FAILED") == 0)
        read_failed(out, o);
    else if (!status || strcmp(status, "PENDING") != 0)
        invalid(out, "Invalid Status in invocation output.");
    else if (!is_pending)
        invalid(out, "Cannot return PENDING status with no pending operations.");
}

void envelope_release(struct envelope *e)
{
    free(e->result);
    free(e->error);
    *e = (struct envelope){ 0 };
}
