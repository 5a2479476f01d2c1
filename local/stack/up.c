#include "local/stack/up.h"

#include <stdio.h>
#include <string.h>

#include "local/stack/screen.h"
#include "shared/base/signals.h"

/* Where local-aws shows itself to people: it writes the address, which holds a secret, to a file.
 */
static void show_console(const struct stack *s)
{
    char text[512];
    auto_free char *path = mem_printf("%s/console.url", stack_state_dir(s));
    FILE *f = fopen(path, "r");
    if (f && fgets(text, sizeof(text), f)) {
        text[strcspn(text, "\n")] = '\0';
        printf("  console        %s\n", text);
    }
    if (f)
        fclose(f);
}

static void show_commands(const char *url)
{
    static const char *const bodies[] = {
        "{\"message\":\"Hello\",\"processingTime\":5}",
        "{\"pattern\":\"sync\",\"task\":{\"taskDefinition\":\"plain\",\"command\":[\"sleep\",\"2\"]"
        "}}",
        "{\"pattern\":\"batch\",\"task\":{\"command\":[\"sh\",\"-c\",\"echo $N\"]},\"tasks\":["
        "{\"environment\":{\"N\":\"1\"}},{\"environment\":{\"N\":\"2\"}}]}",
    };
    puts("\nTry:\n");
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        printf("  curl -s %s/workflows -H 'Content-Type: application/json' -d '%s'\n", url,
               bodies[i]);
    printf("  curl -s %s/workflows -H 'Content-Type: application/json' -H 'Idempotency-Key: "
           "order-1' -d "
           "'{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\",\"sleep 2; echo "
           "42\"]}}'\n",
           url);
    printf("  curl -s '%s/workflows/ID?wait=20'      with the id that an answer above gave\n\n",
           url);
}

int up_run(const struct stack_options *options, struct error *err)
{
    struct stack *s = stack_start(options, err);
    if (!s)
        return -1;
    screen_title("lambda-ecs-durable-c is running");
    printf("\n  HTTP API       %s\n  callbacks      %s\n  operations     %s\n  AWS APIs       %s"
           "\n  state and logs %s\n",
           stack_http_url(s), stack_callbacks_url(s), stack_ops_url(s), stack_aws_url(s),
           stack_state_dir(s));
    show_console(s);
    show_commands(stack_http_url(s));
    puts("Ctrl-C stops it.");
    fflush(stdout);
    signals_wait();
    if (stack_stop(s) < 0)
        return error_set(err, ERR_IO, 0, "a program did not stop cleanly; see %s",
                         options->state_dir ? options->state_dir : "its log");
    return 0;
}
