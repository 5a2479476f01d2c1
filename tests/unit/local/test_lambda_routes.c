#include "local/aws/lambda_routes.h"

#include <criterion/criterion.h>
#include <string.h>

Test(lambda_routes, knows_each_operation_by_method_and_path)
{
    static const struct {
        const char *method;
        const char *segments[5];
        const char *operation; /* NULL: none */
    } cases[] = {
        { "POST", { "2015-03-31", "functions", "f:1", "invocations" }, "Invoke" },
        { "GET", { "2015-03-31", "functions", "f:1", "invocations" }, NULL },
        { "POST", { "2015-03-31", "functions", "", "invocations" }, NULL },
        { "POST", { "2015-03-31", "functions", "f", "invocations", "x" }, NULL },
        { "POST",
          { "2025-12-01", "durable-executions", "a/b/c", "checkpoint" },
          "CheckpointDurableExecution" },
        { "GET", { "2025-12-01", "durable-executions", "a", "state" }, "GetDurableExecutionState" },
        { "GET", { "2025-12-01", "durable-executions", "a" }, "GetDurableExecution" },
        { "GET",
          { "2025-12-01", "durable-executions", "a", "history" },
          "GetDurableExecutionHistory" },
        { "POST", { "2025-12-01", "durable-executions", "a", "stop" }, "StopDurableExecution" },
        { "POST", { "2025-12-01", "durable-executions", "a" }, NULL },
        { "GET",
          { "2025-12-01", "functions", "f", "durable-executions" },
          "ListDurableExecutionsByFunction" },
        { "POST",
          { "2025-12-01", "durable-execution-callbacks", "Ab+/=", "succeed" },
          "SendDurableExecutionCallbackSuccess" },
        { "POST",
          { "2025-12-01", "durable-execution-callbacks", "Ab+/=", "fail" },
          "SendDurableExecutionCallbackFailure" },
        { "POST",
          { "2025-12-01", "durable-execution-callbacks", "Ab+/=", "heartbeat" },
          "SendDurableExecutionCallbackHeartbeat" },
        { "POST", { "2025-12-01", "durable-execution-callbacks", "Ab", "other" }, NULL },
        { "GET", { NULL }, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *segments[5];
        size_t n = 0;
        while (n < 5 && cases[i].segments[n]) {
            segments[n] = mem_dup(cases[i].segments[n]);
            n++;
        }
        const struct lambda_route *route = lambda_route_find(cases[i].method, segments, n);
        if (cases[i].operation) {
            cr_expect_not_null(route, "%s", cases[i].operation);
            cr_expect_str_eq(route ? route->operation : "", cases[i].operation);
            cr_expect_eq(route, lambda_route_named(cases[i].operation));
        } else {
            cr_expect_null(route);
        }
        while (n > 0)
            free(segments[--n]);
    }
    cr_assert_null(lambda_route_named("RunTask"));
}
