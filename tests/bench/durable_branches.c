/* durable_branches N: what N parallel branches cost, on the fake service of the testing library, in
 * one process: with a step in each, and with a callback in each that all branches wait for at once.
 * Prints one line of JSON: the processor time of both in ms and the growth of the peak of memory
 * over the first in KiB. The service's own time is in it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shared/base/mem.h"
#include "shared/durable/durable_testing.h"

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of this program alone: what getrusage says begins with the peak of the one that started it. */
static long peak_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static int body(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_int(7);
    return 0;
}

static enum durable_rc with_step(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, "work", body, arg, NULL, out, err);
}

static enum durable_rc with_callback(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                     struct json_object **out, struct durable_error *err)
{
    (void)in, (void)arg;
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, "answer", NULL, &cb, err));
    return durable_callback_result(ctx, &cb, out, err);
}

struct work {
    size_t count;
    durable_fn *branch;
};

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in;
    const struct work *w = arg;
    auto_durable_batch struct durable_batch *batch = NULL;
    auto_free struct durable_branch *branches = mem_array(w->count, sizeof(*branches));
    for (size_t i = 0; i < w->count; i++)
        branches[i] = (struct durable_branch){ .body = w->branch };
    DURABLE_TRY(durable_parallel(ctx, "all", branches, w->count, NULL, &batch, err));
    *out = json_object_new_int64((int64_t)durable_batch_succeeded(batch));
    return DURABLE_OK;
}

/* ms, or ends the program. */
static double run(size_t count, durable_fn *branch)
{
    const struct durable_test_opts opts = { .max_threads = 4 };
    struct work w = { count, branch };
    struct durable_test *t = durable_test_new(&opts);
    double before = cpu_ms();
    durable_test_each_callback_succeeds(t, "answer", 1, "7");
    enum durable_test_status status = durable_test_run(t, handler, &w, NULL);
    double took = cpu_ms() - before;
    const char *result = durable_test_result(t);
    if (status != DURABLE_TEST_SUCCEEDED || strtoul(result, NULL, 10) != count) {
        const struct durable_error *err = durable_test_error(t);
        fprintf(stderr, "durable_branches: %s\n", err && err->message ? err->message : "no result");
        exit(1);
    }
    durable_test_free(t);
    return took;
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (count == 0) {
        fprintf(stderr, "usage: durable_branches N\n");
        return 2;
    }
    run(1, with_step);
    long before = peak_kib();
    double steps = run(count, with_step);
    long kib = peak_kib() - before;
    printf("{\"branches\":%zu,\"step_ms\":%.3f,\"step_kib\":%ld,\"callback_ms\":%.3f}\n", count,
           steps, kib, run(count, with_callback));
    return 0;
}
