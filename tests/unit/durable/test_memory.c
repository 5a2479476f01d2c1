/* One process, many invocations: its memory does not grow. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/durable/everything.h"

#if defined(__SANITIZE_ADDRESS__)
#define ENOUGH 1000 /* it looks for leaks only, see below */
#else
#define ENOUGH 10000
#endif

static long resident_kib(void)
{
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f && fscanf(f, "%ld %ld", &total, &resident) == 2);
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A whole execution; how many invocations it took. */
static unsigned execution(unsigned max_threads)
{
    const struct durable_test_opts opts = { .max_threads = max_threads };
    struct durable_test *t = durable_test_new(&opts);
    struct everything e = { 0 };
    everything_script(t);
    cr_assert_eq(durable_test_run(t, everything, &e, NULL), DURABLE_TEST_SUCCEEDED);
    unsigned invocations = durable_test_invocations(t);
    durable_test_free(t);
    return invocations;
}

static void does_not_grow(unsigned max_threads)
{
    unsigned invocations = 0;
    while (invocations < 100)
        invocations += execution(max_threads);
    long after_100 = resident_kib();
    while (invocations < ENOUGH)
        invocations += execution(max_threads);
    long growth = resident_kib() - after_100;
    cr_log_info("%ld KiB after 100 invocations, %+ld KiB after %u", after_100, growth, invocations);
#if defined(__SANITIZE_ADDRESS__)
    printf("skipped: the sanitizer keeps freed memory for itself\n");
#else
    cr_assert_leq(growth, 1024, "it grew by %ld KiB", growth);
#endif
}

Test(memory, does_not_grow_over_10000_invocations, .timeout = 600)
{
    does_not_grow(0);
}

Test(memory, does_not_grow_with_branches_on_threads, .timeout = 600)
{
    does_not_grow(4);
}
