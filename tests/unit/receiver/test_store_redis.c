/* What the store on Redis does beside what test_store.c wants of both: shared, crashed, restarted,
 * refused. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "callback-receiver/redis_scripts.h"
#include "callback-receiver/store.h"
#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "tests/redis_server.h"

#define EXPIRES 4102444800 /* s */

static struct redis_server redis;

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&redis, NULL);
}

static void teardown(void)
{
    redis_server_stop(&redis);
}

#define REDIS_TEST(name)                                                                           \
    static void name(void);                                                                        \
    Test(store_redis, name, .init = setup, .fini = teardown)                                       \
    {                                                                                              \
        if (redis.program)                                                                         \
            name();                                                                                \
    }                                                                                              \
    static void name(void)

static struct store *open_store(void)
{
    struct error err;
    struct store *s = store_open(redis.url, &err);
    cr_assert_not_null(s, "%s", err.msg);
    return s;
}

static struct store_op make(enum store_action action, const char *callback_id, const char *payload)
{
    struct store_op op = { .action = action, .now_ms = 5000, .limit = 10, .lease_ms = 60000 };
    if (callback_id)
        token_public_id(callback_id, op.id);
    op.who = (struct callback_holder){ callback_id, CALLBACK_BY_JOB, EXPIRES, NULL };
    op.registration = (struct callback_registration){ .workflow = "w", .job = "j" };
    op.registration.heartbeat_s = 10;
    op.report = (struct callback_report){ .kind = CALLBACK_SUCCESS, .media = CALLBACK_JSON };
    if (payload) {
        op.payload.text = mem_dup(payload);
        op.payload.len = strlen(payload);
        digest_sha256(payload, strlen(payload), op.report.sha);
    }
    return op;
}

static void run(struct store *s, struct store_op *op)
{
    struct error err;
    cr_assert_eq(store_run(s, &op, 1, &err), 0, "%s", err.msg);
}

static enum callback_verdict once(struct store *s, enum store_action action,
                                  const char *callback_id, const char *payload)
{
    struct store_op op = make(action, callback_id, payload);
    run(s, &op);
    enum callback_verdict verdict = op.verdict;
    store_op_release(&op);
    return verdict;
}

/* ---- several receivers ----------------------------------------------------------------------- */

#define CALLBACKS 200

struct racer {
    pthread_t thread;
    struct store *store;
    const char *body;
    unsigned taken;
    unsigned other;
    unsigned delivered[CALLBACKS];
    bool failed;
};

static void name_callback(char out[16], unsigned i)
{
    snprintf(out, 16, "cb%u", i);
}

static void *report_all(void *arg)
{
    struct racer *r = arg;
    for (unsigned i = 0; i < CALLBACKS && !r->failed; i++) {
        char id[16];
        name_callback(id, i);
        struct store_op op = make(STORE_REPORT, id, r->body), *one = &op;
        struct error err;
        r->failed = store_run(r->store, &one, 1, &err) < 0;
        r->taken += op.verdict == CALLBACK_TAKEN;
        r->other += op.verdict == CALLBACK_OTHER;
        store_op_release(&op);
    }
    return NULL;
}

/* Claims one after another and finishes each, as delivery.c does, with the outcome in one
 * transaction with the next claim. */
static void *deliver_all(void *arg)
{
    struct racer *r = arg;
    struct store_op finish = make(STORE_FINISH, NULL, NULL);
    bool have = false;
    do {
        struct store_op claim = make(STORE_CLAIM, NULL, NULL);
        struct store_op *ops[] = { &claim, &finish };
        struct error err;
        claim.limit = 1;
        r->failed |= store_run(r->store, ops, have ? 2 : 1, &err) < 0;
        have = !r->failed && claim.count > 0;
        if (have) {
            const struct callback *c = &claim.items[0].record;
            r->delivered[strtoul(c->callback_id + 2, NULL, 10)]++;
            store_op_release(&finish);
            finish = make(STORE_FINISH, NULL, NULL);
            memcpy(finish.id, c->id, sizeof(finish.id));
            finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_OK, "", 0 };
        }
        store_op_release(&claim);
    } while (have);
    store_op_release(&finish);
    return NULL;
}

