/* A fault sweep: one life of a few callbacks, again and again, each time with another call to the
 * outside failing (SQLite's memory, reads, writes and syncs; what is sent to Redis and what comes
 * back), once or for as long as the operation goes on. Whatever fails, the operation says so or has
 * happened, the next try succeeds, and at the end everything is as if nothing had failed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "callback-receiver/store.h"
#include "shared/base/buf.h"
#include "tests/redis_server.h"

#define EXPIRES     4102444800 /* s */
#define DUMP        65536
#define PATIENCE_MS 60000
#define HOLD_MS     5001 /* store_redis.c */

/* ---- the fault ------------------------------------------------------------------------------- */

static struct {
    long at; /* the call that fails, from 1 */
    long calls;
    bool lasting; /* and all after it */
    bool armed;
    bool hit;
} fault;

static bool fails(void)
{
    if (!fault.armed || ++fault.calls < fault.at || (fault.calls > fault.at && !fault.lasting))
        return false;
    fault.hit = true;
    return true;
}

static void arm(long at, bool lasting)
{
    fault.at = at;
    fault.calls = 0;
    fault.lasting = lasting;
    fault.hit = false;
    fault.armed = true;
}

/* ---- SQLite: its memory, and its file system with other functions in it ---------------------- */

static enum {
    NOTHING,
    MEMORY,
    DISK,
    NETWORK
} what_fails;

static sqlite3_mem_methods memory;

static void *faulty_malloc(int size)
{
    return what_fails == MEMORY && fails() ? NULL : memory.xMalloc(size);
}

static void *faulty_realloc(void *p, int size)
{
    return what_fails == MEMORY && fails() ? NULL : memory.xRealloc(p, size);
}

static sqlite3_vfs vfs;
static int (*open_file)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static struct {
    const sqlite3_io_methods *real;
    sqlite3_io_methods faulty;
} methods[8];

static const sqlite3_io_methods *real_of(const sqlite3_file *f)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (f->pMethods == &methods[i].faulty)
            return methods[i].real;
    abort();
}

static bool disk_fails(void)
{
    return what_fails == DISK && fails();
}

static int faulty_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return disk_fails() ? SQLITE_IOERR_READ : real_of(f)->xRead(f, p, n, at);
}

/* Full, after a part of it. */
static int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (!disk_fails())
        return real_of(f)->xWrite(f, p, n, at);
    (void)real_of(f)->xWrite(f, p, n / 2, at);
    return SQLITE_FULL;
}

static int faulty_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return disk_fails() ? SQLITE_IOERR_TRUNCATE : real_of(f)->xTruncate(f, size);
}

/* The disk itself is not waited for: nothing here loses power. */
static int faulty_sync(sqlite3_file *f, int flags)
{
    (void)f, (void)flags;
    return disk_fails() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int faulty_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    if (disk_fails())
        return SQLITE_CANTOPEN;
    int rc = open_file(v, name, f, flags, out);
    if (rc != SQLITE_OK)
        return rc;
    size_t i = 0;
    while (methods[i].real && methods[i].real != f->pMethods)
        i++;
    cr_assert_lt(i, ARRAY_LEN(methods) - 1);
    methods[i].real = f->pMethods;
    methods[i].faulty = *f->pMethods;
    methods[i].faulty.xRead = faulty_read;
    methods[i].faulty.xWrite = faulty_write;
    methods[i].faulty.xTruncate = faulty_truncate;
    methods[i].faulty.xSync = faulty_sync;
    f->pMethods = &methods[i].faulty;
    return SQLITE_OK;
}

static void bend_sqlite(void)
{
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
    sqlite3_mem_methods faulty = memory;
    faulty.xMalloc = faulty_malloc;
    faulty.xRealloc = faulty_realloc;
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty), SQLITE_OK);
    cr_assert_eq(sqlite3_initialize(), SQLITE_OK);
    vfs = *sqlite3_vfs_find(NULL);
    vfs.zName = "faulty";
    open_file = vfs.xOpen;
    vfs.xOpen = faulty_open;
    cr_assert_eq(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- Redis: this program's functions stand before the C library's ---------------------------- */

static bool cut(int fd)
{
    struct stat st;
    if (!fault.armed || what_fails != NETWORK || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) ||
        !fails())
        return false;
    shutdown(fd, SHUT_RDWR);
    errno = ECONNRESET;
    return true;
}

#define IN_PLACE_OF(name) __asm__(name)
ssize_t cut_read(int fd, void *p, size_t n) IN_PLACE_OF("read");
ssize_t cut_write(int fd, const void *p, size_t n) IN_PLACE_OF("write");
ssize_t cut_recv(int fd, void *p, size_t n, int flags) IN_PLACE_OF("recv");
ssize_t cut_send(int fd, const void *p, size_t n, int flags) IN_PLACE_OF("send");

