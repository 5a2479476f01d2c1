#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/durable/fake.h"

/* Branches on threads. Nothing here depends on how long anything takes: bodies wait for each other,
 * up to a limit that is reached only where something is wrong. */
#define LIMIT_MS 60000

static bool reached(const unsigned *counter, unsigned n)
{
    for (int i = 0; i < LIMIT_MS; i++) {
        if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) >= n)
            return true;
        usleep(1000);
    }
    return false;
}

static void count(unsigned *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_ACQ_REL);
}

struct world {
    size_t items;
    unsigned together; /* bodies that must be in their step at the same time */
    unsigned inside;
    unsigned runs[256];
    struct durable_batch_opts opts;
    bool abandoned_seen;
};

static int meet(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    struct world *w = arg;
    (void)step;
    count(&w->inside);
    if (!reached(&w->inside, w->together)) {
        durable_error_set(err, "Alone", "nobody else came");
        return -1;
    }
    *out = json_object_new_int(7);
    return 0;
}

static enum durable_rc meets(struct durable_ctx *ctx, struct json_object *item, size_t index,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    auto_json struct json_object *seven = NULL;
    DURABLE_TRY(durable_step(ctx, "meet", meet, arg, NULL, &seven, err));
    *out = json_object_new_int(json_object_get_int(item) + json_object_get_int(seven));
    (void)index;
    return DURABLE_OK;
}

static struct json_object *numbers(size_t n)
{
    struct json_object *items = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(items, json_object_new_int((int)i));
    return items;
}

static enum durable_rc mapped(struct durable_ctx *ctx, durable_item_fn *body, struct world *w,
                              struct json_object **out, struct durable_error *err)
{
    auto_json struct json_object *items = numbers(w->items);
    auto_durable_batch struct durable_batch *b = NULL;
    DURABLE_TRY(durable_map(ctx, "m", items, body, w, &w->opts, &b, err));
    DURABLE_TRY(durable_batch_check(b, err));
    *out = durable_batch_json(b);
    return DURABLE_OK;
}

static enum durable_rc meeting(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in;
    return mapped(ctx, meets, arg, out, err);
}

Test(threads, run_branches_at_the_same_time_and_results_are_in_order)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 8;
    struct world w = { .items = 100, .together = 8 };
    const char *answer = fake_invoke(&f, meeting, &w);
    cr_assert(strstr(answer, "{\\\"result\\\":7,\\\"index\\\":0,") &&
                  strstr(answer, "{\\\"result\\\":106,\\\"index\\\":99,"),
              "%s", answer);
    size_t requests = f.requests;
    auto_free char *first = mem_dup(answer);
    cr_assert_str_eq(fake_invoke(&f, meeting, &w), first);
    cr_assert_eq(f.requests, requests);
}

static int loiter(struct durable_step *step, void *arg, struct json_object **out,
                  struct durable_error *err)
{
    (void)step, (void)out, (void)err;
    usleep(100000);
    count(&((struct world *)arg)->inside);
    return 0;
}

static enum durable_rc loiters(struct durable_ctx *ctx, struct json_object *item, size_t index,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    (void)item, (void)index;
    return durable_step(ctx, "loiter", loiter, arg, NULL, out, err);
}

static enum durable_rc loitering(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                 struct json_object **out, struct durable_error *err)
{
    (void)in;
    return mapped(ctx, loiters, arg, out, err);
}

/* Each round of the coordinator looks at the clock. */
Test(threads, are_waited_for_in_peace_where_all_are_taken)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 2;
    struct world w = { .items = 6 };
    fake_invoke(&f, loitering, &w);
    cr_assert_eq(w.inside, 6);
    cr_assert_lt(f.clock_reads, 1000, "%u looks at the clock for 6 branches", f.clock_reads);
}

Test(threads, share_requests)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 50;
    struct world w = { .items = 50, .together = 50 };
    fake_invoke(&f, meeting, &w);
    cr_assert_lt(f.requests, 202, "%zu requests for 50 branches of 4 updates", f.requests);
}

