/* For the thread sanitizer: the receiver's store and delivery without its HTTP. On SQLite, and on a
 * Redis of its own that two receivers share, threads register jobs, report, repeat, contradict,
 * send heartbeats and close, while others list, count, read, redeliver, probe and purge; the
 * receivers claim, deliver to an engine that often fails, settle, judge the silent, send heartbeats
 * and sweep. In the end every job has come to its one end, and the engine knows it. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callback-receiver/beats.h"
#include "callback-receiver/delivery.h"
#include "callback-receiver/liveness.h"
#include "local/stack/folder.h"
#include "shared/base/clock.h"
#include "tests/bench/redis_server.h"
#include "tests/race/engine.h"
#include "tests/race/must.h"

#define JOBS      480
#define THREADS   6 /* that do what jobs and launchers do */
#define RECEIVERS 2
#define LIFE_S    3600
#define WAIT_MS   120000 /* for all ends; the sanitizer is slow */
#define WAITERS   16

struct receiver {
    struct metrics metrics;
    struct writer *writer;
    struct waiters *waiters;
    struct delivery *delivery;
    struct beats *beats;
    struct liveness *liveness;
};

struct world {
    const char *url; /* of the store */
    struct engine *engine;
    struct receiver receivers[RECEIVERS];
    size_t count; /* of receivers */
    struct log *log;
    atomic_size_t next; /* job that nobody has taken yet */
    atomic_bool over;   /* who looks on stops */
};

/* ---- receivers, as main.c has them ----------------------------------------------------------- */

static struct store *open_store(const struct world *w)
{
    struct error err = { 0 };
    struct store *s = store_open(w->url, &err);
    MUST(s, "%s", err.msg);
    return s;
}

static void start(struct world *w, struct receiver *r)
{
    struct error err = { 0 };
    const struct aws_options aws = { .region = mem_dup("us-east-1"),
                                     .endpoint = mem_dup(engine_url(w->engine)),
                                     .access_key = mem_dup("test"),
                                     .secret_key = mem_dup("test") };
    struct store *stores[WRITER_STORES];
    size_t n = store_shared(w->url) ? WRITER_STORES : 1;
    for (size_t i = 0; i < n; i++)
        stores[i] = open_store(w);
    struct store_op op = { .action = STORE_START, .now_ms = clock_wall_ms(clock_system()) };
    struct store_op *ops[] = { &op };
    MUST(store_run(stores[0], ops, 1, &err) == 0, "%s", err.msg);
    r->writer = writer_start(stores, n, &(struct writer_limits){ .batch = 32 }, w->log, &err);
    MUST(r->writer, "%s", err.msg);
    writer_observe(r->writer, &r->metrics.commit_time);
    r->waiters = waiters_start(WAITERS, &r->metrics, &err);
    MUST(r->waiters, "%s", err.msg);
    r->delivery = delivery_start(&(struct delivery_config){ .calls = 6,
                                                            .retry_base_ms = 1,
                                                            .retry_cap_ms = 30,
                                                            .shared = store_shared(w->url),
                                                            .aws = &aws,
                                                            .writer = r->writer,
                                                            .waiters = r->waiters,
                                                            .metrics = &r->metrics,
                                                            .log = w->log },
                                 &err);
    MUST(r->delivery, "%s", err.msg);
    r->beats = beats_start(&(struct beats_config){ .aws = &aws,
                                                   .writer = r->writer,
                                                   .pace = delivery_pace(r->delivery),
                                                   .metrics = &r->metrics,
                                                   .log = w->log },
                           &err);
    MUST(r->beats, "%s", err.msg);
    r->liveness = liveness_start(&(struct liveness_config){ .writer = r->writer,
                                                            .delivery = r->delivery,
                                                            .beats = r->beats,
                                                            .waiters = r->waiters,
                                                            .shared = store_shared(w->url),
                                                            .metrics = &r->metrics,
                                                            .log = w->log },
                                 &err);
    MUST(r->liveness, "%s", err.msg);
    free(aws.region);
    free(aws.endpoint);
    free(aws.access_key);
    free(aws.secret_key);
}

