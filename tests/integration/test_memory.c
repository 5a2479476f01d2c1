/* One process of a function keeps its size: after 10,000 invocations it is at most 1 MiB larger
 * than after the first 100. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/sdk_rig.h"

#define WARM_UP     100
#define INVOCATIONS 10000
#define GROWTH_KIB  1024
#define END_MS      300000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int number(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    (void)step;
    int64_t n = json_object_get_int64(arg);
    if (n % 7 == 0) {
        durable_error_set(err, "Seventh", "%lld is a multiple of seven", (long long)n);
        durable_error_set_data(err, "some data");
        return -1;
    }
    *out = json_object_new_int64(n);
    return 0;
}

static enum durable_rc inner(struct durable_ctx *ctx, struct json_object *in, void *arg,
                             struct json_object **out, struct durable_error *err)
{
    (void)arg;
    static const struct durable_step_opts once = { .retry = DURABLE_RETRY_NONE };
    return durable_step(ctx, "number", number, in, &once, out, err);
}

static int settled(struct durable_step *step, struct json_object *state, void *arg,
                   struct json_object **next, bool *done, struct durable_error *err)
{
    (void)step, (void)state, (void)err;
    *next = json_object_get(arg);
    *done = true;
    return 0;
}

static enum durable_rc branch(struct durable_ctx *ctx, struct json_object *item, size_t index,
                              void *arg, struct json_object **out, struct durable_error *err)
{
    return index == 1 ? inner(ctx, item, arg, out, err)
                      : durable_step(ctx, NULL, number, item, NULL, out, err);
}

/* Two branches on threads; every seventh number suspends one of them for its retry. */
static enum durable_rc branches(struct durable_ctx *ctx, struct json_object *in,
                                struct durable_error *err)
{
    static const struct durable_batch_opts opts = { .completion = { .tolerated_failure_count =
                                                                        DURABLE_LIMIT(2) } };
    auto_durable_batch struct durable_batch *batch = NULL;
    auto_json struct json_object *items = json_object_new_array();
    for (int i = 0; i < 2; i++)
        json_object_array_add(items, json_object_get(in));
    return durable_map(ctx, "branches", items, branch, NULL, &opts, &batch, err);
}

/* Some of everything, and of its failures. A third is suspended and invoked again. */
static enum durable_rc mix(struct durable_ctx *ctx, struct json_object *in, void *arg,
                           struct json_object **out, struct durable_error *err)
{
    (void)arg;
    int64_t n = json_object_get_int64(in);
    auto_durable_callback struct durable_callback cb = { 0 };
    durable_log(ctx, DURABLE_LOG_INFO, "number %lld", (long long)n);
    DURABLE_TRY(durable_callback_create(ctx, "never", NULL, &cb, err));
    DURABLE_TRY(durable_wait_for_condition(ctx, NULL, settled, in, NULL, NULL, err));
    if (n % 3 == 0)
        DURABLE_TRY(durable_wait(ctx, NULL, 1, err));
    DURABLE_TRY(branches(ctx, in, err));
    return durable_child(ctx, "inner", inner, in, NULL, NULL, out, err);
}

const struct sdk_rig_handler sdk_rig_handlers[] = {
    { "mix", mix, "\"maxConcurrency\":1" },
    { NULL, NULL, NULL },
};

static long resident_kib(int pid)
{
    char line[256];
    long kib = 0;
    auto_free char *path = mem_printf("/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    while (fgets(line, sizeof(line), f) && sscanf(line, "VmRSS: %ld", &kib) != 1)
        ;
    fclose(f);
    cr_assert_gt(kib, 0);
    return kib;
}

/* Starts executions until the one process has run `invocations`; its memory then. */
static long after(struct lambda_rig *r, int64_t invocations, int *process)
{
    static int64_t begun;
    int pid = 0;
    int64_t ran = 0, until = clock_mono_ms(clock_system()) + END_MS;
    for (;;) {
        size_t processes = lambda_rig_processes(r, "mix", &pid, &ran);
        cr_assert_leq(processes, 1);
        if (ran >= invocations)
            break;
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%lld invocations", (long long)ran);
        for (int64_t n = begun - ran; n < 50 && begun < invocations; n++) {
            auto_free char *input = mem_printf("%lld", (long long)begun++);
            free(lambda_rig_begin(r, "mix:$LATEST", input));
        }
    }
    cr_assert(*process == 0 || *process == pid, "process %d became %d", *process, pid);
    *process = pid;
    return resident_kib(pid);
}

Test(memory, is_the_same_after_10000_invocations, .timeout = 600)
{
    if (SANITIZED) {
        fprintf(stderr, "skipped: a sanitizer keeps freed memory\n");
        return;
    }
    struct lambda_rig rig;
    int pid = 0;
    sdk_rig_start(&rig);
    long warm = after(&rig, WARM_UP, &pid);
    long end = after(&rig, INVOCATIONS, &pid);
    fprintf(stderr, "%ld KiB after %d invocations, %ld KiB after %d\n", warm, WARM_UP, end,
            INVOCATIONS);
    cr_assert_leq(end - warm, GROWTH_KIB, "it grew by %ld KiB", end - warm);
    lambda_rig_stop(&rig);
}
