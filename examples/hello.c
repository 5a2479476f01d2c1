/* hello - the smallest durable function: one step.
 *
 * A step runs a plain C function and records what it returns. When Lambda runs the handler again,
 * after a crash or a wait, the recorded value is given back and the function is not called.
 *
 * Invoke it with {"name":"Ada"}; it returns {"greeting":"Hello, Ada!"}. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

/* The work. `arg` is what was passed to durable_step; *out is handed over to the SDK. */
static int greet(struct durable_step *step, void *arg, struct json_object **out,
                 struct durable_error *err)
{
    struct json_object *input = arg, *name = NULL;
    if (!json_object_object_get_ex(input, "name", &name)) {
        durable_error_set(err, "Hello.NoName", "the input has no \"name\"");
        return -1; /* tried again later; see retry.c */
    }
    durable_step_log(step, DURABLE_LOG_INFO, "greeting %s", json_object_get_string(name));
    char text[128];
    snprintf(text, sizeof(text), "Hello, %s!", json_object_get_string(name));
    *out = json_object_new_object();
    json_object_object_add(*out, "greeting", json_object_new_string(text));
    return 0;
}

/* Runs from its beginning in every invocation: only operations, such as durable_step, are
 * remembered. */
static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };
    return durable_step(ctx, "greet", greet, input, &once, out, err);
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "hello: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
