/* order - a workflow with a person in it, and its test in the same file.
 *
 * Reserves, asks somebody for approval, and waits up to a day for the answer at no cost. Built with
 * -DTEST it is a program that runs the workflow in no time and checks how it ends;
 * docs/durable-sdk.md goes through it.
 *
 * Invoke it with {"id":7}; it returns what the approver says. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

static int reserve(struct durable_step *step, void *arg, struct json_object **out,
                   struct durable_error *err)
{
    struct json_object *order = arg;
    (void)step, (void)err; /* call the warehouse here, with durable_step_token(step) as the key */
    *out = json_object_get(order);
    return 0;
}

static int ask(struct durable_step *step, const char *callback_id, void *arg,
               struct durable_error *err)
{
    (void)callback_id, (void)arg, (void)err; /* send it to whoever approves; it is a secret */
    durable_step_log(step, DURABLE_LOG_INFO, "asked for approval");
    return 0;
}

static enum durable_rc order(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    static const struct durable_wait_for_callback_opts day = { .callback = { .timeout_s = 86400 } };
    struct json_object *reserved = NULL;
    (void)arg;
    DURABLE_TRY(durable_step(ctx, "reserve", reserve, in, NULL, &reserved, err));
    json_object_put(reserved);
    enum durable_rc rc = durable_wait_for_callback(ctx, "approval", ask, NULL, &day, out, err);
    if (rc == DURABLE_FAILED) /* refused, or nobody answered for a day */
        durable_error_set(err, "Order.NotApproved", "%s", err->message);
    return rc;
}

#ifdef TEST
#include <assert.h>
#include <durable_testing.h>
#include <string.h>

int main(void)
{
    struct durable_test *t = durable_test_new(NULL);
    durable_test_callback_succeeds(t, "approval", 3600, "yes");
    assert(durable_test_run(t, order, NULL, "{\"id\":7}") == DURABLE_TEST_SUCCEEDED);
    assert(strcmp(durable_test_result(t), "\"yes\"") == 0);
    durable_test_free(t);

    t = durable_test_new(NULL); /* nobody approves: a day passes in no time */
    assert(durable_test_run(t, order, NULL, "{\"id\":7}") == DURABLE_TEST_FAILED);
    assert(strcmp(durable_test_error(t)->type, "Order.NotApproved") == 0);
    durable_test_free(t);
    return 0;
}
#else
int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, order, NULL, &err) == 0)
        return 0;
    fprintf(stderr, "order: %s\n", err.message);
    durable_error_release(&err);
    return 1;
}
#endif
