/* batch_result.h - what a batch tells of its jobs, in a size that an execution may end with:
 *
 *   {"total":3,"succeeded":2,"failed":1,"jobs":[
 *     {"index":0,"status":"SUCCEEDED","workflow":ID,"result":any},
 *     {"index":1,"status":"SUCCEEDED","workflow":ID,"resultBytes":150000},
 *     {"index":2,"status":"FAILED","workflow":ID,"error":{"type","message","data"}}]}
 *
 * in the order of the jobs. Where not everything fits, the largest results and data are left out:
 * `resultBytes` says that and how large it was; GET /workflows/ID has it. One thread at a time. */
#ifndef LAUNCHER_BATCH_RESULT_H
#define LAUNCHER_BATCH_RESULT_H

#include <json-c/json.h>

#include "shared/base/mem.h"
#include "shared/durable/durable.h"

/* A result that an execution keeps may have 256 KiB; an error's data is within an ErrorObject. */
#define BATCH_RESULT_ROOM 250000
#define BATCH_ERROR_ROOM  26000

struct batch_result;

struct batch_result *batch_result_new(void) CHECKED;
void batch_result_free(struct batch_result *b);
/* A job that succeeded: `value` (borrowed) is what its workflow gave, {"workflow","taskArn",
 * "result"|"resultBytes"}. Jobs are added in their order. */
void batch_result_succeeded(struct batch_result *b, size_t index, struct json_object *value);
void batch_result_failed(struct batch_result *b, size_t index, const struct durable_error *err);

/* The document for at most `room` bytes of text; `total` counts the jobs that were asked for, those
 * that were never begun included. `only_failed` leaves the others out of "jobs". The caller's. */
struct json_object *batch_result_doc(struct batch_result *b, size_t total, bool only_failed,
                                     size_t room) CHECKED;

#endif
