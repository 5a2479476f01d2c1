/* callback - an answer from outside: a person, another system, a container.
 *
 * durable_callback_create gives an id. Whoever has it ends the callback, from anywhere:
 *
 *     aws lambda send-durable-execution-callback-success --callback-id ID --result '{"ok":true}'
 *     aws lambda send-durable-execution-callback-failure --callback-id ID --error ...
 *
 * Creating it and waiting for it are two calls, so that work can be done in between; see
 * wait_for_callback.c for the usual case in one.
 *
 * Invoke it with {}; it returns {"approval":...} with what was sent, or fails with
 * CallbackExternalError or, after an hour, with CallbackTimeoutError. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

/* Hands the id to whoever is to answer: an e-mail, a queue. */
static int notify(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    (void)out, (void)err;
    const struct durable_callback *cb = arg;
    /* The id is a secret: who has it decides the outcome. It does not belong in a log. */
    durable_step_log(step, DURABLE_LOG_INFO, "asked for an approval, id %s", *cb->id ? "..." : "");
    return 0;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)input, (void)arg;
    static const struct durable_callback_opts an_hour = { .timeout_s = 3600, .json = true };
    auto_durable_callback struct durable_callback cb = { 0 };
    struct json_object *answer = NULL;

    DURABLE_TRY(durable_callback_create(ctx, "approval", &an_hour, &cb, err));
    DURABLE_TRY(durable_step(ctx, "notify", notify, &cb, NULL, NULL, err));
    DURABLE_TRY(durable_callback_result(ctx, &cb, &answer, err));
    *out = json_object_new_object();
    json_object_object_add(*out, "approval", answer);
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "callback: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
