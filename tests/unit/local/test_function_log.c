#include "local/aws/function_log.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/buf.h"

#define ID "0b2f6a44-0000-4000-8000-000000000000"

Test(function_log, every_line_is_an_object_that_names_its_execution)
{
    static const struct {
        const char *line, *request_id, *arn, *wanted;
    } cases[] = {
        { "hello", ID, "arn:x",
          "{\"executionArn\":\"arn:x\",\"requestId\":\"" ID
          "\",\"timestamp\":\"2025-11-24T16:00:00.000Z\",\"message\":\"hello\"}\n" },
        { "say \"\x01\xff\"", "", "",
          "{\"timestamp\":\"2025-11-24T16:00:00.000Z\",\"message\":\"say "
          "\\\"\\u0001\xef\xbf\xbd\\\"\"}\n" },
        { "{\"a\":1}", ID, "arn:x",
          "{\"executionArn\":\"arn:x\",\"requestId\":\"" ID "\",\"a\":1}\n" },
        { "  {\"a\":1}", ID, "arn:x",
          "{\"executionArn\":\"arn:x\",\"requestId\":\"" ID "\",\"a\":1}\n" },
        { "{\"requestId\":\"r\"}", ID, "arn:x",
          "{\"executionArn\":\"arn:x\",\"requestId\":\"r\"}\n" },
        { "{\"executionArn\":\"arn:own\"}", ID, "arn:x", "{\"executionArn\":\"arn:own\"}\n" },
        { "{\"durableExecutionArn\":\"o\"}", ID, "arn:x", "{\"durableExecutionArn\":\"o\"}\n" },
        { "{\"a\":1}", "", "", "{\"a\":1}\n" },
        { "{}", ID, "arn:x", "{}\n" },
        { "[1]", "", "arn:x",
          "{\"executionArn\":\"arn:x\",\"timestamp\":\"2025-11-24T16:00:00.000Z\",\"message\":"
          "\"[1]\"}\n" },
        { "{\"a\":", "", "",
          "{\"timestamp\":\"2025-11-24T16:00:00.000Z\",\"message\":"
          "\"{\\\"a\\\":\"}\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf b = BUF_INIT(4096);
        function_log_line(&b, cases[i].line, strlen(cases[i].line), 1764000000000,
                          cases[i].request_id, cases[i].arn);
        cr_expect_str_eq(buf_str(&b), cases[i].wanted);
    }
}
