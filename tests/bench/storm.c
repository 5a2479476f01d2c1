#include "tests/bench/storm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "local/stack/program.h"
#include "shared/aws/http.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "tests/bench/redis_server.h"
#include "tests/bench/small_disk.h"
#include "tests/bench/storm_jobs.h"

#define RECEIVERS   8
#define READY_MS    30000
#define STUCK_MS    90000 /* without any progress */
#define START_MS    10000 /* who ends later than that had begun to serve */
#define RETRY_MS    200
#define FULL_MS     300
#define FULL_MORE   1200
#define RECORDS_MAX ((size_t)64 << 20)

struct storm {
    const struct storm_options *o;
    struct storm_result *out;
    char *dir;
    char *data; /* the store's folder in it */
    struct small_disk *disk;
    struct program *engine;
    char *engine_url;
    struct redis_server *redis;
    struct program *receivers[RECEIVERS];
    uint16_t ports[RECEIVERS];
    bool dead[RECEIVERS];
    int64_t started_ms[RECEIVERS];
    struct storm_jobs *jobs;
    struct http_client *http;
    uint64_t random;
    unsigned next_kill, next_redis_kill, next_full; /* when so many jobs are done */
    int64_t room_ms;                                /* the disk is full until then */
    unsigned refused_before;
};

