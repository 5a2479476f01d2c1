/* kill -9 of the real receiver under load, small: `make chaos-receiver` does the same with 20 kills
 * and 20,000 reports. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/mem.h"
#include "tests/bench/storm.h"
#include "tests/bench/storm_jobs.h"

static void storm(struct storm_options o)
{
    struct storm_result r;
    struct error err = { 0 };
    const char *dir = getenv("BIN_DIR"), *seed = getenv("STORM_SEED");
    o.bin_dir = dir ? dir : "build/bin";
    auto_free char *stub = mem_printf("%s/../tests/bench/engine_stub", o.bin_dir);
    o.engine_stub = stub;
    o.fail_percent = 30;
    o.close_percent = 3;
    o.seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_wall_ms(clock_system()) % 1000000;
    int rc = storm_run(&o, &r, &err);
    if (rc == 1) {
        fprintf(stderr, "skipped: %s\n", err.msg);
        return;
    }
    cr_assert_eq(rc, 0, "STORM_SEED=%llu: %s", (unsigned long long)o.seed, err.msg);
    cr_assert_eq(r.kills, o.kills);
    cr_assert_eq(r.redis_kills, o.redis_kills);
    cr_assert_eq(r.fulls, o.fulls);
    cr_assert(o.fulls == 0 || r.refused > 0, "a full disk refused nothing");
    cr_assert_eq(r.accepted, o.reports);
    cr_assert_eq(r.delivered + r.held, o.reports);
    cr_assert_gt(r.calls, o.reports);
}

Test(receiver_storm, sqlite_loses_nothing)
{
    storm((struct storm_options){
        .store = STORM_SQLITE, .receivers = 1, .kills = 3, .reports = 1200, .clients = 50 });
}

Test(receiver_storm, redis_loses_nothing)
{
    storm((struct storm_options){
        .store = STORM_REDIS, .receivers = 1, .kills = 3, .reports = 800, .clients = 50 });
}

Test(receiver_storm, what_killed_receivers_held_is_taken_over)
{
    storm((struct storm_options){
        .store = STORM_REDIS, .receivers = 3, .kills = 4, .reports = 800, .clients = 50 });
}

Test(receiver_storm, a_killed_redis_loses_nothing)
{
    storm((struct storm_options){
        .store = STORM_REDIS, .receivers = 1, .redis_kills = 2, .reports = 800, .clients = 50 });
}

Test(receiver_storm, a_redis_with_cluster_enabled_works)
{
    storm((struct storm_options){
        .store = STORM_CLUSTER, .receivers = 1, .kills = 2, .reports = 400, .clients = 50 });
}

Test(receiver_storm, a_full_disk_refuses_and_loses_nothing)
{
    storm((struct storm_options){ .store = STORM_SQLITE,
                                  .receivers = 1,
                                  .kills = 2,
                                  .fulls = 3,
                                  .reports = 1200,
                                  .clients = 50 });
}

Test(receiver_storm, a_redis_on_a_full_disk_loses_nothing)
{
    storm((struct storm_options){ .store = STORM_REDIS,
                                  .receivers = 2,
                                  .kills = 2,
                                  .redis_kills = 1,
                                  .fulls = 2,
                                  .reports = 800,
                                  .clients = 50 });
}

/* ---- the checker can fail ------------------------------------------------------------------- */

#define JOBS 12
#define SEED 7ULL

/* What the engine's line of job i is: ID VERB SHA256 CALLS TAKEN CLOSED OTHER. */
struct line {
    const char *verb, *body; /* NULL: the right ones */
    bool missing, closed, other, not_taken;
};

static char *records(unsigned odd, const struct line *line)
{
    auto_buf struct buf all = BUF_INIT(1 << 16);
    for (unsigned i = 0; i < JOBS; i++) {
        const struct line l = i == odd ? *line : (struct line){ 0 };
        bool fails = i % 7 == 3;
        char sha[DIGEST_SHA256_HEX];
        auto_free char *id = mem_printf("callback of job %u in storm %llu", i, SEED);
        auto_free char *body =
            fails ? mem_printf("{\"ErrorType\":\"Storm.Failed\",\"ErrorMessage\":\"%u of %llu\"}",
                               i, SEED)
                  : mem_printf("{\"job\":%u,\"storm\":\"%llu\",\"ok\":true}", i, SEED);
        if (l.missing)
            continue;
        digest_sha256_hex(l.body ? l.body : body, strlen(l.body ? l.body : body), sha);
        encode_base64(&all, id, strlen(id));
        buf_printf(&all, " %s %s 1 %d %d %d\n",
                   l.verb  ? l.verb
                   : fails ? "fail"
                           : "succeed",
                   sha, !l.not_taken, l.closed, l.other);
    }
    return buf_take(&all, NULL);
}