ssize_t cut_read(int fd, void *p, size_t n)
{
    return cut(fd) ? -1 : (ssize_t)syscall(SYS_read, fd, p, n);
}

ssize_t cut_write(int fd, const void *p, size_t n)
{
    return cut(fd) ? -1 : (ssize_t)syscall(SYS_write, fd, p, n);
}

ssize_t cut_recv(int fd, void *p, size_t n, int flags)
{
    return cut(fd) ? -1 : (ssize_t)syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

ssize_t cut_send(int fd, const void *p, size_t n, int flags)
{
    return cut(fd) ? -1 : (ssize_t)syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

/* ---- the life of a few callbacks ------------------------------------------------------------- */

struct action {
    enum store_action action;
    const char *callback; /* NULL: none, or that of the last claim */
    const char *payload;
    enum callback_attempt_outcome outcome;
    int64_t now_ms;
    enum callback_verdict verdict; /* of the first time */
    enum callback_verdict again;   /* where it had happened, but nobody knew */
    size_t count;
};

#define BATCH 3
/* Only one report is due at a time: whose turn it is does not depend on what failed before. */
static const struct action life[][BATCH] = {
    { { STORE_START, .now_ms = 1000 } },
    { { STORE_REGISTER, "QQ==", "{\"in\":1}", 0, 5000, CALLBACK_CREATED, CALLBACK_SAME, 0 },
      { STORE_REGISTER, "QUE=", "2", 0, 5000, CALLBACK_CREATED, CALLBACK_SAME, 0 },
      { STORE_REGISTER, "QUI=", "3", 0, 5000, CALLBACK_CREATED, CALLBACK_SAME, 0 } },
    { { STORE_HEARTBEAT, "QQ==", "{\"progress\":1}", 0, 6000, CALLBACK_DONE, CALLBACK_DONE, 0 },
      { STORE_READ, "QUE=", NULL, 0, 6000, CALLBACK_DONE, CALLBACK_DONE, 0 } },
    { { STORE_REPORT, "QQ==", "[\"first\"]", 0, 7000, CALLBACK_TAKEN, CALLBACK_SAME, 0 } },
    { { STORE_CLAIM, NULL, NULL, 0, 8000, CALLBACK_DONE, CALLBACK_DONE, 1 } },
    { { STORE_REPORT, "QUE=", "[\"second\"]", 0, 8001, CALLBACK_TAKEN, CALLBACK_SAME, 0 },
      { STORE_REPORT, "QUE=", "[\"second\"]", 0, 8001, CALLBACK_SAME, CALLBACK_SAME, 0 } },
    { { STORE_FINISH, "QQ==", NULL, CALLBACK_ATTEMPT_OK, 8100, CALLBACK_DONE, CALLBACK_OVER, 0 },
      { STORE_CLAIM, NULL, NULL, 0, 8100, CALLBACK_DONE, CALLBACK_DONE, 1 } },
    { { STORE_FINISH, "QUE=", NULL, CALLBACK_ATTEMPT_REFUSED, 8200, CALLBACK_DONE, CALLBACK_OVER,
        0 } },
    { { STORE_REDELIVER, "QUE=", NULL, 0, 8300, CALLBACK_DONE, CALLBACK_OTHER, 0 },
      { STORE_COUNT, .now_ms = 8300, .verdict = CALLBACK_DONE, .again = CALLBACK_DONE } },
    { { STORE_CLAIM, NULL, NULL, 0, 8400, CALLBACK_DONE, CALLBACK_DONE, 1 },
      { STORE_PROBE, .now_ms = 8400, .verdict = CALLBACK_DONE, .again = CALLBACK_DONE } },
    { { STORE_FINISH, "QUE=", NULL, CALLBACK_ATTEMPT_OK, 8500, CALLBACK_DONE, CALLBACK_OVER, 0 } },
    /* The third has not begun in time. */
    { { STORE_JUDGE, NULL, NULL, 0, 60000, CALLBACK_DONE, CALLBACK_DONE, 1 } },
    { { STORE_CLAIM, NULL, NULL, 0, 60500, CALLBACK_DONE, CALLBACK_DONE, 1 } },
    { { STORE_FINISH, "QUI=", NULL, CALLBACK_ATTEMPT_GONE, 61000, CALLBACK_DONE, CALLBACK_OVER, 0 },
      { STORE_CLOSE, "QUM=", NULL, 0, 61000, CALLBACK_DONE, CALLBACK_DONE, 0 },
      { STORE_UNBEAT, "QUI=", NULL, 0, 61000, CALLBACK_DONE, CALLBACK_DONE, 0 } },
    { { STORE_LIST, NULL, NULL, 0, 61000, CALLBACK_DONE, CALLBACK_DONE, 4 } },
    { { STORE_GRACE, .now_ms = 62000, .verdict = CALLBACK_DONE, .again = CALLBACK_DONE },
      { STORE_PURGE, .now_ms = 62000, .verdict = CALLBACK_DONE, .again = CALLBACK_DONE } },
};

static void fill(struct store_op *op, const struct action *a)
{
    *op = (struct store_op){ .action = a->action,
                             .now_ms = a->now_ms,
                             .limit = a->action == STORE_CLAIM ? 1 : 10,
                             .lease_ms = 60000,
                             .states = ~0U,
                             .want = (1U << STORE_PAYLOADS) - 1 };
    if (a->callback)
        token_public_id(a->callback, op->id);
    bool launcher = a->action == STORE_REGISTER || a->action == STORE_CLOSE;
    op->who =
        (struct callback_holder){ a->callback, launcher ? CALLBACK_BY_LAUNCHER : CALLBACK_BY_JOB,
                                  EXPIRES, NULL };
    op->registration = (struct callback_registration){
        .workflow = "w", .job = "j", .heartbeat_s = 10, .start_timeout_s = 20
    };
    op->report = (struct callback_report){ .kind = CALLBACK_SUCCESS, .media = CALLBACK_JSON };
    op->attempt = (struct callback_attempt){ a->outcome, a->outcome ? "no" : "", 0 };
    if (a->payload) {
        op->payload.text = mem_dup(a->payload);
        op->payload.len = strlen(a->payload);
    }
}

/* ---- what is there --------------------------------------------------------------------------- */

static void dump_one(struct store *s, const char *callback_id, struct buf *out)
{
    static const struct action read = { STORE_READ, .now_ms = 6000 };
    struct store_op op, *all = &op;
    struct error err;
    fill(&op, &read);
    token_public_id(callback_id, op.id);
    op.who.callback_id = callback_id;
    op.who.by = CALLBACK_BY_LAUNCHER;
    cr_assert_eq(store_run(s, &all, 1, &err), 0, "%s", err.msg);
    const struct callback *c = &op.record;
    buf_printf(out, "%s %s due %lld judge %lld %s attempts %lld%s%s \"%s\"", callback_id,
               callback_state_name(c->state), (long long)c->due_ms, (long long)c->judge_ms,
               c->registered ? "registered" : "", (long long)c->attempts,
               c->in_flight ? " in flight" : "", c->unanswered ? " unanswered" : "", c->last_error);
    for (size_t i = 0; i < STORE_PAYLOADS; i++)
        buf_printf(out, " %s", op.out[i].text ? op.out[i].text : "-");
    buf_add_char(out, '\n');
    store_op_release(&op);
}

static char *dump(struct store *s)
{
    static const char *const ids[] = { "QQ==", "QUE=", "QUI=", "QUM=" };
    static const struct action count = { STORE_COUNT, .now_ms = 6000 };
    struct buf out = BUF_INIT(DUMP);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        dump_one(s, ids[i], &out);
    struct store_op op, *all = &op;
    struct error err;
    fill(&op, &count);
    cr_assert_eq(store_run(s, &all, 1, &err), 0, "%s", err.msg);
    for (size_t i = 0; i < CALLBACK_STATES; i++)
        buf_printf(&out, "%lld ", (long long)op.counts[i]);
    store_op_release(&op);
    return buf_take(&out, NULL);
}

/* ---- the sweep ------------------------------------------------------------------------------- */

static char url[128];

static struct store *open_store(void)
{
    struct error err;
    struct store *s = store_open(url, &err);
    if (!s) {
        cr_assert(fault.armed && fault.hit, "%s", err.msg);
        cr_assert(err.msg[0]);
        fault.armed = false;
        s = store_open(url, &err);
    }
    cr_assert_not_null(s, "the next try to open it: %s", err.msg);
    return s;
}

/* What Redis has handed out to nobody comes back: a claim that was not committed once its hold has
 * ended, else with the next look at what is silent. */
static size_t claim_later(struct store *s, int64_t now_ms)
{
    struct store_op ops[2], *judge = &ops[0], *claim = &ops[1];
    struct error err;
    fill(judge, &(struct action){ STORE_JUDGE, .now_ms = now_ms + HOLD_MS });
    cr_assert_eq(store_run(s, &judge, 1, &err), 0, "%s", err.msg);
    fill(claim, &(struct action){ STORE_CLAIM, .now_ms = now_ms + HOLD_MS });
    cr_assert_eq(store_run(s, &claim, 1, &err), 0, "%s", err.msg);
    size_t count = claim->count;
    store_op_release(judge);
    store_op_release(claim);
    return count;
}

/* One batch, whatever fails. `whole`: a batch that failed has not happened. */
static void run_batch(struct store *s, const struct action *batch, bool whole)
{
    struct store_op ops[BATCH], *all[BATCH];
    size_t count = 0;
    bool hit = fault.hit;
    struct error err;
    for (; count < BATCH && (count == 0 || batch[count].now_ms); count++) {
        fill(&ops[count], &batch[count]);
        all[count] = &ops[count];
    }
    bool armed = fault.armed;
    fault.armed = false;
    auto_free char *before = whole ? dump(s) : NULL;
    fault.armed = armed;
    if (store_run(s, all, count, &err) < 0) {
        cr_assert(fault.hit, "it fails by itself: %s", err.msg);
        cr_assert(err.msg[0]);
        fault.armed = false;
        auto_free char *after = whole ? dump(s) : NULL;
        if (whole)
            cr_assert_str_eq(after, before, "call %ld: half of it has happened", fault.at);
        int64_t until_ms = clock_mono_ms(clock_system()) + PATIENCE_MS;
        while (store_run(s, all, count, &err) < 0) { /* Redis is not asked all the time */
            cr_assert(!whole && clock_mono_ms(clock_system()) < until_ms,
                      "call %ld: the next try: %s", fault.at, err.msg);
            clock_sleep_ms(clock_system(), 5);
        }
    }
    /* Redis may have done what nobody heard of. */
    bool again = !whole && fault.hit && !hit;
    for (size_t i = 0; i < count; i++) {
        const struct action *a = &batch[i];
        cr_assert(ops[i].verdict == a->verdict || (again && ops[i].verdict == a->again),
                  "call %ld: action %d at %lld: verdict %d", fault.at, (int)a->action,
                  (long long)a->now_ms, (int)ops[i].verdict);
        size_t items = ops[i].count;
        if (again && a->action == STORE_CLAIM && items == 0)
            items = claim_later(s, a->now_ms);
        cr_assert(items == a->count || (again && a->action == STORE_JUDGE),
                  "call %ld: action %d at %lld: %zu items", fault.at, (int)a->action,
                  (long long)a->now_ms, items);
        store_op_release(&ops[i]);
    }
}

/* Returns what is there at the end. */
static char *live(bool whole)
{
    struct store *s = open_store();
    for (size_t i = 0; i < ARRAY_LEN(life); i++)
        run_batch(s, life[i], whole);
    fault.armed = false;
    char *end = dump(s);
    store_close(s);
    s = open_store();
    auto_free char *reopened = dump(s);
    cr_assert_str_eq(reopened, end);
    store_close(s);
    return end;
}

/* `fresh` empties the store. */
static void sweep(void (*fresh)(void), bool whole, long step)
{
    fresh();
    auto_free char *expected = live(whole);
    for (int lasting = 0; lasting < 2; lasting++) {
        long n = 1;
        do {
            fresh();
            arm(n, lasting);
            auto_free char *end = live(whole);
            cr_assert_str_eq(end, expected, "call %ld failed%s", n,
                             lasting ? " and all after" : "");
            n += step;
        } while (fault.hit);
        cr_assert_gt(n, 10, "nothing was reached");
    }
}

/* ---- on SQLite ------------------------------------------------------------------------------- */

static char dir[64];

static void fresh_file(void)
{
    static const char *const files[] = { "c.db", "c.db-wal", "c.db-shm", "c.db-journal" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        auto_free char *path = mem_printf("%s/%s", dir, files[i]);
        unlink(path);
    }
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/test_store_faults_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(url, sizeof(url), "sqlite:%s/c.db", dir);
    bend_sqlite();
}

static void teardown(void)
{
    fault.armed = false;
    fresh_file();
    rmdir(dir);
}

Test(store_faults, sqlite_outlives_any_fault_of_the_disk, .init = setup, .fini = teardown)
{
    what_fails = DISK;
    sweep(fresh_file, true, 1);
}

Test(store_faults, sqlite_outlives_any_lack_of_memory, .init = setup, .fini = teardown)
{
    what_fails = MEMORY;
    sweep(fresh_file, true, 13);
}

/* ---- on Redis -------------------------------------------------------------------------------- */

static struct redis_server redis;

static void fresh_redis(void)
{
    redis_server_say(&redis, "FLUSHALL");
}

static void setup_redis(void)
{
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&redis, NULL);
    snprintf(url, sizeof(url), "%s", redis.url);
}

static void teardown_redis(void)
{
    fault.armed = false;
    redis_server_stop(&redis);
}

Test(store_faults, redis_may_be_cut_off_anywhere, .init = setup_redis, .fini = teardown_redis)
{
    what_fails = NETWORK;
    if (redis.program)
        sweep(fresh_redis, false, 1);
}
