/* saga - a chain of bookings, each with what undoes it.
 *
 * Where a booking fails for good, those before it are cancelled in reverse order, and the execution
 * fails with the reason. Cancelling is a step too, and is repeated until it succeeds: whatever
 * crashes in between, no booking stays behind.
 *
 * Invoke it with {"hotel":"full"} to see the flight cancelled; with {} it returns
 * {"booked":["flight","hotel","car"]}. */
#include <durable.h>
#include <stdio.h>
#include <string.h>

extern char **environ; /* POSIX */

static const char *const parts[] = { "flight", "hotel", "car" };
#define PARTS (sizeof(parts) / sizeof(parts[0]))

struct booking {
    const char *part;
    struct json_object *input;
};

/* Stands for the booking service; the step's token is its idempotency key. */
static int book(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    const struct booking *b = arg;
    if (json_object_object_get_ex(b->input, b->part, NULL)) {
        durable_error_set(err, "Booking.Full", "there is no %s left", b->part);
        return -1;
    }
    *out = json_object_new_string(durable_step_token(step));
    return 0;
}

static int cancel(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    (void)out, (void)err;
    const struct booking *b = arg;
    durable_step_log(step, DURABLE_LOG_INFO, "cancelled the %s", b->part);
    return 0;
}

static enum durable_rc undo(struct durable_ctx *ctx, size_t booked, struct durable_error *err)
{
    static const struct durable_step_opts stubborn = { .retry = { .max_attempts = 1000 } };
    while (booked-- > 0) {
        struct booking b = { .part = parts[booked] };
        char name[64];
        snprintf(name, sizeof(name), "cancel-%s", b.part);
        DURABLE_TRY(durable_step(ctx, name, cancel, &b, &stubborn, NULL, err));
    }
    return DURABLE_OK;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *input, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_step_opts twice = { .retry = DURABLE_RETRY_FIXED(2, 1) };
    for (size_t i = 0; i < PARTS; i++) {
        struct booking b = { .part = parts[i], .input = input };
        char name[64];
        snprintf(name, sizeof(name), "book-%s", b.part);
        enum durable_rc rc = durable_step(ctx, name, book, &b, &twice, NULL, err);
        if (rc == DURABLE_FAILED) {
            auto_durable_error struct durable_error ignored = { 0 };
            DURABLE_TRY(undo(ctx, i, &ignored)); /* suspended in between: it goes on here */
        }
        if (rc != DURABLE_OK)
            return rc; /* *err still is the reason of the booking */
    }
    struct json_object *booked = json_object_new_array();
    for (size_t i = 0; i < PARTS; i++)
        json_object_array_add(booked, json_object_new_string(parts[i]));
    *out = json_object_new_object();
    json_object_object_add(*out, "booked", booked);
    return DURABLE_OK;
}

int main(void)
{
    struct durable_error err = { 0 };
    if (durable_serve(environ, handler, NULL, &err) < 0) {
        fprintf(stderr, "saga: %s\n", err.message);
        durable_error_release(&err);
        return 1;
    }
    return 0;
}