static void stop(struct receiver *r)
{
    liveness_stop(r->liveness);
    beats_stop(r->beats);
    delivery_stop(r->delivery);
    waiters_stop(r->waiters);
    writer_stop(r->writer);
}

/* ---- one operation, as a request makes it ---------------------------------------------------- */

struct turn {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

static void on_done(struct store_op *op, const struct error *err, void *arg)
{
    struct turn *t = arg;
    (void)op;
    MUST(!err, "%s", err->msg);
    pthread_mutex_lock(&t->lock);
    t->done = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void submit(struct receiver *r, struct store_op *op)
{
    struct turn t = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    while (!writer_has_room(r->writer))
        usleep(1000);
    writer_submit(r->writer, op, on_done, &t);
    pthread_mutex_lock(&t.lock);
    while (!t.done)
        pthread_cond_wait(&t.changed, &t.lock);
    pthread_mutex_unlock(&t.lock);
    if (op->action == STORE_REPORT && op->verdict == CALLBACK_TAKEN)
        delivery_kick(r->delivery);
    waiters_settle(r->waiters, op->id, op->record.state);
    pthread_cond_destroy(&t.changed);
    pthread_mutex_destroy(&t.lock);
}

static struct store_op make(enum store_action action, size_t job, char id[ENGINE_ID])
{
    bool launcher = action != STORE_REPORT && action != STORE_HEARTBEAT;
    struct store_op op = { .action = action, .now_ms = clock_wall_ms(clock_system()) };
    engine_id(job, id);
    token_public_id(id, op.id);
    op.who = (struct callback_holder){ .callback_id = id,
                                       .by = launcher ? CALLBACK_BY_LAUNCHER : CALLBACK_BY_JOB,
                                       .expires_s = op.now_ms / 1000 + LIFE_S };
    return op;
}

static enum callback_verdict act(struct world *w, size_t job, struct store_op *op,
                                 const char *payload)
{
    op->payload.text = mem_dup(payload);
    op->payload.len = payload ? strlen(payload) : 0;
    submit(&w->receivers[(job + op->action) % w->count], op);
    enum callback_verdict verdict = op->verdict;
    store_op_release(op);
    return verdict;
}

/* ---- what jobs and launchers do -------------------------------------------------------------- */

enum kind {
    KIND_PLAIN,       /* registered, heartbeat, reported */
    KIND_REPEATS,     /* reports twice */
    KIND_EARLY,       /* reports before it is registered */
    KIND_CLOSED,      /* is closed without a report */
    KIND_SILENT,      /* says nothing: is judged */
    KIND_CONTRADICTS, /* reports something else later */
    KIND_LEFT,        /* is closed right after its report */
    KINDS
};

static void do_register(struct world *w, size_t job)
{
    char id[ENGINE_ID];
    struct store_op op = make(STORE_REGISTER, job, id);
    bool silent = job % KINDS == KIND_SILENT;
    op.registration = (struct callback_registration){ .workflow = "w",
                                                      .job = "j",
                                                      .heartbeat_s = silent ? 1 : 600,
                                                      .start_timeout_s = silent ? 1 : 0,
                                                      .engine_heartbeat_s = job % 4 ? 0 : 3,
                                                      .turn = (uint32_t)job };
    enum callback_verdict v = act(w, job, &op, "{\"input\":1}");
    MUST(v == CALLBACK_CREATED || v == CALLBACK_DONE || v == CALLBACK_SAME, "%d", v);
}

static enum callback_verdict do_report(struct world *w, size_t job, int value)
{
    char id[ENGINE_ID], text[64];
    struct store_op op = make(STORE_REPORT, job, id);
    snprintf(text, sizeof(text), "{\"job\":%zu,\"value\":%d}", job, value);
    op.report = (struct callback_report){ .kind = CALLBACK_SUCCESS, .media = CALLBACK_JSON };
    digest_sha256(text, strlen(text), op.report.sha);
    return act(w, job, &op, text);
}

static void do_heartbeat(struct world *w, size_t job)
{
    char id[ENGINE_ID];
    struct store_op op = make(STORE_HEARTBEAT, job, id);
    enum callback_verdict v = act(w, job, &op, "{\"progress\":0.5}");
    MUST(v == CALLBACK_DONE, "%d", v);
}

static void do_close(struct world *w, size_t job)
{
    char id[ENGINE_ID];
    struct store_op op = make(STORE_CLOSE, job, id);
    op.text = "closed";
    enum callback_verdict v = act(w, job, &op, NULL);
    MUST(v == CALLBACK_DONE, "%d", v);
}

static void live(struct world *w, size_t job)
{
    enum kind kind = (enum kind)(job % KINDS);
    if (kind != KIND_EARLY)
        do_register(w, job);
    if (kind == KIND_PLAIN || kind == KIND_REPEATS)
        do_heartbeat(w, job);
    if (kind == KIND_CLOSED)
        do_close(w, job);
    if (kind == KIND_CLOSED || kind == KIND_SILENT)
        return;
    MUST(do_report(w, job, 1) == CALLBACK_TAKEN, "job %zu", job);
    if (kind == KIND_REPEATS) {
        enum callback_verdict v = do_report(w, job, 1);
        MUST(v == CALLBACK_SAME || v == CALLBACK_OVER, "job %zu: %d", job, v);
    } else if (kind == KIND_CONTRADICTS) {
        enum callback_verdict v = do_report(w, job, 2);
        MUST(v == CALLBACK_OTHER || v == CALLBACK_OVER, "job %zu: %d", job, v);
    } else if (kind == KIND_EARLY) {
        do_register(w, job);
    } else if (kind == KIND_LEFT) {
        do_close(w, job);
    }
}

static void *jobs(void *arg)
{
    struct world *w = arg;
    for (size_t job; (job = atomic_fetch_add(&w->next, 1)) < JOBS;)
        live(w, job);
    return NULL;
}

/* ---- who looks on ---------------------------------------------------------------------------- */

typedef void run_fn(void *arg, struct store_op *op);

static void run_through_writer(void *arg, struct store_op *op)
{
    struct receiver *r = arg;
    struct error err = { 0 };
    MUST(writer_call(r->writer, &op, 1, &err) == 0, "%s", err.msg);
}

static void run_alone(void *arg, struct store_op *op)
{
    struct error err = { 0 };
    MUST(store_run(arg, &op, 1, &err) == 0, "%s", err.msg);
}

static void list_all(run_fn *run, void *arg)
{
    struct store_cursor after = { 0 };
    do {
        struct store_op op = { .action = STORE_LIST,
                               .now_ms = clock_wall_ms(clock_system()),
                               .states = (1U << CALLBACK_STATES) - 2,
                               .limit = 50,
                               .after = after };
        run(arg, &op);
        after = op.last;
        store_op_release(&op);
    } while (after.state != 0);
}

static void look_on(struct world *w, run_fn *run, void *arg)
{
    static const enum store_action actions[] = { STORE_COUNT, STORE_PROBE, STORE_PURGE, STORE_READ,
                                                 STORE_REDELIVER };
    for (size_t n = 0; !atomic_load(&w->over); n++) {
        char id[ENGINE_ID];
        struct store_op op = make(actions[n % ARRAY_LEN(actions)], n * 13 % JOBS, id);
        op.limit = 20;
        op.want = (1U << STORE_PAYLOADS) - 1;
        run(arg, &op);
        store_op_release(&op);
        if (n % 8 == 0)
            list_all(run, arg);
        usleep(2000);
    }
}

static void *look_on_inside(void *arg)
{
    struct world *w = arg;
    look_on(w, run_through_writer, &w->receivers[w->count - 1]);
    return NULL;
}

/* A process of its own with the same store, as `callback-receiver doctor` is one. */
static void *look_on_outside(void *arg)
{
    struct world *w = arg;
    struct store *s = open_store(w);
    look_on(w, run_alone, s);
    store_close(s);
    return NULL;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void await_ends(struct world *w)
{
    int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    for (;;) {
        struct store_op op = { .action = STORE_COUNT, .now_ms = clock_wall_ms(clock_system()) };
        run_through_writer(&w->receivers[0], &op);
        bool all = op.counts[CALLBACK_PENDING] + op.counts[CALLBACK_ACCEPTED] == 0;
        store_op_release(&op);
        if (all)
            return;
        MUST(clock_mono_ms(clock_system()) < until, "%lld jobs wait, %lld reports",
             (long long)op.counts[CALLBACK_PENDING], (long long)op.counts[CALLBACK_ACCEPTED]);
        usleep(20000);
    }
}

static void check(struct world *w, size_t job)
{
    char id[ENGINE_ID];
    struct store_op op = make(STORE_READ, job, id);
    struct engine_record seen = engine_record(w->engine, job);
    run_through_writer(&w->receivers[0], &op);
    enum callback_state state = op.record.state;
    enum kind kind = (enum kind)(job % KINDS);
    const char *name = callback_state_name(state);
    MUST(!seen.other, "job %zu: two reports reached the engine", job);
    MUST(seen.taken || state != CALLBACK_DELIVERED, "job %zu is delivered to nobody", job);
    MUST(seen.calls > 0 || state == CALLBACK_CLOSED, "job %zu: %s", job, name);
    MUST(!seen.closed || state != CALLBACK_DELIVERED, "job %zu: %s", job, name);
    if (kind == KIND_CLOSED || kind == KIND_LEFT)
        MUST(state == CALLBACK_CLOSED, "job %zu: %s", job, name);
    else
        MUST(state == CALLBACK_DELIVERED || state == CALLBACK_UNCONFIRMED ||
                 (state == CALLBACK_DEAD && seen.closed),
             "job %zu: %s", job, name);
    MUST(kind == KIND_SILENT ? seen.failure : !seen.failure || kind == KIND_CLOSED, "job %zu", job);
    store_op_release(&op);
}

static void spawn(pthread_t *thread, void *(*body)(void *), struct world *w)
{
    MUST(pthread_create(thread, NULL, body, w) == 0, "no thread");
}

static void drive(const char *url, struct log *log)
{
    struct world w = { .url = url, .log = log, .engine = engine_start(JOBS) };
    bool shared = store_shared(url);
    pthread_t workers[THREADS], lookers[2];
    size_t looking = 0;
    w.count = shared ? RECEIVERS : 1;
    for (size_t i = 0; i < w.count; i++)
        start(&w, &w.receivers[i]);
    for (size_t i = 0; i < THREADS; i++)
        spawn(&workers[i], jobs, &w);
    spawn(&lookers[looking++], look_on_inside, &w);
    if (shared)
        spawn(&lookers[looking++], look_on_outside, &w);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(workers[i], NULL);
    atomic_store(&w.over, true);
    for (size_t i = 0; i < looking; i++)
        pthread_join(lookers[i], NULL);
    await_ends(&w);
    for (size_t job = 0; job < JOBS; job++)
        check(&w, job);
    for (size_t i = 0; i < w.count; i++)
        stop(&w.receivers[i]);
    engine_stop(w.engine);
    printf("race: receiver: %d jobs on %s: ok\n", JOBS, shared ? "Redis" : "SQLite");
    fflush(stdout);
}

int main(void)
{
    struct error err = { 0 };
    char *dir = folder_new("race_receiver", &err);
    MUST(dir, "%s", err.msg);
    auto_close int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct log *log = log_open(nowhere, LOG_DEBUG, "race");
    signal(SIGPIPE, SIG_IGN);
    http_global_init();
    auto_free char *file = mem_printf("sqlite:%s/callbacks.db", dir);
    drive(file, log);
    struct redis_server *redis = redis_server_start(dir, false, &err);
    if (redis) {
        auto_free char *url = mem_printf("redis://127.0.0.1:%d", redis_server_port(redis));
        drive(url, log);
    } else {
        MUST(err.code == ERR_NOT_FOUND, "%s", err.msg);
        printf("race: receiver on Redis: skipped: redis-server is not installed\n");
    }
    redis_server_free(redis);
    http_global_cleanup();
    log_close(log);
    MUST(folder_remove(dir, &err) == 0, "%s", err.msg);
    free(dir);
    return 0;
}
