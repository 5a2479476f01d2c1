#include "callback-receiver/store.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "tests/redis_server.h"

#define EXPIRES 1000 /* s */

static char dir[64];
static char url[128];

static void setup(void)
{
    strcpy(dir, "/tmp/test_store_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(url, sizeof(url), "sqlite:%s/c.db", dir);
}

static void teardown(void)
{
    static const char *const files[] = { "c.db", "c.db-wal", "c.db-shm", "c.db-journal" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        auto_free char *path = mem_printf("%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

TestSuite(store, .init = setup, .fini = teardown);

static struct redis_server redis;

static void setup_redis(void)
{
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&redis, NULL);
    snprintf(url, sizeof(url), "%s", redis.url);
}

static void teardown_redis(void)
{
    redis_server_stop(&redis);
}

TestSuite(store_on_redis, .init = setup_redis, .fini = teardown_redis);

/* What both stores must do. */
#define BOTH(name)                                                                                 \
    static void name(void);                                                                        \
    Test(store, name)                                                                              \
    {                                                                                              \
        name();                                                                                    \
    }                                                                                              \
    Test(store_on_redis, name)                                                                     \
    {                                                                                              \
        if (redis.program)                                                                         \
            name();                                                                                \
    }                                                                                              \
    static void name(void)

static struct store *open_store(void)
{
    struct error err;
    struct store *s = store_open(url, &err);
    cr_assert_not_null(s, "%s", err.msg);
    return s;
}

static void run(struct store *s, struct store_op *op)
{
    struct error err;
    cr_assert_eq(store_run(s, &op, 1, &err), 0, "%s", err.msg);
}

static struct store_op make(enum store_action action, const char *callback_id, enum callback_by by,
                            const char *payload)
{
    struct store_op op = { .action = action, .now_ms = 5000, .limit = 10, .lease_ms = 60000 };
    if (callback_id)
        token_public_id(callback_id, op.id);
    op.who = (struct callback_holder){ callback_id, by, EXPIRES, NULL };
    op.registration = (struct callback_registration){
        .workflow = "w", .job = "j", .heartbeat_s = 10, .start_timeout_s = 20
    };
    op.report = (struct callback_report){ .kind = CALLBACK_SUCCESS, .media = CALLBACK_JSON };
    if (payload) {
        op.payload.text = mem_dup(payload);
        op.payload.len = strlen(payload);
    }
    return op;
}

static enum callback_verdict once(struct store *s, enum store_action action,
                                  const char *callback_id, const char *payload)
{
    struct store_op op = make(
        action, callback_id,
        action == STORE_REGISTER || action == STORE_CLOSE ? CALLBACK_BY_LAUNCHER : CALLBACK_BY_JOB,
        payload);
    run(s, &op);
    enum callback_verdict verdict = op.verdict;
    store_op_release(&op);
    return verdict;
}

BOTH(what_was_written_is_there_after_it_was_opened_again)
{
    struct store *s = open_store();
    cr_assert_eq(once(s, STORE_REGISTER, "QQ==", "{\"in\":1}"), CALLBACK_CREATED);
    cr_assert_eq(once(s, STORE_HEARTBEAT, "QQ==", "{\"progress\":1}"), CALLBACK_DONE);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "[\"out\"]"), CALLBACK_TAKEN);
    store_close(s);
    s = open_store();
    struct store_op op = make(STORE_READ, "QQ==", CALLBACK_BY_LAUNCHER, NULL);
    op.want = (1U << STORE_PAYLOADS) - 1;
    run(s, &op);
    const struct callback *c = &op.record;
    cr_assert_eq(op.verdict, CALLBACK_DONE);
    cr_assert_str_eq(op.out[STORE_INPUT].text, "{\"in\":1}");
    cr_assert_str_eq(op.out[STORE_PROGRESS].text, "{\"progress\":1}");
    cr_assert_str_eq(op.out[STORE_BODY].text, "[\"out\"]");
    cr_assert_str_eq(c->callback_id, "QQ==");
    cr_assert_str_eq(c->workflow, "w");
    cr_assert_str_eq(c->job, "j");
    cr_assert_eq(c->state, CALLBACK_ACCEPTED);
    cr_assert(c->registered);
    cr_assert_eq(c->heartbeat_s, 10);
    cr_assert_eq(c->start_timeout_s, 20);
    cr_assert_eq(c->expires_s, EXPIRES);
    cr_assert_eq(c->created_ms, 5000);
    cr_assert_eq(c->first_heartbeat_ms, 5000);
    cr_assert_eq(c->due_ms, 5000);
    store_op_release(&op);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "[\"out\"]"), CALLBACK_SAME);
    cr_assert_eq(once(s, STORE_REGISTER, "QQ==", "{\"in\":1}"), CALLBACK_SAME);
    store_close(s);
}

