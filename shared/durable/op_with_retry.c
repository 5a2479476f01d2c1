#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/digest.h"
#include "shared/base/json.h"
#include "shared/durable/ctx.h"
#include "shared/durable/retry.h"

#define SUFFIX_MAX 20 /* "-attempt-4294967295" */

/* A call of durable_with_retry. */
struct call {
    const char *name;
    durable_attempt_fn *body;
    void *arg;
    const struct durable_retry *retry;
};

/* One attempt, and the error that it returned, before it is wrapped. */
struct attempt {
    const struct call *call;
    unsigned number;
};

static void name_of(const struct call *call, const char *what, unsigned n,
                    char name[DURABLE_NAME_SIZE])
{
    snprintf(name, DURABLE_NAME_SIZE, "%s%s%s-%u", call->name ? call->name : "",
             call->name ? "-" : "", what, n);
}

static enum durable_rc attempt_body(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    const struct attempt *a = arg;
    return a->call->body(ctx, a->number, in, a->call->arg, out, err);
}

/* The attempt's own error, as it was before its context wrapped it. */
static void unwrap(struct durable_error *err)
{
    free(err->type);
    err->type = MOVE(err->cause_type);
}

static enum durable_rc attempts(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    const struct call *call = arg;
    char name[DURABLE_NAME_SIZE];
    for (unsigned n = 1;; n++) {
        struct attempt a = { .call = call, .number = n };
        name_of(call, "attempt", n, name);
        enum durable_rc rc = durable_child(ctx, name, attempt_body, in, &a, NULL, out, err);
        if (rc != DURABLE_FAILED)
            return rc;
        unwrap(err);
        name_of(call, "backoff", n, name);
        bool waited = durable_is_replaying(ctx);
        struct durable_decision d = retry_decide(call->retry, err, n, random_u64());
        if (!d.retry && !waited)
            return DURABLE_FAILED;
        durable_error_release(err);
        /* A wait that is recorded was decided then, whatever is decided now. */
        DURABLE_TRY(durable_wait(ctx, name, d.retry ? d.delay_s : 1, err));
    }
}

enum durable_rc durable_with_retry(struct durable_ctx *ctx, const char *name,
                                   durable_attempt_fn *body, struct json_object *in, void *arg,
                                   const struct durable_retry *retry, struct json_object **out,
                                   struct durable_error *err)
{
    static const struct durable_retry defaults = { 0 };
    struct call call = {
        .name = name, .body = body, .arg = arg, .retry = retry ? retry : &defaults
    };
    DURABLE_TRY(ctx_enter(ctx, err));
    if (name && strlen(name) + SUFFIX_MAX >= DURABLE_NAME_SIZE)
        return op_invalid(err, "the name of a retried block has at most %d characters",
                          DURABLE_NAME_SIZE - 1 - SUFFIX_MAX);
    return durable_child(ctx, name, attempts, in, &call, NULL, out, err);
}