static void race(struct racer *racers, size_t count, void *(*what)(void *))
{
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(pthread_create(&racers[i].thread, NULL, what, &racers[i]), 0);
    for (size_t i = 0; i < count; i++) {
        pthread_join(racers[i].thread, NULL);
        cr_assert_not(racers[i].failed);
    }
}

REDIS_TEST(of_two_receivers_exactly_one_takes_a_report_and_one_delivers_it)
{
    struct racer racers[2] = { { .store = open_store(), .body = "1" },
                               { .store = open_store(), .body = "2" } };
    race(racers, 2, report_all);
    cr_assert_eq(racers[0].taken + racers[1].taken, CALLBACKS);
    cr_assert_eq(racers[0].other + racers[1].other, CALLBACKS);
    race(racers, 2, deliver_all);
    for (unsigned i = 0; i < CALLBACKS; i++)
        cr_assert_eq(racers[0].delivered[i] + racers[1].delivered[i], 1, "%u", i);
    struct store_op count = make(STORE_COUNT, NULL, NULL);
    run(racers[0].store, &count);
    cr_assert_eq(count.counts[CALLBACK_DELIVERED], CALLBACKS);
    cr_assert_eq(count.counts[CALLBACK_ACCEPTED], 0);
    store_close(racers[0].store);
    store_close(racers[1].store);
    cr_assert_eq(redis_server_say(&redis, "XLEN " REDIS_PREFIX "work"), 0, "nothing stays behind");
    cr_assert_eq(redis_server_say(&redis, "ZCARD " REDIS_PREFIX "due"), 0);
}

REDIS_TEST(what_a_crashed_receiver_had_claimed_is_taken_over_by_the_leader)
{
    struct store *crashed = open_store(), *other = open_store();
    (void)once(crashed, STORE_REPORT, "QQ==", "1");
    struct store_op claim = make(STORE_CLAIM, NULL, NULL), judge = make(STORE_JUDGE, NULL, NULL);
    run(crashed, &claim);
    cr_assert_eq(claim.count, 1);
    store_op_release(&claim);
    clock_sleep_ms(clock_system(), 5); /* so that the crashed one was seen before the other */
    run(other, &judge);
    cr_assert_eq(judge.next_ms, 65000, "it is alive: its lease holds");
    /* Nobody has seen it for a long time. */
    redisContext *c = redis_server_connect(&redis);
    redisReply *all = redisCommand(c, "ZRANGE " REDIS_PREFIX "receivers 0 -1");
    cr_assert_eq(all->elements, 2);
    freeReplyObject(all);
    redisFree(c);
    redis_server_say(&redis, "ZREMRANGEBYRANK " REDIS_PREFIX "receivers 0 0");
    judge.now_ms = 6000;
    run(other, &judge);
    cr_assert_eq(judge.next_ms, 65000, "found, and due from the next look on");
    run(other, &judge);
    cr_assert_eq(judge.next_ms, 6000);
    claim.now_ms = 6000;
    run(other, &claim);
    cr_assert_eq(claim.count, 1);
    cr_assert(claim.items[0].record.unanswered);
    cr_assert_eq(claim.items[0].record.attempts, 2);
    cr_assert_str_eq(claim.items[0].body.text, "1");
    store_op_release(&claim);
    store_close(crashed);
    store_close(other);
}

static long long forgotten_at(int64_t ms)
{
    return redis_server_say(&redis, "ZCOUNT " REDIS_PREFIX "expires %lld %lld", (long long)ms,
                            (long long)ms);
}

/* The index that all callbacks share is not written again for each token. */
REDIS_TEST(a_token_that_ends_a_little_later_moves_no_expiry)
{
    struct store *s = open_store();
    static const int64_t later_s[] = { 0, 1, 3599, 3600 };
    for (size_t i = 0; i < ARRAY_LEN(later_s); i++) {
        struct store_op op = make(STORE_HEARTBEAT, "QQ==", NULL);
        op.who.expires_s = EXPIRES + later_s[i];
        run(s, &op);
        cr_assert_eq(op.record.expires_s, EXPIRES + later_s[i]);
        int64_t hours = later_s[i] < 3600 ? 1 : 2;
        cr_assert_eq(forgotten_at((EXPIRES + STORE_KEEP_S + hours * 3600) * 1000), 1);
        store_op_release(&op);
    }
    store_close(s);
}