Test(store, a_batch_happens_whole_or_not_at_all)
{
    struct store *s = open_store();
    /* Somebody breaks the file behind the store's back: no payload can be written. */
    struct store_op ops[3] = { make(STORE_REGISTER, "QQ==", CALLBACK_BY_LAUNCHER, "1"),
                               make(STORE_REPORT, "QUE=", CALLBACK_BY_JOB, "2"),
                               make(STORE_REGISTER, "QUI=", CALLBACK_BY_LAUNCHER, "3") };
    struct store_op *all[] = { &ops[0], &ops[1], &ops[2] };
    struct error err;
    size_t real = ops[2].payload.len;
    ops[2].payload.len = (size_t)3 << 30; /* over SQLite's limit for a value */
    cr_assert_eq(store_run(s, all, 3, &err), -1);
    cr_assert_eq(err.code, ERR_IO);
    for (size_t i = 0; i < 3; i++) {
        struct store_op read = make(STORE_READ, ops[i].who.callback_id, CALLBACK_BY_LAUNCHER, NULL);
        run(s, &read);
        cr_assert_eq(read.verdict, CALLBACK_NONE, "operation %zu happened", i);
        store_op_release(&read);
    }
    ops[2].payload.len = real;
    cr_assert_eq(store_run(s, all, 3, &err), 0, "the store goes on: %s", err.msg);
    cr_assert_eq(ops[0].verdict, CALLBACK_CREATED);
    cr_assert_eq(ops[1].verdict, CALLBACK_TAKEN);
    for (size_t i = 0; i < 3; i++)
        store_op_release(&ops[i]);
    store_close(s);
}

/* What were called for it would be called for again, and the second call's answer, "closed", be
 * taken for the first one's. */
Test(store, a_claim_that_is_not_committed_has_nothing)
{
    struct store *s = open_store();
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_TAKEN);
    struct store_op claim = { .action = STORE_CLAIM, .now_ms = 6000, .limit = 5, .lease_ms = 1000 };
    struct store_op broken = make(STORE_REGISTER, "QUI=", CALLBACK_BY_LAUNCHER, "3");
    struct store_op *both[] = { &claim, &broken };
    struct error err;
    size_t real = broken.payload.len;
    broken.payload.len = (size_t)3 << 30; /* over SQLite's limit for a value */
    cr_assert_eq(store_run(s, both, 2, &err), -1);
    cr_assert_eq(claim.count, 0);
    cr_assert_null(claim.items);
    broken.payload.len = real;
    cr_assert_eq(store_run(s, both, 2, &err), 0, "%s", err.msg);
    cr_assert_eq(claim.count, 1);
    cr_assert_eq(claim.items[0].record.attempts, 1);
    cr_assert_not(claim.items[0].record.unanswered);
    store_op_release(&claim);
    store_op_release(&broken);
    store_close(s);
}

BOTH(later_operations_of_a_batch_see_earlier_ones)
{
    struct store *s = open_store();
    struct store_op ops[3] = { make(STORE_REPORT, "QQ==", CALLBACK_BY_JOB, "1"),
                               make(STORE_REPORT, "QQ==", CALLBACK_BY_JOB, "1"),
                               make(STORE_REPORT, "QQ==", CALLBACK_BY_LAUNCHER, "2") };
    struct store_op *all[] = { &ops[0], &ops[1], &ops[2] };
    struct error err;
    ops[2].report.kind = CALLBACK_FAILURE;
    cr_assert_eq(store_run(s, all, 3, &err), 0, "%s", err.msg);
    cr_assert_eq(ops[0].verdict, CALLBACK_TAKEN);
    cr_assert_eq(ops[1].verdict, CALLBACK_SAME);
    cr_assert_eq(ops[2].verdict, CALLBACK_OTHER);
    for (size_t i = 0; i < 3; i++)
        store_op_release(&ops[i]);
    store_close(s);
}

