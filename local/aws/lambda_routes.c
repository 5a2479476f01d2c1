#include "local/aws/lambda_routes.h"

#include <string.h>

#include "local/aws/callback.h"
#include "local/aws/checkpoint.h"
#include "local/aws/invoke.h"
#include "local/aws/lambda_reads.h"

#define EXECUTIONS "2025-12-01", "durable-executions", "*"
#define CALLBACKS  "2025-12-01", "durable-execution-callbacks", "*"

static const struct lambda_route routes[] = {
    { "Invoke", "POST", { "2015-03-31", "functions", "*", "invocations" }, invoke_run },
    { "CheckpointDurableExecution", "POST", { EXECUTIONS, "checkpoint" }, checkpoint_run },
    { "GetDurableExecutionState", "GET", { EXECUTIONS, "state" }, checkpoint_state_run },
    { "GetDurableExecution", "GET", { EXECUTIONS, NULL }, lambda_get_run },
    { "GetDurableExecutionHistory", "GET", { EXECUTIONS, "history" }, lambda_history_run },
    { "StopDurableExecution", "POST", { EXECUTIONS, "stop" }, lambda_stop_run },
    { "ListDurableExecutionsByFunction",
      "GET",
      { "2025-12-01", "functions", "*", "durable-executions" },
      lambda_list_run },
    { "SendDurableExecutionCallbackSuccess",
      "POST",
      { CALLBACKS, "succeed" },
      callback_succeed_run },
    { "SendDurableExecutionCallbackFailure", "POST", { CALLBACKS, "fail" }, callback_fail_run },
    { "SendDurableExecutionCallbackHeartbeat",
      "POST",
      { CALLBACKS, "heartbeat" },
      callback_heartbeat_run },
};

static bool fits(const struct lambda_route *route, char *const *segments, size_t count)
{
    size_t n = 0;
    while (n < ARRAY_LEN(route->segments) && route->segments[n])
        n++;
    if (n != count)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(route->segments[i], "*") == 0 ? !*segments[i]
                                                 : strcmp(route->segments[i], segments[i]) != 0)
            return false;
    return true;
}

const struct lambda_route *lambda_route_find(const char *method, char *const *segments,
                                             size_t count)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (strcmp(routes[i].method, method) == 0 && fits(&routes[i], segments, count))
            return &routes[i];
    return NULL;
}

const struct lambda_route *lambda_route_named(const char *operation)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (strcmp(routes[i].operation, operation) == 0)
            return &routes[i];
    return NULL;
}
