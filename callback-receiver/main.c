/* callback-receiver: takes what container jobs report, keeps it, and delivers it to Lambda. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "callback-receiver/api.h"
#include "callback-receiver/beats.h"
#include "callback-receiver/cmd_ops.h"
#include "callback-receiver/config.h"
#include "callback-receiver/doctor.h"
#include "callback-receiver/liveness.h"
#include "callback-receiver/ops.h"
#include "callback-receiver/report.h"
#include "callback-receiver/token_cmd.h"
#include "shared/base/clock.h"
#include "shared/base/signals.h"

#define WAITERS_MAX 1024
#define OTHER_FILES 192 /* besides connections and calls to Lambda: store, heartbeats, ... */
#define IDLE_S      75  /* longer than a gateway keeps its connections (AWS: 60 s) */
#define HEADER_S    30
#define BODY_S      60
#define FINISH_MS   5000 /* for what is in flight when it stops */

struct receiver {
    struct metrics metrics;
    struct keys *keys;
    struct writer *writer;
    struct waiters *waiters;
    struct delivery *delivery;
    struct beats *beats;
    struct liveness *liveness;
    struct api *api;
    struct ops *ops;
    struct httpd *ops_http;
    struct httpd *http;
};

/* Several connections to a store that several may share, which the writer uses in turn. */
static size_t open_stores(const struct config *cfg, struct store *stores[WRITER_STORES],
                          struct error *err)
{
    size_t want = store_shared(cfg->store) ? WRITER_STORES : 1, n = 0;
    while (n < want && (stores[n] = store_open(cfg->store, err)) != NULL)
        n++;
    if (n == want)
        return n;
    while (n > 0)
        store_close(stores[--n]);
    return 0;
}

static int open_store(struct receiver *r, const struct config *cfg, struct log *log,
                      struct error *err)
{
    struct store *stores[WRITER_STORES];
    size_t n = open_stores(cfg, stores, err);
    if (n == 0)
        return -1;
    struct store_op start = { .action = STORE_START, .now_ms = clock_wall_ms(clock_system()) };
    struct store_op *ops[] = { &start };
    const struct writer_limits limits = { .max_bytes = (size_t)cfg->max_queued_mib << 20 };
    if (store_run(stores[0], ops, 1, err) == 0)
        r->writer = writer_start(stores, n, &limits, log, err);
    if (r->writer)
        writer_observe(r->writer, &r->metrics.commit_time);
    else
        while (n > 0)
            store_close(stores[--n]);
    return r->writer ? 0 : -1;
}

static void say_listening(struct log *log, const char *service, const struct httpd *h)
{
    auto_free char *url = mem_printf("http://%s", httpd_address(h));
    log_info(log, log_event("listening"), log_str("service", service), log_str("url", url));
}

/* As many connections as asked for and as the limit on open files allows, which is raised. */
static unsigned connections(const struct config *cfg, struct log *log)
{
    struct rlimit files;
    rlim_t others = OTHER_FILES + (rlim_t)cfg->delivery_calls;
    rlim_t want = (rlim_t)cfg->max_connections + others;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return (unsigned)cfg->max_connections;
    if (files.rlim_cur < want) {
        files.rlim_cur = files.rlim_max < want ? files.rlim_max : want;
        if (setrlimit(RLIMIT_NOFILE, &files) < 0)
            getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= want)
        return (unsigned)cfg->max_connections;
    rlim_t room = files.rlim_cur > 2 * others ? files.rlim_cur - others : files.rlim_cur / 2;
    log_warn(log, log_event("few_files"), log_int("limit", (int64_t)files.rlim_cur),
             log_int("connections", (int64_t)room));
    return (unsigned)room;
}

static int listen_all(struct receiver *r, const struct config *cfg, struct log *log,
                      struct error *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct httpd_config ops = { .listen = cfg->ops_listen,
                                .threads = 1,
                                .max_connections = 64,
                                .idle_timeout_s = IDLE_S,
                                .header_timeout_s = HEADER_S,
                                .body_timeout_s = BODY_S,
                                .max_body = 1024,
                                .handler = ops_handle,
                                .arg = r->ops,
                                .log = log };
    struct httpd_config public = { .listen = cfg->listen,
                                   .threads = cores < 1   ? 1
                                              : cores > 4 ? 4
                                                          : (unsigned)cores,
                                   .max_connections = connections(cfg, log),
                                   .max_per_peer = (unsigned)cfg->max_per_peer,
                                   .idle_timeout_s = IDLE_S,
                                   .header_timeout_s = HEADER_S,
                                   .body_timeout_s = BODY_S,
                                   .max_body = REPORT_BODY_MAX,
                                   .max_buffered = (size_t)cfg->max_buffered_mib << 20,
                                   .handler = api_handle,
                                   .on_headers = api_headers,
                                   .too_large = api_too_large,
                                   .overloaded = api_overloaded,
                                   .arg = r->api,
                                   .log = log };
    r->ops_http = httpd_start(&ops, err);
    if (!r->ops_http)
        return -1;
    say_listening(log, "operations", r->ops_http);
    r->http = httpd_start(&public, err);
    if (!r->http)
        return -1;
    say_listening(log, "callbacks", r->http);
    ops_set_ready(r->ops, true);
    log_info(log, log_event("ready"));
    return 0;
}