/* xorshift64*: the same moments for the same seed. */
static unsigned pick(struct storm *s, unsigned below)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (unsigned)((s->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

/* Somewhere in part n of `parts` equal parts of the whole. */
static unsigned moment(struct storm *s, unsigned n, unsigned parts)
{
    unsigned part = s->o->reports / parts;
    return n < parts ? n * part + pick(s, part ? part : 1) : UINT32_MAX;
}

/* ---- programs -------------------------------------------------------------------------------- */

static int start_engine(struct storm *s, struct error *err)
{
    auto_free char *log = mem_printf("%s/engine.log", s->dir);
    auto_free char *fail = mem_printf("--fail=%u", s->o->fail_percent);
    auto_free char *close = mem_printf("--close=%u", s->o->close_percent);
    auto_free char *seed = mem_printf("--seed=%llu", (unsigned long long)s->o->seed);
    const char *argv[] = { s->o->engine_stub, fail, close, seed, NULL };
    const char *env[] = { NULL };
    s->engine = program_start(argv, env, log, err);
    if (!s->engine || program_wait_ready(s->engine, READY_MS, err) < 0)
        return -1;
    s->engine_url = program_url(s->engine, "engine");
    return 0;
}

static char *store_url(const struct storm *s)
{
    return s->redis ? mem_printf("redis://127.0.0.1:%d/0", redis_server_port(s->redis))
                    : mem_printf("sqlite:%s/c.db", s->data);
}

static int start_receiver(struct storm *s, unsigned i, struct error *err)
{
    s->ports[i] = (uint16_t)program_free_port();
    auto_free char *path = mem_printf("%s/callback-receiver", s->o->bin_dir);
    auto_free char *log = mem_printf("%s/receiver%u.log", s->dir, i);
    auto_free char *listen = mem_printf("LISTEN=127.0.0.1:%u", s->ports[i]);
    auto_free char *url = store_url(s);
    auto_free char *store = mem_printf("CALLBACK_STORE=%s", url);
    auto_free char *endpoint = mem_printf("AWS_ENDPOINT_URL=%s", s->engine_url);
    const char *argv[] = { path, NULL };
    const char *env[] = { listen,
                          store,
                          endpoint,
                          "OPS_LISTEN=127.0.0.1:0",
                          "CALLBACK_TOKEN_KEYS=" STORM_KEYS,
                          "AWS_REGION=us-east-1",
                          "AWS_ACCESS_KEY_ID=test",
                          "AWS_SECRET_ACCESS_KEY=test",
                          "RETRY_BASE_MS=20",
                          "RETRY_CAP_MS=500",
                          "LOG_LEVEL=warn",
                          "ASAN_OPTIONS=abort_on_error=1:detect_leaks=1",
                          "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1",
                          NULL };
    s->receivers[i] = program_start(argv, env, log, err);
    s->started_ms[i] = clock_mono_ms(clock_system());
    return s->receivers[i] ? 0 : -1;
}

static int restart_receiver(struct storm *s, unsigned i, struct error *err)
{
    s->dead[i] = false;
    s->started_ms[i] = clock_mono_ms(clock_system());
    return program_restart(s->receivers[i], err);
}

static int await_port(struct storm *s, unsigned i, struct error *err)
{
    auto_free char *url = mem_printf("http://127.0.0.1:%u/healthz", s->ports[i]);
    struct http_request req = { .method = "GET", .url = url, .timeout_ms = 2000 };
    int64_t until = clock_mono_ms(clock_system()) + READY_MS;
    for (;;) {
        auto_response struct http_response resp = { 0 };
        if (http_send(s->http, &req, &resp, err) == 0 && resp.status == 200)
            return 0;
        if (!program_running(s->receivers[i]) || clock_mono_ms(clock_system()) > until)
            return error_set(err, ERR_UNAVAILABLE, 0, "receiver %u does not serve: see its log", i);
        clock_sleep_ms(clock_system(), 10);
    }
}

/* Does the log of receiver 0 say that this build has no such store? */
static bool no_such_store(struct storm *s)
{
    auto_free char *path = mem_printf("%s/receiver0.log", s->dir);
    char text[4096] = "";
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    return n > 0 && strstr(text, "not in this build");
}

static int lay_disk(struct storm *s, struct error *err)
{
    s->dir = folder_new("storm", err);
    if (!s->dir)
        return -1;
    s->data = mem_printf("%s/store", s->dir);
    if (mkdir(s->data, 0700) < 0)
        return error_set_errno(err, errno, "cannot make %s", s->data);
    if (s->o->fulls == 0)
        return 0;
    if (small_disk_possible(err) < 0)
        return 1;
    s->disk = small_disk_new(s->data, err);
    return s->disk ? 0 : -1;
}

static int set_up(struct storm *s, struct error *err)
{
    int rc = lay_disk(s, err);
    if (rc != 0)
        return rc;
    s->http = http_client_new(err);
    if (!s->http)
        return -1;
    if (s->o->store != STORM_SQLITE) {
        s->redis = redis_server_start(s->data, s->o->store == STORM_CLUSTER, err);
        if (!s->redis)
            return err->code == ERR_NOT_FOUND ? 1 : -1;
    }
    if (start_engine(s, err) < 0)
        return -1;
    for (unsigned i = 0; i < s->o->receivers; i++) {
        if (start_receiver(s, i, err) < 0)
            return -1;
        if (await_port(s, i, err) == 0)
            continue;
        if (i > 0 || !no_such_store(s))
            return -1;
        error_set(err, ERR_NOT_FOUND, 0, "a Redis store is not in this build");
        return 1;
    }
    s->jobs = storm_jobs_new(s->o->reports, s->o->clients, s->o->seed, err);
    return s->jobs ? 0 : -1;
}

static void tear_down(struct storm *s, bool keep)
{
    for (unsigned i = 0; i < RECEIVERS; i++)
        program_free(s->receivers[i]);
    program_free(s->engine);
    redis_server_free(s->redis);
    storm_jobs_free(s->jobs);
    http_client_free(s->http);
    struct error err;
    if (small_disk_free(s->disk, keep, &err) < 0)
        fprintf(stderr, "storm: %s\n", err.msg);
    if (s->dir && !keep)
        folder_remove(s->dir, NULL);
    free(s->data);
    free(s->engine_url);
    free(s->dir);
}

/* ---- the storm ------------------------------------------------------------------------------- */

/* A receiver that has ended by itself has failed, unless it could not open its store at its start:
 * then it says so, and is started again, as a supervisor would. */
static int check_receivers(struct storm *s, struct error *err)
{
    int64_t now = clock_mono_ms(clock_system());
    for (unsigned i = 0; i < s->o->receivers; i++) {
        if (s->dead[i] || program_running(s->receivers[i]))
            continue;
        bool early = now < s->started_ms[i] + START_MS;
        if (!early || s->o->fulls == 0 || program_stop(s->receivers[i], 0) != EXIT_FAILURE)
            return error_set(err, ERR_INTERNAL, 0, "receiver %u ended by itself: see its log", i);
        if (now >= s->started_ms[i] + RETRY_MS && restart_receiver(s, i, err) < 0)
            return -1;
    }
    return 0;
}

/* Kills one. Of several the last stays alive; a dead one comes back when the next is killed, except
 * for the last kills, after which all but one are dead. */
static int kill_one(struct storm *s, struct error *err)
{
    unsigned many = s->o->receivers > 1 ? s->o->receivers - 1 : 1;
    unsigned left = s->o->kills - s->out->kills; /* this one included */
    unsigned victim = left <= many ? left - 1 : pick(s, many);
    for (unsigned i = 0; i < many; i++) {
        if (!s->dead[i] || (left < many && i != victim))
            continue;
        if (restart_receiver(s, i, err) < 0)
            return -1;
    }
    program_kill(s->receivers[victim]);
    s->dead[victim] = true;
    s->out->kills++;
    s->next_kill = moment(s, s->out->kills, s->o->kills);
    return s->o->receivers > 1 ? 0 : restart_receiver(s, victim, err);
}

static int make_room(struct storm *s, struct error *err)
{
    s->room_ms = 0;
    s->out->refused += storm_jobs_refused(s->jobs) - s->refused_before;
    if (small_disk_room(s->disk, err) < 0)
        return -1;
    return s->redis ? redis_server_mend(s->redis, err) : 0;
}

/* Full for a while, whatever is done meanwhile. */
static int fill_disk(struct storm *s, struct error *err)
{
    if (s->room_ms && clock_mono_ms(clock_system()) < s->room_ms)
        return 0;
    if (s->room_ms)
        return make_room(s, err);
    if (s->out->fulls == s->o->fulls || storm_jobs_done(s->jobs) < s->next_full)
        return 0;
    s->out->fulls++;
    s->next_full = moment(s, s->out->fulls, s->o->fulls);
    s->room_ms = clock_mono_ms(clock_system()) + FULL_MS + pick(s, FULL_MORE);
    s->refused_before = storm_jobs_refused(s->jobs);
    return small_disk_fill(s->disk, err);
}

static int kill_some(struct storm *s, struct error *err)
{
    unsigned done = storm_jobs_done(s->jobs);
    if (s->out->kills < s->o->kills && done >= s->next_kill && kill_one(s, err) < 0)
        return -1;
    if (s->out->redis_kills < s->o->redis_kills && done >= s->next_redis_kill && !s->room_ms) {
        if (redis_server_bounce(s->redis, err) < 0)
            return -1;
        s->out->redis_kills++;
        s->next_redis_kill = moment(s, s->out->redis_kills, s->o->redis_kills);
    }
    return fill_disk(s, err);
}

/* One round of all jobs: registering and reporting, with kills, or asking as the launcher. */
static int round_of(struct storm *s, bool storms, struct error *err)
{
    struct swarm_hooks hooks = storm_jobs_hooks(s->jobs);
    struct swarm *swarm = swarm_new(s->ports, s->o->receivers, s->o->clients, &hooks, err);
    int rc = swarm ? 0 : -1;
    unsigned seen = 0;
    int64_t since = clock_mono_ms(clock_system());
    while (rc == 0 && storm_jobs_done(s->jobs) < s->o->reports) {
        swarm_step(swarm, 5);
        rc = storm_jobs_fault(s->jobs, err);
        if (rc == 0 && storms)
            rc = kill_some(s, err);
        if (rc == 0)
            rc = check_receivers(s, err);
        int64_t now = clock_mono_ms(clock_system());
        if (storm_jobs_done(s->jobs) != seen) {
            seen = storm_jobs_done(s->jobs);
            since = now;
        } else if (rc == 0 && now - since > STUCK_MS) {
            rc = error_set(err, ERR_TIMEOUT, 0, "stuck: %u of %u jobs %s", seen, s->o->reports,
                           storms ? "reported" : "settled");
        }
        if (!storms)
            clock_sleep_ms(clock_system(), 5); /* asks again and again: not all the time */
    }
    swarm_free(swarm);
    return rc;
}

static int compare(struct storm *s, struct error *err)
{
    struct storm_counts counts;
    auto_response struct http_response resp = { 0 };
    auto_free char *url = mem_printf("%s/_stub/records", s->engine_url);
    struct http_request req = {
        .method = "GET", .url = url, .timeout_ms = 30000, .max_response = RECORDS_MAX
    };
    if (http_send(s->http, &req, &resp, err) < 0)
        return -1;
    auto_free char *text = buf_take(&resp.body, NULL);
    int rc = storm_jobs_compare(s->jobs, text, &counts, err);
    s->out->accepted = counts.accepted;
    s->out->delivered = counts.delivered;
    s->out->held = counts.held;
    s->out->retries = counts.retries;
    s->out->conflicts = counts.conflicts;
    return rc;
}

static int count_calls(struct storm *s, struct error *err)
{
    auto_response struct http_response resp = { 0 };
    auto_json struct json_object *o = NULL;
    auto_free char *url = mem_printf("%s/_stub/count", s->engine_url);
    struct http_request req = { .method = "GET", .url = url, .timeout_ms = 5000 };
    if (http_send(s->http, &req, &resp, err) < 0 ||
        json_parse_str(buf_str(&resp.body), &o, err) < 0)
        return -1;
    s->out->calls = (unsigned)json_get_int(o, "calls", 0);
    return 0;
}

int storm_run(const struct storm_options *o, struct storm_result *out, struct error *err)
{
    struct storm s = { .o = o, .out = out, .random = o->seed * 2 + 1 };
    int64_t began = clock_mono_ms(clock_system());
    *out = (struct storm_result){ 0 };
    if (o->receivers < 1 || o->receivers > RECEIVERS)
        return error_set(err, ERR_INVALID, 0, "receivers: must be 1 to %d", RECEIVERS);
    http_global_init();
    int rc = set_up(&s, err);
    if (rc == 0) {
        s.next_kill = o->kills ? moment(&s, 0, o->kills) : UINT32_MAX;
        s.next_redis_kill = o->redis_kills ? moment(&s, 0, o->redis_kills) : UINT32_MAX;
        s.next_full = o->fulls ? moment(&s, 0, o->fulls) : UINT32_MAX;
        rc = round_of(&s, true, err);
    }
    if (rc == 0 && s.room_ms)
        rc = make_room(&s, err);
    if (rc == 0) {
        storm_jobs_judge(s.jobs);
        rc = round_of(&s, false, err);
        out->seconds = (double)(clock_mono_ms(clock_system()) - began) / 1000;
    }
    if (rc == 0)
        rc = count_calls(&s, err);
    if (rc == 0)
        rc = compare(&s, err);
    if (rc < 0)
        error_wrap(err, "storm of seed %llu, logs in %s", (unsigned long long)o->seed,
                   s.dir ? s.dir : "no folder");
    tear_down(&s, rc < 0);
    http_global_cleanup();
    return rc;
}
