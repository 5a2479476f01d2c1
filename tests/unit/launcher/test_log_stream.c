#include "launcher/log_stream.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define ARN "arn:aws:ecs:us-east-1:123456789012:task/local/0123456789abcdef"

Test(log_stream, is_named_as_the_driver_awslogs_names_it)
{
    static char prefix[] = "ecs", container[] = "job";
    const struct config c = { .log_prefix = prefix, .container = container };
    auto_free char *full = log_stream_of(&c, ARN);
    auto_free char *short_name = log_stream_of(&c, "0123456789abcdef");
    cr_expect_str_eq(full, "ecs/job/0123456789abcdef");
    cr_expect_str_eq(short_name, full);
}

Test(log_stream, is_not_named_where_nothing_is_known)
{
    static char prefix[] = "ecs", container[] = "job";
    const struct config none = { .container = container };
    const struct config c = { .log_prefix = prefix, .container = container };
    cr_expect_null(log_stream_of(&none, ARN));
    cr_expect_null(log_stream_of(&c, NULL));
}