BOTH(what_is_given_back_uncalled_is_due_at_once_and_no_attempt)
{
    struct store *s = open_store();
    (void)once(s, STORE_REPORT, "QQ==", "1");
    struct store_op claim = make(STORE_CLAIM, NULL, CALLBACK_BY_RECEIVER, NULL);
    struct store_op finish = make(STORE_FINISH, NULL, CALLBACK_BY_RECEIVER, NULL);
    for (int i = 0; i < 3; i++) {
        claim.now_ms = finish.now_ms = 5000 + i;
        run(s, &claim);
        cr_assert_eq(claim.count, 1, "time %d", i);
        cr_assert_str_eq(claim.items[0].body.text, "1");
        cr_assert_eq(claim.items[0].record.attempts, 1);
        cr_assert_not(claim.items[0].record.unanswered);
        memcpy(finish.id, claim.items[0].record.id, sizeof(finish.id));
        store_op_release(&claim);
        finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_UNCALLED, "", 0 };
        run(s, &finish);
        cr_assert_eq(finish.record.state, CALLBACK_ACCEPTED);
        cr_assert_eq(finish.record.attempts, 0);
        cr_assert_eq(finish.record.failures, 0);
        cr_assert_eq(finish.record.due_ms, 5000 + i);
        store_op_release(&finish);
    }
    store_close(s);
}

BOTH(claims_what_is_due_once_and_says_when_the_next_is)
{
    struct store *s = open_store();
    (void)once(s, STORE_REPORT, "QQ==", "1");
    (void)once(s, STORE_REPORT, "QUE=", "2");
    struct store_op claim = make(STORE_CLAIM, NULL, CALLBACK_BY_RECEIVER, NULL);
    claim.limit = 1;
    run(s, &claim);
    cr_assert_eq(claim.count, 1);
    cr_assert_not_null(claim.items[0].body.text);
    cr_assert_eq(claim.next_ms, 5000, "another is due");
    struct store_op finish = make(STORE_FINISH, NULL, CALLBACK_BY_RECEIVER, NULL);
    memcpy(finish.id, claim.items[0].record.id, sizeof(finish.id));
    finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_OK, "", 0 };
    store_op_release(&claim);
    run(s, &claim);
    cr_assert_eq(claim.count, 1);
    cr_assert_str_neq(claim.items[0].record.id, finish.id);
    cr_assert_eq(claim.next_ms, 65000, "the first lease");
    store_op_release(&claim);
    run(s, &claim);
    cr_assert_eq(claim.count, 0);
    run(s, &finish);
    cr_assert_eq(finish.record.state, CALLBACK_DELIVERED);
    store_op_release(&finish);
    /* A receiver that died in the middle: due at once, and the attempt counts as unanswered. */
    store_close(s);
    s = open_store();
    struct store_op start = make(STORE_START, NULL, CALLBACK_BY_RECEIVER, NULL);
    start.now_ms = 6000;
    run(s, &start);
    claim.now_ms = 6000;
    run(s, &claim);
    cr_assert_eq(claim.count, 1);
    cr_assert(claim.items[0].record.unanswered);
    cr_assert_eq(claim.items[0].record.attempts, 2);
    store_op_release(&claim);
    store_close(s);
}