static int start(struct receiver *r, const struct config *cfg, struct log *log, struct error *err)
{
    r->keys = keys_start(&(struct keys_config){ .json = cfg->token_keys,
                                                .secret = cfg->token_keys_secret,
                                                .kid = cfg->token_kid,
                                                .refresh_s = cfg->keys_refresh_s,
                                                .aws = &cfg->aws,
                                                .metrics = &r->metrics,
                                                .log = log },
                         err);
    if (!r->keys || open_store(r, cfg, log, err) < 0)
        return -1;
    r->waiters = waiters_start(WAITERS_MAX, &r->metrics, err);
    if (!r->waiters)
        return -1;
    struct delivery_config delivery = { .calls = (unsigned)cfg->delivery_calls,
                                        .retry_base_ms = cfg->retry_base_ms,
                                        .retry_cap_ms = cfg->retry_cap_ms,
                                        .shared = store_shared(cfg->store),
                                        .aws = &cfg->aws,
                                        .writer = r->writer,
                                        .waiters = r->waiters,
                                        .metrics = &r->metrics,
                                        .log = log };
    r->delivery = delivery_start(&delivery, err);
    if (!r->delivery)
        return -1;
    r->beats = beats_start(&(struct beats_config){ .aws = &cfg->aws,
                                                   .writer = r->writer,
                                                   .pace = delivery_pace(r->delivery),
                                                   .metrics = &r->metrics,
                                                   .log = log },
                           err);
    if (!r->beats)
        return -1;
    r->liveness = liveness_start(&(struct liveness_config){ .writer = r->writer,
                                                            .delivery = r->delivery,
                                                            .beats = r->beats,
                                                            .waiters = r->waiters,
                                                            .shared = store_shared(cfg->store),
                                                            .metrics = &r->metrics,
                                                            .log = log },
                                 err);
    if (!r->liveness)
        return -1;
    r->api = api_new(&(struct api_config){ .keys = r->keys,
                                           .writer = r->writer,
                                           .waiters = r->waiters,
                                           .delivery = r->delivery,
                                           .metrics = &r->metrics,
                                           .log = log });
    r->ops = ops_new(&(struct ops_config){ .token = cfg->ops_token,
                                           .writer = r->writer,
                                           .delivery = r->delivery,
                                           .metrics = &r->metrics,
                                           .log = log });
    return listen_all(r, cfg, log, err);
}

/* Not ready any more: whoever sends work here is to stop that, and is served meanwhile. A second
 * signal ends the wait. */
static void drain(struct receiver *r, const struct config *cfg, struct log *log, int signal)
{
    ops_set_ready(r->ops, false);
    log_info(log, log_event("stopping"), log_int("signal", signal),
             log_int("drainSeconds", cfg->drain_s));
    if (cfg->drain_s > 0)
        (void)signals_wait_ms(cfg->drain_s * 1000);
}

/* No new connections; what is in flight is answered, and each answer ends its connection. */
static void finish_requests(struct receiver *r)
{
    httpd_quiesce(r->http);
    int64_t until = clock_mono_ms(clock_system()) + FINISH_MS;
    while (httpd_active(r->http) > waiters_count(r->waiters) &&
           clock_mono_ms(clock_system()) < until)
        clock_sleep_ms(clock_system(), 5);
}

/* Deliveries end, the store closes; what is not delivered stays in it. Every part may be missing
 * where the start failed. */
static void stop(struct receiver *r)
{
    if (r->http)
        finish_requests(r);
    if (r->api)
        api_drain(r->api);
    if (r->ops) /* it looks into what ends now */
        ops_drain(r->ops);
    liveness_stop(r->liveness);
    beats_stop(r->beats);
    delivery_stop(r->delivery);
    waiters_stop(r->waiters);
    httpd_stop(r->http);
    httpd_stop(r->ops_http);
    api_free(r->api);
    ops_free(r->ops);
    writer_stop(r->writer);
    keys_stop(r->keys);
}

static int serve(int argc, char **argv, struct error *err)
{
    struct config cfg;
    struct receiver r = { 0 };
    int rc = config_load(&cfg, argc, argv, environ, err);
    if (rc == 0) {
        struct log *log = log_open(STDERR_FILENO, cfg.log_level, "callback-receiver");
        http_global_init();
        rc = start(&r, &cfg, log, err);
        if (rc == 0)
            drain(&r, &cfg, log, signals_wait());
        stop(&r);
        http_global_cleanup();
        if (rc == 0)
            log_info(log, log_event("stopped"));
        log_close(log);
    }
    config_release(&cfg);
    return rc == OPTS_DONE ? 0 : rc;
}

typedef int command_fn(int argc, char *const *argv, char *const *env, struct error *err);

static const struct {
    const char *name;
    command_fn *run;
} commands[] = {
    { "pending", cmd_list },  { "dead", cmd_list },   { "redeliver", cmd_redeliver },
    { "doctor", cmd_doctor }, { "token", token_cmd },
};

int main(int argc, char **argv)
{
    struct error err = { 0 };
    command_fn *command = NULL;
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            command = commands[i].run;
    if (command)
        signal(SIGPIPE, SIG_IGN);
    else
        signals_block(); /* before any thread */
    int rc = command ? command(argc - 1, argv + 1, environ, &err) : serve(argc, argv, &err);
    if (rc < 0)
        fprintf(stderr, "callback-receiver: %s\n", err.msg);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
