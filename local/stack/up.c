#include "local/stack/up.h"

#include <stdio.h>

#include "local/stack/screen.h"
#include "shared/base/signals.h"

int up_run(const struct stack_options *options, struct error *err)
{
    struct stack *s = stack_start(options, err);
    if (!s)
        return -1;
    screen_title("lambda-ecs-durable-c is running");
    printf("\n  HTTP API       %s\n  callbacks      %s\n  operations     %s\n  AWS APIs       %s"
           "\n  state and logs %s\n\nTry:\n\n",
           stack_http_url(s), stack_callbacks_url(s), stack_ops_url(s), stack_aws_url(s),
           stack_state_dir(s));
    printf("  curl -s %s/workflows -H 'Content-Type: application/json' -d "
           "'{\"message\":\"Hello\",\"processingTime\":5}'\n",
           stack_http_url(s));
    printf("  curl -s %s/workflows -H 'Content-Type: application/json' -H 'Idempotency-Key: "
           "order-1' -d "
           "'{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\",\"sleep 2; echo "
           "42\"]}}'\n",
           stack_http_url(s));
    printf("  curl -s '%s/workflows/ID?wait=20'      with the id that an answer above gave\n\n",
           stack_http_url(s));
    puts("Ctrl-C stops it.");
    fflush(stdout);
    signals_wait();
    if (stack_stop(s) < 0)
        return error_set(err, ERR_IO, 0, "a program did not stop cleanly; see %s",
                         options->state_dir ? options->state_dir : "its log");
    return 0;
}
