/* invoke - one function calls another, and does not run while that works.
 *
 * The other function may be durable, with waits and callbacks of its own, or a plain one in any
 * language. It is started once, whatever happens to the caller.
 *
 * The name of the other function comes from INVOKE_TARGET: "name", or "name:version" (required
 * where it is durable). Invoke this one with any JSON; it returns {"answer":...}, or where the
 * target failed {"failed":TYPE,"why":MESSAGE}. */
#include <durable.h>
#include <stdio.h>
#include <stdlib.h>

extern char **environ; /* POSIX */

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    const char *target = arg;
    struct json_object *answer = NULL;
    enum durable_rc rc = durable_invoke(ctx, "target", target, input, NULL, &answer, err);
    if (rc != DURABLE_OK && rc != DURABLE_FAILED)
        return rc;
    *out = json_object_new_object();
    if (rc == DURABLE_OK) {
        json_object_object_add(*out, "answer", answer);
        return DURABLE_OK;
    }
    json_object_object_add(*out, "failed",
                           json_object_new_string(err->cause_type ? err->cause_type : err->type));
    json_object_object_add(*out, "why", json_object_new_string(err->message));
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    char *target = getenv("INVOKE_TARGET");
    if (!target) {
        fprintf(stderr, "invoke: INVOKE_TARGET is not set: the name of the other function\n");
        return 1;
    }
    if (durable_serve(environ, handler, target, &err) < 0) {
        fprintf(stderr, "invoke: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