REDIS_TEST(a_lease_that_ends_makes_it_due_again)
{
    struct store *s = open_store();
    (void)once(s, STORE_REPORT, "QQ==", "1");
    struct store_op claim = make(STORE_CLAIM, NULL, NULL);
    run(s, &claim);
    store_op_release(&claim);
    claim.now_ms = 64999;
    run(s, &claim);
    cr_assert_eq(claim.count, 0);
    claim.now_ms = 65000;
    run(s, &claim);
    cr_assert_eq(claim.count, 1);
    cr_assert(claim.items[0].record.unanswered);
    store_op_release(&claim);
    store_close(s);
}

REDIS_TEST(a_retry_waits_for_its_time_and_comes_once)
{
    struct store *a = open_store(), *b = open_store();
    (void)once(a, STORE_REPORT, "QQ==", "1");
    struct store_op claim = make(STORE_CLAIM, NULL, NULL);
    struct store_op finish = make(STORE_FINISH, "QQ==", NULL);
    finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_RETRY, "busy", 700 };
    run(a, &claim);
    store_op_release(&claim);
    run(a, &finish);
    cr_assert_eq(finish.record.due_ms, 5700);
    claim.now_ms = 5699;
    run(b, &claim);
    cr_assert_eq(claim.count, 0);
    cr_assert_eq(claim.next_ms, 5700);
    claim.now_ms = 5700;
    run(b, &claim);
    cr_assert_eq(claim.count, 1);
    cr_assert_not(claim.items[0].record.unanswered);
    store_op_release(&claim);
    run(a, &claim);
    cr_assert_eq(claim.count, 0);
    store_close(a);
    store_close(b);
}

REDIS_TEST(one_receiver_judges_and_another_when_it_is_gone)
{
    struct store *a = open_store(), *b = open_store();
    struct store_op judge = make(STORE_JUDGE, NULL, NULL);
    judge.now_ms = 100000;
    (void)once(a, STORE_HEARTBEAT, "QQ==", NULL);
    run(b, &judge); /* leads, and finds one that has been silent */
    cr_assert_eq(judge.count, 1);
    store_op_release(&judge);
    (void)once(a, STORE_HEARTBEAT, "QUE=", NULL);
    run(a, &judge);
    cr_assert_eq(judge.count, 0, "b leads");
    store_close(b);
    run(a, &judge);
    cr_assert_eq(judge.count, 1);
    store_op_release(&judge);
    store_close(a);
}

/* ---- a Redis that goes away ------------------------------------------------------------------ */

REDIS_TEST(a_killed_redis_has_lost_nothing_and_is_found_again)
{
    struct store *s = open_store();
    for (unsigned i = 0; i < 50; i++) {
        char id[16];
        name_callback(id, i);
        cr_assert_eq(once(s, STORE_REPORT, id, "1"), CALLBACK_TAKEN);
    }
    program_kill(redis.program);
    struct store_op op = make(STORE_REPORT, "QQ==", "2"), *one = &op;
    struct error err;
    cr_assert_eq(store_run(s, &one, 1, &err), -1);
    cr_assert(err.retryable, "%s", err.msg);
    cr_assert_eq(store_run(s, &one, 1, &err), -1, "it does not wait");
    redis_server_restart(&redis);
    int64_t until = clock_mono_ms(clock_system()) + 10000;
    while (store_run(s, &one, 1, &err) < 0) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s", err.msg);
        clock_sleep_ms(clock_system(), 10);
    }
    cr_assert_eq(op.verdict, CALLBACK_TAKEN);
    store_op_release(&op);
    struct store_op claim = make(STORE_CLAIM, NULL, NULL);
    claim.limit = 100;
    run(s, &claim);
    cr_assert_eq(claim.count, 51);
    store_op_release(&claim);
    redis_server_restart(&redis);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "2"), CALLBACK_SAME,
                 "an old connection is no error");
    store_close(s);
}