BOTH(judges_silence_but_not_across_its_own)
{
    struct store *s = open_store();
    (void)once(s, STORE_HEARTBEAT, "QQ==", NULL);  /* by the default, 60 s */
    (void)once(s, STORE_REGISTER, "QUE=", "null"); /* to start within 20 s */
    struct store_op start = make(STORE_START, NULL, CALLBACK_BY_RECEIVER, NULL);
    start.now_ms = 1000000;
    run(s, &start);
    struct store_op judge = make(STORE_JUDGE, NULL, CALLBACK_BY_RECEIVER, NULL);
    static const struct {
        int64_t at_ms;
        size_t count;
    } cases[] = { { 1009999, 0 }, { 1010000, 1 }, { 1059999, 0 }, { 1060000, 1 }, { 2000000, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        judge.now_ms = cases[i].at_ms;
        run(s, &judge);
        cr_assert_eq(judge.count, cases[i].count, "case %zu: %zu", i, judge.count);
        store_op_release(&judge);
    }
    struct store_op claim = make(STORE_CLAIM, NULL, CALLBACK_BY_RECEIVER, NULL);
    claim.now_ms = 2000000;
    run(s, &claim);
    cr_assert_eq(claim.count, 2);
    cr_assert_not_null(strstr(claim.items[0].body.text, "Task.StartTimeout"));
    cr_assert_not_null(strstr(claim.items[1].body.text, "Task.HeartbeatLost"));
    store_op_release(&claim);
    store_close(s);
}

BOTH(lists_counts_and_forgets)
{
    struct store *s = open_store();
    int64_t late_ms = store_shared(url) ? 3600000 : 1000;
    (void)once(s, STORE_REPORT, "QQ==", "1");
    (void)once(s, STORE_REGISTER, "QUE=", "2");
    (void)once(s, STORE_CLOSE, "QUI=", NULL);
    cr_assert_eq(once(s, STORE_PROBE, NULL, NULL), CALLBACK_DONE);
    struct store_op op = make(STORE_COUNT, NULL, CALLBACK_BY_RECEIVER, NULL);
    run(s, &op);
    cr_assert_eq(op.counts[CALLBACK_ACCEPTED], 1);
    cr_assert_eq(op.counts[CALLBACK_PENDING], 1);
    cr_assert_eq(op.counts[CALLBACK_CLOSED], 1);
    cr_assert_eq(op.counts[CALLBACK_DEAD], 0);
    op.action = STORE_LIST;
    op.states = 1U << CALLBACK_ACCEPTED | 1U << CALLBACK_PENDING;
    run(s, &op);
    cr_assert_eq(op.count, 2);
    cr_assert_eq(op.items[0].record.state, CALLBACK_ACCEPTED);
    op.limit = 1;
    run(s, &op);
    cr_assert_eq(op.count, 1);
    op.action = STORE_PURGE;
    op.limit = 100;
    op.now_ms = (EXPIRES + STORE_KEEP_S) * 1000;
    run(s, &op); /* a token may still live */
    op.action = STORE_COUNT;
    run(s, &op);
    cr_assert_eq(op.counts[CALLBACK_PENDING], 1);
    op.action = STORE_PURGE;
    op.now_ms += late_ms;
    op.limit = 1;
    int pages = 0;
    for (op.more = true; op.more; pages++)
        run(s, &op);
    cr_assert_geq(pages, 2, "the end is told, and not before");
    op.action = STORE_COUNT;
    run(s, &op);
    cr_assert_eq(op.counts[CALLBACK_ACCEPTED], 1, "what is accepted stays until it is settled");
    cr_assert_eq(op.counts[CALLBACK_PENDING], 0);
    cr_assert_eq(op.counts[CALLBACK_CLOSED], 0);
    struct store_op finish = make(STORE_FINISH, "QQ==", CALLBACK_BY_RECEIVER, NULL);
    finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_REFUSED, "no", 0 };
    finish.now_ms = op.now_ms;
    run(s, &finish);
    op.action = STORE_PURGE;
    op.now_ms = finish.now_ms + STORE_KEEP_DEAD_S * INT64_C(1000);
    run(s, &op);
    op.action = STORE_COUNT;
    run(s, &op);
    cr_assert_eq(op.counts[CALLBACK_DEAD], 1, "somebody should see it");
    op.action = STORE_PURGE;
    op.now_ms += late_ms;
    run(s, &op);
    op.action = STORE_COUNT;
    run(s, &op);
    cr_assert_eq(op.counts[CALLBACK_DEAD], 0);
    store_op_release(&op);
    store_op_release(&finish);
    store_close(s);
}

/* All of a state, or of two, come once each, in pages of any size, also where many share a ms. */
BOTH(lists_have_pages)
{
    struct store *s = open_store();
    for (int i = 0; i < 25; i++) {
        char id[8];
        snprintf(id, sizeof(id), "Q%c%c=", 'A' + i, 'Z' - i);
        struct store_op op =
            make(i % 5 == 4 ? STORE_REPORT : STORE_REGISTER, id, CALLBACK_BY_JOB, "1");
        op.now_ms = 1000 + i / 10; /* ten in a ms */
        run(s, &op);
        store_op_release(&op);
    }
    for (size_t limit = 1; limit <= 30; limit = limit * 2 + 1) {
        char seen[25][TOKEN_PUBLIC_ID];
        size_t n = 0;
        int64_t created_ms = 0;
        struct store_op op = make(STORE_LIST, NULL, CALLBACK_BY_RECEIVER, NULL);
        op.states = 1U << CALLBACK_ACCEPTED | 1U << CALLBACK_PENDING;
        op.limit = limit;
        do {
            run(s, &op);
            for (size_t i = 0; i < op.count; i++) {
                const struct callback *c = &op.items[i].record;
                cr_assert_lt(n, 25);
                cr_assert_eq(c->state, n < 5 ? CALLBACK_ACCEPTED : CALLBACK_PENDING);
                created_ms = n == 5 ? 0 : created_ms;
                cr_assert_geq(c->created_ms, created_ms);
                created_ms = c->created_ms;
                for (size_t k = 0; k < n; k++)
                    cr_assert_str_neq(seen[k], c->id);
                memcpy(seen[n++], c->id, TOKEN_PUBLIC_ID);
            }
            op.after = op.last;
        } while (op.last.state);
        cr_assert_eq(n, 25, "pages of %zu: %zu", limit, n);
        store_op_release(&op);
    }
    store_close(s);
}

