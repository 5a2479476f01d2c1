/* retry - a step that fails for a while, and the errors that are worth another try.
 *
 * Between two attempts nothing runs: the invocation ends, and Lambda invokes the function again
 * when the delay is over. Here three attempts, 1 s and 2 s apart, for errors of one type only.
 *
 * Invoke it with {"failures":2}: the third attempt succeeds. With {"failures":9} the execution
 * fails with StepError, whose message is that of the last attempt. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

/* Stands for a call of a service that is overloaded. */
static int call_service(struct durable_step *step, void *arg, struct json_object **out,
                        struct durable_error *err)
{
    int failures = json_object_get_int(json_object_object_get(arg, "failures"));
    unsigned attempt = durable_step_attempt(step); /* from 1 */
    if (attempt <= (unsigned)failures) {
        durable_error_set(err, "Service.Busy", "attempt %u met an overload", attempt);
        return -1;
    }
    *out = json_object_new_object();
    json_object_object_add(*out, "attempts", json_object_new_int64(attempt));
    return 0;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const char *const worth_it[] = { "Service.Busy", NULL };
    static const struct durable_step_opts patient = { .retry = { .max_attempts = 3,
                                                                 .first_delay_s = 1,
                                                                 .rate = 2,
                                                                 .jitter = DURABLE_JITTER_NONE,
                                                                 .only_types = worth_it } };
    return durable_step(ctx, "call-service", call_service, input, &patient, out, err);
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "retry: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
