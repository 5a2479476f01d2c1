/* workflow.h - the durable function: one execution is one workflow (design: launcher workflows). */
#ifndef LAUNCHER_WORKFLOW_H
#define LAUNCHER_WORKFLOW_H

#include "launcher/attempt.h"

/* The handler; `arg` is a struct attempt_tools. An input that input.h refuses fails with
 * Workflow.InvalidInput before anything is done. The result is
 *   callback  the job's own (input.h tells of wrapResultBytes)
 *   sync      {"taskArn","exitCode","stopCode","reason"}
 *   batch     that of batch_result.h
 * and for the sample's input {"statusCode":200,"body":TEXT}, TEXT being the JSON of
 *   {"status":"success","message":"ECS task completed and sent callback","taskArn","result":TEXT of
 *    the job's}, or for sync {"status":"success","message":"Processed: MESSAGE","processingTime",
 *    "taskArn"}.
 * Beginning and end go into the log and the metrics. */
enum durable_rc workflow_run(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err);

#endif