REDIS_TEST(a_replica_is_left_for_a_new_connection)
{
    struct store *s = open_store();
    struct store_op op = make(STORE_REPORT, "QQ==", "1"), *one = &op;
    struct error err;
    redis_server_say(&redis, "REPLICAOF 127.0.0.1 1");
    cr_assert_eq(store_run(s, &one, 1, &err), -1);
    cr_assert_eq(err.code, ERR_UNAVAILABLE, "%s", err.msg);
    cr_assert_not_null(strstr(err.msg, "READONLY"), "%s", err.msg);
    redis_server_say(&redis, "REPLICAOF NO ONE");
    int64_t until = clock_mono_ms(clock_system()) + 10000;
    while (store_run(s, &one, 1, &err) < 0) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s", err.msg);
        clock_sleep_ms(clock_system(), 10);
    }
    cr_assert_eq(op.verdict, CALLBACK_TAKEN);
    store_op_release(&op);
    store_close(s);
}

REDIS_TEST(scripts_and_group_that_redis_forgot_are_made_again)
{
    struct store *s = open_store();
    redis_server_say(&redis, "SCRIPT FLUSH");
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_TAKEN);
    redis_server_say(&redis, "FLUSHALL");
    struct store_op claim = make(STORE_CLAIM, NULL, NULL);
    run(s, &claim);
    cr_assert_eq(claim.count, 0);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_TAKEN);
    run(s, &claim);
    cr_assert_eq(claim.count, 1);
    store_op_release(&claim);
    store_close(s);
}

REDIS_TEST(a_full_redis_refuses_and_keeps_what_it_has)
{
    struct store *s = open_store();
    struct store_op op = make(STORE_REPORT, "QUE=", "2"), *one = &op;
    struct error err;
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_TAKEN);
    redis_server_say(&redis, "CONFIG SET maxmemory 1");
    cr_assert_eq(store_run(s, &one, 1, &err), -1);
    cr_assert_not_null(strstr(err.msg, "OOM"), "%s", err.msg);
    redis_server_say(&redis, "CONFIG SET maxmemory 0");
    int64_t until = clock_mono_ms(clock_system()) + 10000;
    while (store_run(s, &one, 1, &err) < 0) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s", err.msg);
        clock_sleep_ms(clock_system(), 10);
    }
    cr_assert_eq(op.verdict, CALLBACK_TAKEN, "nothing of it had happened");
    store_op_release(&op);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_SAME);
    store_close(s);
}

/* ---- what is not ours ------------------------------------------------------------------------ */

REDIS_TEST(a_batch_happens_whole_or_not_at_all)
{
    struct store *s = open_store();
    struct store_op ops[3] = { make(STORE_REGISTER, "QQ==", "1"), make(STORE_REPORT, "QUE=", "2"),
                               make(STORE_REGISTER, "QUI=", "3") };
    struct store_op *all[] = { &ops[0], &ops[1], &ops[2] };
    struct error err;
    redis_server_say(&redis, "SET " REDIS_PREFIX "r:%s mine", ops[2].id);
    cr_assert_eq(store_run(s, all, 3, &err), -1);
    cr_assert_eq(err.code, ERR_CONFLICT, "%s", err.msg);
    redis_server_say(&redis, "DEL " REDIS_PREFIX "r:%s", ops[2].id);
    redis_server_say(&redis, "HSET " REDIS_PREFIX "r:%s v 1 r nonsense", ops[2].id);
    cr_assert_eq(store_run(s, all, 3, &err), -1);
    cr_assert_eq(err.code, ERR_CONFLICT, "a record of format 'n': %s", err.msg);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(once(s, STORE_READ, ops[i].who.callback_id, NULL), CALLBACK_NONE);
    redis_server_say(&redis, "DEL " REDIS_PREFIX "r:%s", ops[2].id);
    cr_assert_eq(store_run(s, all, 3, &err), 0, "the store goes on: %s", err.msg);
    cr_assert_eq(ops[0].verdict, CALLBACK_CREATED);
    cr_assert_eq(ops[1].verdict, CALLBACK_TAKEN);
    for (size_t i = 0; i < 3; i++)
        store_op_release(&ops[i]);
    store_close(s);
}

