/* kill -9 of the real receiver under load, small: `make chaos-receiver` does the same with 20 kills
 * and 20,000 reports. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/bench/storm.h"

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
