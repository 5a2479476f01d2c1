/* receiver-storm: the kill storm of the receiver (storm.h) with its size by argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"
#include "tests/bench/storm.h"

struct args {
    char *bin_dir, *engine_stub, *store;
    int64_t receivers, kills, redis_kills, fulls, reports, clients, fail, close, seed;
};

static int run(const struct args *a, struct error *err)
{
    static const char *const stores[] = { "sqlite", "redis", "cluster" };
    struct storm_result r;
    size_t store = 0;
    while (store < ARRAY_LEN(stores) && strcmp(stores[store], a->store) != 0)
        store++;
    if (store == ARRAY_LEN(stores))
        return error_set(err, ERR_INVALID, 0, "--store: must be sqlite, redis or cluster");
    struct storm_options o = { .bin_dir = a->bin_dir,
                               .engine_stub = a->engine_stub,
                               .store = (enum storm_store)store,
                               .receivers = (unsigned)a->receivers,
                               .kills = (unsigned)a->kills,
                               .redis_kills = (unsigned)a->redis_kills,
                               .fulls = (unsigned)a->fulls,
                               .reports = (unsigned)a->reports,
                               .clients = (unsigned)a->clients,
                               .fail_percent = (unsigned)a->fail,
                               .close_percent = (unsigned)a->close,
                               .seed = (uint64_t)a->seed };
    printf(
        "%-8s %lld receiver(s), %lld kills, %lld of Redis, %lld times a full disk, %lld reports, "
        "%lld clients, seed %lld\n",
        a->store, (long long)a->receivers, (long long)a->kills, (long long)a->redis_kills,
        (long long)a->fulls, (long long)a->reports, (long long)a->clients, (long long)a->seed);
    fflush(stdout);
    int rc = storm_run(&o, &r, err);
    if (rc == 1)
        printf("         skipped: %s\n", err->msg);
    if (rc == 0)
        printf("         nothing lost in %.1f s: %u accepted = %u delivered once + %u held; "
               "%u requests retried (%u had a 503 from a full disk), %u contradictions refused, %u "
               "calls to the engine\n",
               r.seconds, r.accepted, r.delivered, r.held, r.retries, r.refused, r.conflicts,
               r.calls);
    return rc;
}

int main(int argc, char **argv)
{
    struct args a;
    struct error err = { 0 };
    auto_free char *now = mem_printf("%lld", (long long)(clock_wall_ms(clock_system()) % 1000000));
    const struct opt table[] = {
        { "bin-dir", "BIN_DIR", OPT_STR, &a.bin_dir, "build/bin", 0, 0, "DIR",
          "of callback-receiver" },
        { "engine-stub", NULL, OPT_STR, &a.engine_stub, "build/tests/bench/engine_stub", 0, 0,
          "FILE", "the engine" },
        { "store", NULL, OPT_STR, &a.store, "sqlite", 0, 0, "WORD", "sqlite, redis or cluster" },
        { "receivers", NULL, OPT_INT, &a.receivers, "1", 1, 8, "N",
          "of which the last is not killed where there are several" },
        { "kills", NULL, OPT_INT, &a.kills, "20", 0, 1000, "N", "of receivers" },
        { "redis-kills", NULL, OPT_INT, &a.redis_kills, "0", 0, 1000, "N", "of Redis" },
        { "fulls", NULL, OPT_INT, &a.fulls, "0", 0, 1000, "N", "times that the disk is full" },
        { "reports", NULL, OPT_INT, &a.reports, "20000", 1, 500000, "N", "in all" },
        { "clients", NULL, OPT_INT, &a.clients, "200", 1, 1000, "N", "at once" },
        { "fail", NULL, OPT_INT, &a.fail, "30", 0, 90, "PERCENT", "of the engine's calls" },
        { "close", NULL, OPT_INT, &a.close, "3", 0, 100, "PERCENT",
          "of callbacks that the engine closes first" },
        { "seed", NULL, OPT_INT, &a.seed, now, 0, INT64_MAX / 4, "N", "decides who dies when" },
    };
    const struct opts o = { .program = "receiver_storm",
                            .synopsis = "[options]",
                            .about = "Kills the callback receiver under load and looks for losses.",
                            .table = table,
                            .count = ARRAY_LEN(table) };
    memset(&a, 0, sizeof(a));
    int rc = opts_load(&o, argc, argv, environ, &err);
    if (rc >= 0)
        rc = run(&a, &err);
    opts_release(&o);
    if (rc < 0 && rc != OPTS_DONE)
        fprintf(stderr, "receiver_storm: %s\n", err.msg);
    return rc < 0 && rc != OPTS_DONE ? EXIT_FAILURE : EXIT_SUCCESS;
}
