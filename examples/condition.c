/* condition - polling until something is so, without running in between.
 *
 * Each poll gets the state that the one before left. A poll is a step: it may run again after a
 * crash. Here the time between polls grows from 1 s by a half each, up to 10 s.
 *
 * Invoke it with {"polls":3}; it returns {"progress":100,"polls":3}. */
#include <durable.h>
#include <stdio.h>

extern char **environ; /* POSIX */

/* Stands for a look at a job that needs `polls` looks. */
static int look(struct durable_step *step, struct json_object *state, void *arg,
                struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)err;
    int needed = json_object_get_int(json_object_object_get(arg, "polls"));
    int polls = json_object_get_int(json_object_object_get(state, "polls")) + 1;
    *done = polls >= needed;
    *next = json_object_new_object();
    json_object_object_add(*next, "progress",
                           json_object_new_int(*done ? 100 : 100 * polls / needed));
    json_object_object_add(*next, "polls", json_object_new_int(polls));
    return 0;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    struct json_object *initial = json_tokener_parse("{\"progress\":0,\"polls\":0}");
    const struct durable_condition_opts opts = { .initial = initial,
                                                 .polling = { .max_attempts = 20,
                                                              .first_delay_s = 1,
                                                              .max_delay_s = 10,
                                                              .rate = 1.5,
                                                              .jitter = DURABLE_JITTER_NONE } };
    enum durable_rc rc = durable_wait_for_condition(ctx, "job-done", look, input, &opts, out, err);
    json_object_put(initial);
    return rc;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "condition: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