BOTH(the_oldest_report_is_told_however_many_there_are)
{
    struct store *s = open_store();
    struct store_op op = make(STORE_COUNT, NULL, CALLBACK_BY_RECEIVER, NULL);
    run(s, &op);
    cr_assert_eq(op.oldest_ms, 0);
    static const char *const ids[] = { "QQ==", "QUE=", "QUI=" };
    for (int i = 0; i < 3; i++) { /* registered in this order, reported in the other */
        (void)once(s, STORE_REGISTER, ids[i], "1");
    }
    for (int i = 2; i >= 0; i--) {
        struct store_op report = make(STORE_REPORT, ids[i], CALLBACK_BY_JOB, "1");
        report.now_ms = 9000 - 1000 * i;
        run(s, &report);
        store_op_release(&report);
    }
    run(s, &op);
    cr_assert_eq(op.oldest_ms, 7000, "%lld", (long long)op.oldest_ms);
    struct store_op finish = make(STORE_FINISH, "QUI=", CALLBACK_BY_RECEIVER, NULL);
    finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_OK, "", 0 };
    run(s, &finish);
    run(s, &op);
    cr_assert_eq(op.oldest_ms, 8000, "%lld", (long long)op.oldest_ms);
    store_op_release(&op);
    store_op_release(&finish);
    store_close(s);
}

/* More than one command to Redis can take, each way. */
BOTH(a_thousand_jobs_fall_silent_at_once)
{
    enum {
        JOBS = 1300
    };
    struct store *s = open_store();
    struct store_op *ops = mem_array(JOBS, sizeof(*ops));
    struct store_op **all = mem_array(JOBS, sizeof(*all));
    char ids[JOBS][8];
    for (int i = 0; i < JOBS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%c%c%c=", 'A' + i % 13, 'a' + i / 13 % 10, 'k' + i / 130);
        ops[i] = make(STORE_REGISTER, ids[i], CALLBACK_BY_LAUNCHER, "{}");
        all[i] = &ops[i];
    }
    struct error err;
    cr_assert_eq(store_run(s, all, JOBS, &err), 0, "%s", err.msg);
    size_t silent = 0;
    struct store_op judge = make(STORE_JUDGE, NULL, CALLBACK_BY_RECEIVER, NULL);
    judge.limit = JOBS;
    judge.now_ms = 5000 + 20001;
    for (int i = 0; i < 2; i++) {
        run(s, &judge);
        silent += judge.count;
    }
    cr_assert_eq(silent, JOBS, "%zu", silent);
    struct store_op count = make(STORE_COUNT, NULL, CALLBACK_BY_RECEIVER, NULL);
    run(s, &count);
    cr_assert_eq(count.counts[CALLBACK_ACCEPTED], JOBS);
    cr_assert_eq(count.counts[CALLBACK_PENDING], 0);
    cr_assert_eq(count.oldest_ms, judge.now_ms);
    for (int i = 0; i < JOBS; i++)
        store_op_release(&ops[i]);
    free(ops);
    free(all);
    store_op_release(&judge);
    store_op_release(&count);
    store_close(s);
}

/* What one JUDGE hands out: ids by when they are due. */
static size_t beats(struct store *s, int64_t now_ms, int64_t *at_ms)
{
    struct store_op judge = make(STORE_JUDGE, NULL, CALLBACK_BY_RECEIVER, NULL);
    judge.now_ms = now_ms;
    judge.ahead_ms = 500;
    run(s, &judge);
    size_t n = 0;
    for (size_t i = 0; i < judge.count; i++) {
        n += judge.items[i].at_ms > 0;
        *at_ms = judge.items[i].at_ms > 0 ? judge.items[i].at_ms : *at_ms;
    }
    store_op_release(&judge);
    return n;
}

