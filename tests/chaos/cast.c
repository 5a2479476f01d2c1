#include "tests/chaos/cast.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "local/stack/stack_config.h"
#include "shared/base/clock.h"

#define READY_MS 60000
#define STOP_MS  30000
#define RETRY_MS 300

/* ---- the ground -------------------------------------------------------------------------------*/

static int make_folder(const char *path, struct error *err)
{
    return mkdir(path, 0700) == 0 ? 0 : error_set_errno(err, errno, "cannot make %s", path);
}

/* The tasks' own disks are others': a job whose disk is full fails, and rightly. */
static int lay_disks(struct cast *c, bool small, const char *redis_dir, const char *state_dir,
                     struct error *err)
{
    auto_free char *tasks = mem_printf("%s/tasks", c->folder);
    auto_free char *place = mem_printf("%s/tasks", state_dir);
    if (make_folder(redis_dir, err) < 0 || make_folder(state_dir, err) < 0)
        return -1;
    if (!small)
        return 0;
    c->disks[DISK_REDIS] = small_disk_new(redis_dir, err);
    c->disks[DISK_STATE] = c->disks[DISK_REDIS] ? small_disk_new(state_dir, err) : NULL;
    if (!c->disks[DISK_STATE] || make_folder(tasks, err) < 0 || make_folder(place, err) < 0)
        return -1;
    return small_disk_except(place, tasks, err);
}

static int build_roads(struct cast *c, uint64_t seed, const int *receivers, int aws,
                       struct error *err)
{
    const int redis = redis_server_port(c->redis);
    const int ends[CAST_ROADS] = {
        [ROAD_REDIS_A] = redis, [ROAD_REDIS_B] = redis,       [ROAD_LAMBDA_A] = aws,
        [ROAD_LAMBDA_B] = aws,  [ROAD_LAUNCHER_LAMBDA] = aws, [ROAD_LAUNCHER_ECS] = aws,
    };
    for (int i = 0; i < CAST_ROADS; i++) {
        bool reports = i == ROAD_REPORTS;
        c->ports[i] = program_free_port();
        const struct relay_options o = { .port = c->ports[i],
                                         .targets = reports ? receivers : &ends[i],
                                         .target_count = reports ? CAST_RECEIVERS : 1,
                                         .seed = seed + (uint64_t)i,
                                         .fickle = reports };
        c->relays[i] = relay_start(&o, err);
        if (!c->relays[i])
            return -1;
    }
    return 0;
}

static char *by_road(const struct cast *c, const char *variable, const char *scheme,
                     enum cast_road road)
{
    return mem_printf("%s=%s://127.0.0.1:%d", variable, scheme, c->ports[road]);
}

/* ---- the programs -----------------------------------------------------------------------------*/

static int start_stack(struct cast *c, const char *bin_dir, const char *state_dir, int port,
                       int aws_port, struct error *err)
{
    auto_free char *store = by_road(c, "CALLBACK_STORE", "redis", ROAD_REDIS_A);
    auto_free char *engine = by_road(c, "AWS_ENDPOINT_URL", "http", ROAD_LAMBDA_A);
    auto_free char *base = by_road(c, "CALLBACK_BASE_URL", "http", ROAD_REPORTS);
    auto_free char *lambda = by_road(c, "AWS_ENDPOINT_URL_LAMBDA", "http", ROAD_LAUNCHER_LAMBDA);
    auto_free char *ecs = by_road(c, "AWS_ENDPOINT_URL_ECS", "http", ROAD_LAUNCHER_ECS);
    const char *receiver_env[] = { store, engine, NULL };
    const char *launcher_env[] = { base, lambda, ecs, NULL };
    const struct stack_options o = { .bin_dir = bin_dir,
                                     .state_dir = state_dir,
                                     .callbacks_port = port,
                                     .aws_port = aws_port,
                                     .launcher_env = launcher_env,
                                     .receiver_env = receiver_env,
                                     .events = true };
    c->stack = stack_start(&o, err);
    return c->stack ? 0 : -1;
}

