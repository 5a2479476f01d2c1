/* wait - sleeping without paying for it.
 *
 * durable_wait ends the invocation. After the time is over, up to a year later, Lambda runs the
 * handler again from its beginning: the step is not run a second time, its recorded value is given
 * back, the wait is over, and the handler goes on below it.
 *
 * Invoke it with {"seconds":2}; it returns {"startedAt":N,"waitedSeconds":2}. */
#include <durable.h>
#include <stdio.h>
#include <time.h>

extern char **environ; /* POSIX */

/* What differs from run to run (time, random numbers, anything read) belongs in a step: in the
 * handler itself it would have another value on each replay. */
static int now(struct durable_step *step, void *arg, struct json_object **out,
               struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_int64(time(NULL));
    return 0;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    int64_t seconds = json_object_get_int64(json_object_object_get(input, "seconds"));
    struct json_object *started = NULL;

    DURABLE_TRY(durable_step(ctx, "now", now, NULL, NULL, &started, err));
    enum durable_rc rc = durable_wait(ctx, "pause", seconds, err);
    if (rc != DURABLE_OK) { /* suspended: release what is owned, and return the code */
        json_object_put(started);
        return rc;
    }
    *out = json_object_new_object();
    json_object_object_add(*out, "startedAt", started);
    json_object_object_add(*out, "waitedSeconds", json_object_new_int64(seconds));
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "wait: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
