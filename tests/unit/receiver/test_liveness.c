/* What liveness asks of the store, and when. */
#include "callback-receiver/liveness.h"

#include <criterion/criterion.h>
#include <stdatomic.h>

#include "shared/base/clock.h"

#define PATIENCE_MS 30000 /* less than a minute, in which all is forgotten once */

struct fake {
    struct store base;
    atomic_uint purges;
};

/* More callbacks are over than one transaction forgets. */
static int fake_run(struct store *s, struct store_op *const *ops, size_t count, struct error *err)
{
    struct fake *f = (struct fake *)s;
    (void)err;
    for (size_t i = 0; i < count; i++)
        if (ops[i]->action == STORE_PURGE)
            ops[i]->more = atomic_fetch_add(&f->purges, 1) < 3;
    return 0;
}

static void fake_close(struct store *s)
{
    (void)s;
}

static const struct store_driver fake_driver = { fake_run, fake_close };

/* However many come in a minute, they do not pile up. */
Test(liveness, all_that_is_over_is_forgotten_without_waiting, .timeout = 90)
{
    struct fake f = { .base = { &fake_driver } };
    struct store *store = &f.base;
    struct metrics metrics = { 0 };
    struct error err;
    struct writer *w = writer_start(&store, 1, NULL, NULL, &err);
    struct waiters *waiters = waiters_start(1, &metrics, &err);
    cr_assert(w && waiters, "%s", err.msg);
    struct delivery *delivery = delivery_start(
        &(struct delivery_config){ .writer = w, .waiters = waiters, .metrics = &metrics }, &err);
    cr_assert_not_null(delivery, "%s", err.msg);
    struct liveness *l = liveness_start(
        &(struct liveness_config){
            .writer = w, .delivery = delivery, .waiters = waiters, .metrics = &metrics },
        &err);
    cr_assert_not_null(l, "%s", err.msg);
    int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
    while (f.purges < 4 && clock_mono_ms(clock_system()) < until)
        clock_sleep_ms(clock_system(), 10);
    cr_assert_eq(f.purges, 4);
    liveness_stop(l);
    delivery_stop(delivery);
    waiters_stop(waiters);
    writer_stop(w);
}