REDIS_TEST(a_newer_version_and_keys_of_others_are_refused)
{
    static const struct {
        const char *command, *key, *value, *says;
    } cases[] = {
        { "SET", REDIS_PREFIX "schema", "999", "999" },
        { "SET", REDIS_PREFIX "schema", "x", "no version" },
        { "SADD", REDIS_PREFIX "schema", "1", "schema" },
        { "SET", REDIS_PREFIX "work", "1", "work" },
        { "SADD", REDIS_PREFIX "state:3", "1", "state:3" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err;
        redis_server_say(&redis, "FLUSHALL");
        redis_server_say(&redis, "%s %s %s", cases[i].command, cases[i].key, cases[i].value);
        cr_assert_null(store_open(redis.url, &err), "case %zu", i);
        cr_assert_eq(err.code, ERR_CONFLICT, "case %zu: %s", i, err.msg);
        cr_assert_not_null(strstr(err.msg, cases[i].says), "case %zu: %s", i, err.msg);
    }
}

REDIS_TEST(all_keys_are_in_one_slot)
{
    struct store *s = open_store();
    (void)once(s, STORE_REGISTER, "QQ==", "1");
    (void)once(s, STORE_REPORT, "QQ==", "1");
    struct store_op judge = make(STORE_JUDGE, NULL, NULL);
    run(s, &judge);
    (void)once(s, STORE_PROBE, NULL, NULL);
    redisContext *c = redis_server_connect(&redis);
    redisReply *keys = redisCommand(c, "KEYS *");
    cr_assert_geq(keys->elements, 6);
    for (size_t i = 0; i < keys->elements; i++)
        cr_assert_eq(strncmp(keys->element[i]->str, "{callbacks}:", 12), 0, "%s",
                     keys->element[i]->str);
    freeReplyObject(keys);
    redisFree(c);
    store_close(s);
}

/* ---- where Redis is -------------------------------------------------------------------------- */

Test(store_redis, a_cluster_of_one_node, .fini = teardown)
{
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&redis, (const char *const[]){ "--cluster-enabled", "yes", NULL });
    if (!redis.program)
        return;
    redis_server_say(&redis, "CLUSTER ADDSLOTSRANGE 0 16383");
    struct error err;
    struct store *s = NULL;
    int64_t until = clock_mono_ms(clock_system()) + 10000;
    while (!(s = store_open(redis.url, &err))) { /* it takes a moment to call itself a cluster */
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s", err.msg);
        clock_sleep_ms(clock_system(), 10);
    }
    cr_assert_eq(once(s, STORE_REGISTER, "QQ==", "1"), CALLBACK_CREATED);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_TAKEN);
    struct store_op claim = make(STORE_CLAIM, NULL, NULL);
    run(s, &claim);
    cr_assert_eq(claim.count, 1);
    store_op_release(&claim);
    store_close(s);
}

Test(store_redis, user_password_and_database, .fini = teardown)
{
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&redis, NULL);
    if (!redis.program)
        return;
    redis_server_say(&redis, "ACL SETUSER ann on >s@cret ~{callbacks}:* +@all");
    /* The last command that needs no password. */
    redis_server_say(&redis, "CONFIG SET requirepass other");
    struct error err;
    for (size_t i = 0; i < 3; i++) {
        auto_free char *url = NULL;
        url = mem_printf(i == 2   ? "redis://ann:s%%40cret@127.0.0.1:%d/99"
                         : i == 1 ? "redis://:wrong@127.0.0.1:%d"
                                  : "redis://127.0.0.1:%d",
                         redis.port);
        cr_assert_null(store_open(url, &err), "case %zu", i);
        cr_assert_null(strstr(err.msg, "s@cret"), "%s", err.msg);
        if (i < 2)
            cr_assert_eq(err.code, ERR_DENIED, "case %zu: %s", i, err.msg);
    }
    auto_free char *url = mem_printf("redis://ann:s%%40cret@127.0.0.1:%d/3", redis.port);
    struct store *s = store_open(url, &err);
    cr_assert_not_null(s, "%s", err.msg);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_TAKEN);
    store_close(s);
    auto_free char *by_password = mem_printf("redis://:other@127.0.0.1:%d/3", redis.port);
    s = store_open(by_password, &err);
    cr_assert_not_null(s, "%s", err.msg);
    cr_assert_eq(once(s, STORE_REPORT, "QQ==", "1"), CALLBACK_SAME, "the same database");
    store_close(s);
}