Test(threads, are_not_more_than_max_concurrency)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 50;
    /* Two can be in their steps together (four times over), and each is alone with its partner. */
    struct world w = { .items = 8, .together = 2, .opts.max_concurrency = DURABLE_LIMIT(2) };
    const char *answer = fake_invoke(&f, meeting, &w);
    cr_assert(strstr(answer, "ALL_COMPLETED"), "%s", answer);
}

/* ---- in-process resumption ------------------------------------------------------------------- */

/* Item 0 waits a second; item 1's step ends when item 0 has been resumed. */
static int until_resumed(struct durable_step *step, void *arg, struct json_object **out,
                         struct durable_error *err)
{
    struct world *w = arg;
    (void)step, (void)out;
    if (reached(&w->runs[0], 2))
        return 0;
    durable_error_set(err, "Stuck", "item 0 was not resumed while item 1 ran");
    return -1;
}

static enum durable_rc resumes(struct durable_ctx *ctx, struct json_object *item, size_t index,
                               void *arg, struct json_object **out, struct durable_error *err)
{
    struct world *w = arg;
    (void)item, (void)out;
    count(&w->runs[index]);
    if (index == 0)
        return durable_wait(ctx, "w", 1, err);
    return durable_step(ctx, "s", until_resumed, w, NULL, NULL, err);
}

static enum durable_rc resuming(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                struct json_object **out, struct durable_error *err)
{
    (void)in;
    return mapped(ctx, resumes, arg, out, err);
}

static void polled(struct fake *f)
{
    if (!strstr(f->request[f->requests - 1], "\"Updates\":[]"))
        return;
    for (size_t i = 0; i < json_object_array_length(f->ops); i++) {
        struct json_object *op = json_object_array_get_idx(f->ops, i);
        if (strcmp(json_get_str(op, "Type"), "WAIT") == 0)
            json_add_str(op, "Status", "SUCCEEDED");
    }
}

Test(threads, resume_what_waits_while_another_branch_runs)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 8;
    f.on_checkpoint = polled;
    struct world w = { .items = 2 };
    const char *answer = fake_invoke(&f, resuming, &w);
    cr_assert(strstr(answer, "ALL_COMPLETED"), "%s", answer);
    cr_assert_eq(w.runs[0], 2);
    cr_assert_eq(w.runs[1], 1);
}

/* ---- abandoned branches ---------------------------------------------------------------------- */

static int until_abandoned(struct durable_step *step, void *arg, struct json_object **out,
                           struct durable_error *err)
{
    struct world *w = arg;
    (void)out, (void)err;
    count(&w->inside);
    for (int i = 0; i < LIMIT_MS && !durable_step_abandoned(step); i++)
        usleep(1000);
    w->abandoned_seen = durable_step_abandoned(step);
    return 0;
}

static enum durable_rc races(struct durable_ctx *ctx, struct json_object *item, size_t index,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    struct world *w = arg;
    (void)item, (void)out;
    if (index == 1)
        return reached(&w->inside, 1) ? DURABLE_OK : DURABLE_FAILED;
    enum durable_rc rc = durable_step(ctx, "s", until_abandoned, w, NULL, NULL, err);
    cr_assert_eq(rc, DURABLE_SUSPENDED);
    cr_assert_eq(durable_wait(ctx, "never", 1, err), DURABLE_SUSPENDED);
    return rc;
}

static enum durable_rc racing(struct durable_ctx *ctx, struct json_object *in, void *arg,
                              struct json_object **out, struct durable_error *err)
{
    (void)in;
    DURABLE_TRY(mapped(ctx, races, arg, out, err));
    return durable_wait(ctx, "after", 1, err);
}

Test(threads, abandon_what_runs_when_the_batch_is_complete)
{
    auto_fake struct fake f;
    fake_init(&f, NULL);
    f.max_threads = 8;
    struct world w = { .items = 2, .opts.completion.min_successful = DURABLE_LIMIT(1) };
    cr_assert_str_eq(fake_invoke(&f, racing, &w), "{\"Status\":\"PENDING\"}");
    cr_assert(w.abandoned_seen);
    for (size_t i = 0; i < json_object_array_length(f.ops); i++) {
        struct json_object *op = json_object_array_get_idx(f.ops, i);
        const char *name = json_get_str(op, "Name");
        cr_assert(!name || strcmp(name, "never") != 0);
        if (name && strcmp(name, "s") == 0)
            cr_assert_str_eq(json_get_str(op, "Status"), "STARTED", "its end is not recorded");
        if (name && strcmp(name, "m") == 0)
            cr_assert_str_eq(json_get_str(op, "Status"), "SUCCEEDED");
    }
    const char *answer = fake_invoke(&f, racing, &w);
    cr_assert_str_eq(answer, "{\"Status\":\"PENDING\"}");
}