static int start_second(struct cast *c, const char *bin_dir, int port, struct error *err)
{
    int ops = program_free_port();
    auto_free char *program = mem_printf("%s/callback-receiver", bin_dir);
    auto_free char *log = mem_printf("%s/callback-receiver-b.log", c->folder);
    auto_free char *listen = mem_printf("LISTEN=127.0.0.1:%d", port);
    auto_free char *ops_listen = mem_printf("OPS_LISTEN=127.0.0.1:%d", ops);
    auto_free char *store = by_road(c, "CALLBACK_STORE", "redis", ROAD_REDIS_B);
    auto_free char *engine = by_road(c, "AWS_ENDPOINT_URL", "http", ROAD_LAMBDA_B);
    auto_secret char *keys = mem_printf("CALLBACK_TOKEN_KEYS=%s", stack_token_keys(c->stack));
    const char *argv[] = { program, NULL };
    const char *env[] = { listen,
                          ops_listen,
                          store,
                          engine,
                          keys,
                          "AWS_REGION=us-east-1",
                          "AWS_ACCESS_KEY_ID=test",
                          "AWS_SECRET_ACCESS_KEY=test",
                          "AWS_SESSION_TOKEN=callback-receiver",
                          STACK_SANITIZER_ENV,
                          NULL };
    c->second_ops = mem_printf("http://127.0.0.1:%d", ops);
    c->second = program_start(argv, env, log, err);
    return c->second ? program_wait_ready(c->second, READY_MS, err) : -1;
}

static int connect_clients(struct cast *c, struct error *err)
{
    c->aws_options = (struct aws_options){ .region = mem_dup("us-east-1"),
                                           .endpoint = mem_dup(stack_aws_url(c->stack)),
                                           .access_key = mem_dup("test"),
                                           .secret_key = mem_dup("test"),
                                           .session_token = mem_dup("chaos") };
    c->api = api_new(stack_http_url(c->stack), err);
    c->local = c->api ? api_new(stack_aws_url(c->stack), err) : NULL;
    c->aws = c->local ? aws_new(&c->aws_options, clock_system(), err) : NULL;
    return c->aws ? 0 : -1;
}

int cast_start(struct cast *c, const struct cast_options *o, struct error *err)
{
    *c = (struct cast){ .folder = mem_dup(o->folder) };
    auto_free char *redis_dir = mem_printf("%s/redis", o->folder);
    auto_free char *state_dir = mem_printf("%s/state", o->folder);
    const int receivers[CAST_RECEIVERS] = { program_free_port(), program_free_port() };
    const int aws = program_free_port();
    if (lay_disks(c, o->disks, redis_dir, state_dir, err) < 0)
        return -1;
    c->redis = redis_server_start(redis_dir, false, err);
    if (!c->redis || build_roads(c, o->seed, receivers, aws, err) < 0 ||
        start_stack(c, o->bin_dir, state_dir, receivers[0], aws, err) < 0 ||
        start_second(c, o->bin_dir, receivers[1], err) < 0)
        return -1;
    return connect_clients(c, err);
}

/* ---- what happens to them ---------------------------------------------------------------------*/

static struct program *program_of(struct cast *c, enum cast_part part)
{
    if (part == CAST_RECEIVER_B)
        return c->second;
    return stack_program(c->stack, part == CAST_LOCAL_AWS ? STACK_LOCAL_AWS : STACK_RECEIVER);
}

/* Receiver B needs no disk of these. */
static bool on_full_disk(const struct cast *c, enum cast_part part)
{
    return part != CAST_RECEIVER_B && small_disk_full(c->disks[DISK_STATE]);
}

void cast_kill(struct cast *c, enum cast_part part)
{
    c->down[part] = true;
    program_kill(program_of(c, part));
}

static int start(struct cast *c, enum cast_part part, struct error *err)
{
    c->down[part] = false;
    c->excused[part] = on_full_disk(c, part);
    c->retry_ms[part] = clock_mono_ms(clock_system()) + RETRY_MS;
    return program_restart(program_of(c, part), err);
}

int cast_revive(struct cast *c, enum cast_part part, struct error *err)
{
    return c->down[part] ? start(c, part, err) : 0;
}

/* Receivers need Redis at their start, local-aws needs room on its disk at any time; both say so
 * and end with status 1. */