BOTH(heartbeats_to_lambda_last_until_the_report_is_delivered)
{
    struct store *s = open_store();
    struct store_op reg = make(STORE_REGISTER, "QQ==", CALLBACK_BY_LAUNCHER, "1");
    reg.registration.engine_heartbeat_s = 30;
    reg.now_ms = 100000;
    run(s, &reg);
    int64_t first = reg.record.beat_ms, at = 0;
    cr_assert(first > 100000 && first <= 110000, "%lld", (long long)first);
    cr_assert_eq(beats(s, first - 501, &at), 0);
    cr_assert_eq(beats(s, first - 500, &at), 1);
    cr_assert_eq(at, first);
    cr_assert_eq(beats(s, first, &at), 0, "each is handed out once");
    cr_assert_eq(beats(s, first + 25000, &at), 1, "what was missed is left out");
    cr_assert_eq(at, first + 20000);
    (void)once(s, STORE_REPORT, "QQ==", "1");
    cr_assert_eq(beats(s, first + 30000, &at), 1, "the workflow still waits");
    struct store_op finish = make(STORE_FINISH, "QQ==", CALLBACK_BY_RECEIVER, NULL);
    finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_OK, "", 0 };
    run(s, &finish);
    cr_assert_eq(beats(s, first + 90000, &at), 0);
    struct store_op other = make(STORE_REGISTER, "QUE=", CALLBACK_BY_LAUNCHER, "1");
    other.registration.engine_heartbeat_s = 30;
    run(s, &other);
    cr_assert_eq(once(s, STORE_UNBEAT, "QUE=", NULL), CALLBACK_DONE);
    cr_assert_eq(once(s, STORE_UNBEAT, "QUI=", NULL), CALLBACK_DONE, "of one that is gone");
    cr_assert_eq(beats(s, first + 190000, &at), 0);
    store_op_release(&reg);
    store_op_release(&other);
    store_op_release(&finish);
    store_close(s);
}

BOTH(closing_drops_the_input)
{
    struct store *s = open_store();
    (void)once(s, STORE_REGISTER, "QQ==", "\"secret\"");
    (void)once(s, STORE_CLOSE, "QQ==", NULL);
    struct store_op op = make(STORE_READ, "QQ==", CALLBACK_BY_LAUNCHER, NULL);
    op.want = 1U << STORE_INPUT;
    run(s, &op);
    cr_assert_eq(op.record.state, CALLBACK_CLOSED);
    cr_assert_null(op.out[STORE_INPUT].text);
    store_op_release(&op);
    store_close(s);
}

Test(store, a_file_of_a_newer_version_or_in_use_is_refused)
{
    struct error err;
    struct store *s = open_store();
    cr_assert_null(store_open(url, &err));
    cr_assert_eq(err.code, ERR_CONFLICT, "%s", err.msg);
    store_close(s);
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open(url + strlen("sqlite:"), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    cr_assert_null(store_open(url, &err));
    cr_assert_eq(err.code, ERR_CONFLICT, "%s", err.msg);
    cr_assert_not_null(strstr(err.msg, "999"), "%s", err.msg);
}

Test(store, the_file_is_its_owners_alone)
{
    struct store *s = open_store();
    struct stat st;
    (void)once(s, STORE_REPORT, "QQ==", "1");
    cr_assert_eq(stat(url + strlen("sqlite:"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    auto_free char *wal = mem_printf("%s-wal", url + strlen("sqlite:"));
    cr_assert_eq(stat(wal, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    store_close(s);
}

Test(store, urls_that_this_build_cannot_serve_are_refused)
{
    static const struct {
        const char *url;
        enum error_code code;
    } cases[] = {
        { "redis://127.0.0.1:1", ERR_NET }, { "redis://", ERR_INVALID },
        { "sqlite:", ERR_INVALID },         { "callbacks.db", ERR_INVALID },
        { "sqlite:/nowhere/c.db", ERR_IO },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err;
        cr_assert_null(store_open(cases[i].url, &err), "case %zu", i);
        cr_assert_eq(err.code, cases[i].code, "case %zu: %s", i, err.msg);
    }
    auto_free char *path = mem_printf("%s/c.db", dir);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    for (int i = 0; i < 100; i++)
        fputs("this is no database\n", f);
    fclose(f);
    struct error err;
    cr_assert_null(store_open(url, &err), "a file that is something else");
    cr_assert_eq(err.code, ERR_IO, "%s", err.msg);
}
