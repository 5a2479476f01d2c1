/* child - several operations as one.
 *
 * A child context has its own numbering of operations and one result, so that a part of a workflow
 * can be called like a function, in a loop or in several places. Once it has ended, only its result
 * is kept; a replay does not look inside. A result of more than 256 KiB is not kept: the body runs
 * again and rebuilds it from its recorded steps.
 *
 * Invoke it with {"customers":["a","b"]}; it returns {"a":2,"b":2}: how many mails each got. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

static int send_mail(struct durable_step *step, void *arg, struct json_object **out,
                     struct durable_error *err)
{
    (void)out, (void)err;
    durable_step_log(step, DURABLE_LOG_INFO, "a mail to %s", json_object_get_string(arg));
    return 0;
}

/* A mail, a pause, a reminder. */
static enum durable_rc remind(struct durable_ctx *ctx, struct json_object *customer, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)arg;
    DURABLE_TRY(durable_step(ctx, "mail", send_mail, customer, NULL, NULL, err));
    DURABLE_TRY(durable_wait(ctx, "pause", 1, err));
    DURABLE_TRY(durable_step(ctx, "reminder", send_mail, customer, NULL, NULL, err));
    *out = json_object_new_int(2);
    return DURABLE_OK;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *customers = json_object_object_get(input, "customers");
    struct json_object *mails = json_object_new_object();
    for (size_t i = 0; i < json_object_array_length(customers); i++) {
        struct json_object *customer = json_object_array_get_idx(customers, i), *count = NULL;
        enum durable_rc rc =
            durable_child(ctx, "remind", remind, customer, NULL, NULL, &count, err);
        if (rc != DURABLE_OK) {
            json_object_put(mails);
            return rc;
        }
        json_object_object_add(mails, json_object_get_string(customer), count);
    }
    *out = mails;
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "child: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
