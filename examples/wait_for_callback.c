/* wait_for_callback - hand out a callback's id and wait for the answer, in one operation.
 *
 * The submitter runs as a step, with retries of its own; while the answer is awaited nothing runs.
 * A heartbeat timeout notices in time that whoever should answer has died: it must call
 * SendDurableExecutionCallbackHeartbeat more often than every 60 s.
 *
 * Invoke it with {"job":"resize"}; it returns what the worker reported. Where the worker failed,
 * the handler goes on and returns {"failed":TYPE,"why":MESSAGE} instead. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

/* Starts the work that will report to `callback_id`. The token is the same for each attempt: what
 * it names is started once, however often this runs. */
static int start_job(struct durable_step *step, const char *callback_id, void *arg,
                     struct durable_error *err)
{
    (void)callback_id, (void)err;
    struct json_object *job = json_object_object_get(arg, "job");
    durable_step_log(step, DURABLE_LOG_INFO, "starting %s as %s", json_object_get_string(job),
                     durable_step_token(step));
    return 0;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_wait_for_callback_opts opts = {
        .callback = { .timeout_s = 6 * 3600, .heartbeat_timeout_s = 60, .json = true },
        .retry = DURABLE_RETRY_FIXED(3, 1),
    };
    enum durable_rc rc = durable_wait_for_callback(ctx, "job", start_job, input, &opts, out, err);
    if (rc != DURABLE_FAILED)
        return rc; /* the result is there, or the invocation ends here */
    *out = json_object_new_object();
    json_object_object_add(*out, "failed",
                           json_object_new_string(err->cause_type ? err->cause_type : err->type));
    json_object_object_add(*out, "why", json_object_new_string(err->message));
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "wait_for_callback: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