/* ---- failures of the service ----------------------------------------------------------------- */

Test(threads, all_end_when_the_service_refuses)
{
    for (size_t at = 1; at < 6; at++) {
        auto_fake struct fake f;
        fake_init(&f, NULL);
        f.max_threads = 8;
        f.fail_at = at;
        error_set(&f.failure, ERR_INVALID, 400, "no more");
        error_set_type(&f.failure, "InvalidParameterValueException");
        struct world w = { .items = 20, .together = 1 };
        const char *answer = fake_invoke(&f, meeting, &w);
        if (f.requests >= at)
            cr_assert(strstr(answer, "\"Status\":\"FAILED\"") && strstr(answer, "CheckpointError"),
                      "%s", answer);
    }
}

/* ---- a START that lingers -------------------------------------------------------------------- */

static int until_recorded(struct durable_step *step, void *arg, struct json_object **out,
                          struct durable_error *err)
{
    struct fake *f = arg;
    (void)step, (void)out;
    for (int i = 0; i < LIMIT_MS; i++) {
        if (__atomic_load_n(&f->requests, __ATOMIC_ACQUIRE) > 0)
            return 0;
        usleep(1000);
    }
    durable_error_set(err, "Unrecorded", "the START was not sent while the body ran");
    return -1;
}

static enum durable_rc lingers(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, "s", until_recorded, arg, NULL, out, err);
}

Test(threads, record_the_start_of_a_long_step_while_its_body_runs)
{
    auto_fake struct fake f;
    auto_buf struct buf u = BUF_INIT(1000);
    fake_init(&f, NULL);
    f.max_threads = 1;
    cr_assert_str_eq(fake_invoke(&f, lingers, &f), "{\"Status\":\"SUCCEEDED\"}");
    cr_assert_eq(f.requests, 2);
    fake_updates(&f, 1, &u);
    cr_assert_str_eq(buf_str(&u), "START STEP 1");
    fake_updates(&f, 2, &u);
    cr_assert_str_eq(buf_str(&u), "SUCCEED STEP 1");
}

/* ---- a body that ends the process ------------------------------------------------------------ */

static int exits(struct durable_step *step, void *arg, struct json_object **out,
                 struct durable_error *err)
{
    (void)step, (void)arg, (void)out, (void)err;
    exit(3);
}

static enum durable_rc ends_process(struct durable_ctx *ctx, struct json_object *in, void *arg,
                                    struct json_object **out, struct durable_error *err)
{
    (void)in;
    return durable_step(ctx, "s", exits, arg, NULL, out, err);
}

static int pipe_fd;

static void to_pipe(struct fake *f)
{
    const char *body = f->request[f->requests - 1];
    cr_assert_eq(write(pipe_fd, body, strlen(body)), (ssize_t)strlen(body));
}

Test(threads, record_the_start_of_a_step_that_exits_at_once)
{
    int fds[2];
    char sent[4096] = "";
    size_t len = 0;
    cr_assert_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct fake f;
        close(fds[0]);
        pipe_fd = fds[1];
        fake_init(&f, NULL);
        f.max_threads = 1;
        f.on_checkpoint = to_pipe;
        fake_invoke(&f, ends_process, NULL);
        _exit(0);
    }
    close(fds[1]);
    for (ssize_t n; (n = read(fds[0], sent + len, sizeof(sent) - 1 - len)) > 0;)
        len += (size_t)n;
    close(fds[0]);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
#if !defined(__SANITIZE_ADDRESS__) /* which takes what the process had in hand for leaks */
    cr_assert_eq(WEXITSTATUS(status), 3);
#endif
    cr_assert(strstr(sent, "\"Action\":\"START\""), "%s", sent);
}