static int judge_end(struct cast *c, enum cast_part part, struct error *err)
{
    static const char *const names[] = { "local-aws", "receiver A", "receiver B" };
    struct program *p = program_of(c, part);
    struct error ignored;
    int status = program_stop(p, 0);
    bool served = program_wait_ready(p, 0, &ignored) == 0;
    bool may_end = part == CAST_LOCAL_AWS ? c->excused[part] : !served;
    if (status == EXIT_FAILURE && may_end)
        return 0;
    return error_set(err, ERR_INTERNAL, status, "%s ended by itself with status %d: see its log",
                     names[part], status);
}

int cast_tend(struct cast *c, struct error *err)
{
    for (int i = 0; i < CAST_PARTS; i++) {
        enum cast_part part = (enum cast_part)i;
        if (c->down[part] || c->retry_ms[part] > clock_mono_ms(clock_system()) ||
            program_running(program_of(c, part)))
            continue;
        c->ended[part]++;
        if (judge_end(c, part, err) < 0 || start(c, part, err) < 0)
            return -1;
    }
    return 0;
}

int cast_bounce_redis(struct cast *c, struct error *err)
{
    int rc = redis_server_bounce(c->redis, err);
    return small_disk_full(c->disks[DISK_REDIS]) ? 0 : rc;
}

int cast_fill(struct cast *c, enum cast_disk disk, struct error *err)
{
    if (!c->disks[disk])
        return 0;
    if (small_disk_fill(c->disks[disk], err) < 0)
        return -1;
    for (int part = 0; part < CAST_PARTS; part++)
        c->excused[part] = c->excused[part] || on_full_disk(c, (enum cast_part)part);
    return 0;
}

int cast_room(struct cast *c, enum cast_disk disk, struct error *err)
{
    if (!small_disk_full(c->disks[disk]))
        return 0;
    if (small_disk_room(c->disks[disk], err) < 0)
        return -1;
    return disk == DISK_REDIS ? redis_server_mend(c->redis, err) : 0;
}

/* The log of one whose disk was full may not say that it serves: it is started once more. */
static int settle(struct cast *c, enum cast_part part, struct error *err)
{
    struct program *p = program_of(c, part);
    int64_t until = clock_mono_ms(clock_system()) + READY_MS;
    if (c->excused[part] && program_running(p)) {
        program_kill(p);
        c->down[part] = true;
    }
    if (cast_revive(c, part, err) < 0)
        return -1;
    while (program_wait_ready(p, READY_MS, err) < 0) {
        if (program_running(p) || clock_mono_ms(clock_system()) > until)
            return -1;
        c->retry_ms[part] = 0;
        if (cast_tend(c, err) < 0)
            return -1;
    }
    return 0;
}

int cast_calm(struct cast *c, struct error *err)
{
    for (int i = 0; i < CAST_ROADS; i++)
        relay_calm(c->relays[i]);
    for (int disk = 0; disk < CAST_DISKS; disk++)
        if (cast_room(c, (enum cast_disk)disk, err) < 0)
            return -1;
    for (int part = 0; part < CAST_PARTS; part++)
        if (settle(c, (enum cast_part)part, err) < 0)
            return -1;
    return 0;
}

const char *cast_ops_url(const struct cast *c, size_t receiver)
{
    return receiver == 0 ? stack_ops_url(c->stack) : c->second_ops;
}

/* ---- the end ----------------------------------------------------------------------------------*/

int cast_stop(struct cast *c, bool keep)
{
    int status = 0;
    struct error ignored;
    aws_free(c->aws);
    api_free(c->local);
    api_free(c->api);
    free(c->aws_options.region);
    free(c->aws_options.endpoint);
    free(c->aws_options.access_key);
    free(c->aws_options.secret_key);
    free(c->aws_options.session_token);
    if (c->second && program_stop(c->second, STOP_MS) != 0)
        status = -1;
    program_free(c->second);
    if (stack_stop(c->stack) < 0)
        status = -1;
    for (int i = 0; i < CAST_ROADS; i++)
        relay_stop(c->relays[i]);
    redis_server_free(c->redis);
    for (int disk = 0; disk < CAST_DISKS; disk++)
        if (small_disk_free(c->disks[disk], keep || status < 0, &ignored) < 0)
            status = -1;
    free(c->second_ops);
    free(c->folder);
    *c = (struct cast){ 0 };
    return status;
}