/* One client takes all jobs through a receiver that answers as it should; in the end job `odd` is
 * shown as `shown`. */
static struct storm_jobs *all_told(unsigned odd, const char *shown)
{
    struct error err;
    struct storm_jobs *j = storm_jobs_new(JOBS, 1, SEED, &err);
    cr_assert_not_null(j, "%s", err.msg);
    struct swarm_hooks hooks = storm_jobs_hooks(j);
    const char *bytes;
    size_t len;
    for (int round = 0; round < 2; round++) {
        unsigned asked = 0;
        bool reported = false;
        while (hooks.next(hooks.arg, 0, &bytes, &len)) {
            bool put = strncmp(bytes, "PUT", 3) == 0;
            const char *body = asked == odd ? shown : "{\"state\":\"delivered\"}";
            int status = round == 1 ? 200 : put ? 201 : reported ? 409 : 202;
            unsigned before = storm_jobs_done(j);
            hooks.answer(hooks.arg, 0, status, body, strlen(body));
            asked += round == 1;
            reported = !put && storm_jobs_done(j) == before; /* a contradiction comes next */
            cr_assert_eq(storm_jobs_fault(j, &err), 0, "%s", err.msg);
        }
        cr_assert_eq(storm_jobs_done(j), JOBS);
        if (round == 0)
            storm_jobs_judge(j);
    }
    return j;
}

static void judged(unsigned odd, const char *shown, const struct line *line, const char *wrong)
{
    struct error err = { 0 };
    struct storm_counts counts;
    struct storm_jobs *j = all_told(odd, shown);
    auto_free char *text = records(odd, line);
    int rc = storm_jobs_compare(j, text, &counts, &err);
    cr_expect_eq(rc, wrong ? -1 : 0, "%s: %s", wrong ? wrong : "all is well", err.msg);
    cr_expect(!wrong || strstr(err.msg, wrong), "%s is not: %s", wrong, err.msg);
    storm_jobs_free(j);
}

Test(receiver_storm, the_checker_finds_what_is_lost_doubled_or_wrong)
{
    static const char delivered[] = "{\"state\":\"delivered\"}", dead[] = "{\"state\":\"dead\"}";
    static const char held[] = "{\"state\":\"dead\",\"report\":{\"kind\":\"success\",\"body\":"
                               "\"{\\\"job\\\":5,\\\"storm\\\":\\\"7\\\",\\\"ok\\\":true}\"}}";
    static const char other_held[] =
        "{\"state\":\"dead\",\"report\":{\"kind\":\"success\",\"body\":\"{}\"}}";
    const struct line right = { 0 }, closed = { .closed = true, .not_taken = true };
    judged(5, delivered, &right, NULL);
    judged(5, held, &closed, NULL);
    judged(5, delivered, &(struct line){ .missing = true }, "never sent");
    judged(5, delivered, &(struct line){ .other = true }, "two versions");
    judged(5, delivered, &(struct line){ .body = "{}" }, "wrong result");
    judged(5, delivered, &(struct line){ .verb = "fail" }, "wrong result");
    judged(3, delivered, &(struct line){ .verb = "succeed" }, "wrong result");
    judged(5, delivered, &(struct line){ .not_taken = true }, "not taken");
    judged(5, delivered, &closed, "not held");
    judged(5, dead, &closed, "not held");
    judged(5, other_held, &closed, "not held");
    judged(5, dead, &right, "called dead");
}

Test(receiver_storm, the_checker_finds_a_second_report_that_is_taken)
{
    struct error err = { 0 };
    struct storm_jobs *j = storm_jobs_new(JOBS, 1, SEED, &err);
    struct swarm_hooks hooks = storm_jobs_hooks(j);
    const char *bytes;
    size_t len;
    while (storm_jobs_fault(j, &err) == 0 && hooks.next(hooks.arg, 0, &bytes, &len))
        hooks.answer(hooks.arg, 0, strncmp(bytes, "PUT", 3) == 0 ? 201 : 202, "", 0);
    cr_expect_not_null(strstr(err.msg, "contradiction of job 11"), "%s", err.msg);
    storm_jobs_free(j);
}
