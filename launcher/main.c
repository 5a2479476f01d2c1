/* bootstrap: the Lambda functions of the launcher. Reads the configuration, builds the parts of the
 * handler that was asked for, serves until the Runtime API or SIGTERM ends it. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "launcher/api.h"
#include "launcher/events.h"
#include "launcher/keys.h"
#include "launcher/workflow.h"
#include "shared/base/signals.h"

#define INIT_MS 9000 /* Lambda gives a function 10 s to come up: the keys must be here by then */

static void *wait_for_stop(void *arg)
{
    atomic_bool *stop = arg;
    signals_wait();
    atomic_store(stop, true);
    return NULL;
}

static int serve_workflow(const struct config *cfg, const struct lambda_runtime_config *runtime,
                          struct aws *aws, struct error *err)
{
    struct attempt_tools tools = {
        .cfg = cfg, .aws = aws, .clock = clock_system(), .log = runtime->log
    };
    auto_durable_error struct durable_error why = { 0 };
    int rc = -1;
    char **env = config_environment(cfg, environ);
    struct token_keys *keys = keys_load(cfg, aws, err);
    tools.keys = keys;
    tools.metrics = metrics_open(STDOUT_FILENO, cfg->metrics, tools.clock);
    if (keys)
        tools.receiver = receiver_client_new(cfg->receiver_url, tools.clock, err);
    if (!tools.receiver) {
        lambda_runtime_init_error(runtime, err);
    } else {
        log_info(runtime->log, log_event("ready"), log_str("handler", "workflow"));
        rc = durable_serve_until(env, runtime->stop, workflow_run, &tools, &why);
        if (rc < 0)
            error_set(err, ERR_UNAVAILABLE, 0, "%s", why.message ? why.message : "cannot serve");
    }
    receiver_client_free(tools.receiver);
    metrics_close(tools.metrics);
    token_keys_free(keys);
    config_environment_free(env);
    return rc;
}

static int serve_api(const struct config *cfg, const struct lambda_runtime_config *runtime,
                     struct aws *aws, struct error *err)
{
    struct api_tools tools = {
        .cfg = cfg,
        .aws = aws,
        .cache = api_cache_new(API_CACHE_ENTRIES, API_CACHE_BYTES),
        .clock = clock_system(),
        .log = runtime->log,
    };
    int rc = 0;
    struct token_keys *keys = NULL;
    if (cfg->receiver_url && (cfg->token_keys || cfg->token_keys_secret)) {
        tools.keys = keys = keys_load(cfg, aws, err);
        tools.receiver = keys ? receiver_client_new(cfg->receiver_url, tools.clock, err) : NULL;
        rc = tools.receiver ? 0 : -1;
    }
    if (rc < 0) {
        lambda_runtime_init_error(runtime, err);
    } else {
        log_info(runtime->log, log_event("ready"), log_str("handler", "api"));
        rc = lambda_runtime_run(runtime, api_handle, &tools, err);
    }
    receiver_client_free(tools.receiver);
    token_keys_free(keys);
    api_cache_free(tools.cache);
    return rc;
}

static int serve_events(const struct config *cfg, const struct lambda_runtime_config *runtime,
                        struct aws *aws, struct error *err)
{
    struct events_seen seen = { .next = 0 };
    struct events_tools tools = {
        .cfg = cfg, .aws = aws, .clock = clock_system(), .log = runtime->log, .seen = &seen
    };
    tools.metrics = metrics_open(STDOUT_FILENO, cfg->metrics, tools.clock);
    int rc = -1;
    struct token_keys *keys = keys_load(cfg, aws, err);
    tools.keys = keys;
    if (keys)
        tools.receiver = receiver_client_new(cfg->receiver_url, tools.clock, err);
    if (!tools.receiver) {
        lambda_runtime_init_error(runtime, err);
    } else {
        log_info(runtime->log, log_event("ready"), log_str("handler", "events"));
        rc = lambda_runtime_run(runtime, events_handle, &tools, err);
    }
    metrics_close(tools.metrics);
    receiver_client_free(tools.receiver);
    token_keys_free(keys);
    return rc;
}

static int serve_handler(const struct config *cfg, const struct lambda_runtime_config *runtime,
                         struct aws *aws, struct error *err)
{
    switch (cfg->handler) {
    case CONFIG_API:
        return serve_api(cfg, runtime, aws, err);
    case CONFIG_EVENTS:
        return serve_events(cfg, runtime, aws, err);
    case CONFIG_WORKFLOW:
        break;
    }
    return serve_workflow(cfg, runtime, aws, err);
}

/* The parts that all handlers have; `stop` ends the serving. */
static int serve(const struct config *cfg, struct log *log, const atomic_bool *stop,
                 struct error *err)
{
    const struct lambda_runtime_config runtime = {
        .api = cfg->runtime_api, .log = log, .clock = clock_system(), .stop = stop
    };
    if (!cfg->runtime_api)
        return error_set(err, ERR_INVALID, 0,
                         "AWS_LAMBDA_RUNTIME_API is not set: this program runs inside AWS Lambda");
    struct aws *aws = aws_new(&cfg->aws, clock_system(), err);
    if (!aws) {
        lambda_runtime_init_error(&runtime, err);
        return -1;
    }
    aws_set_deadline(aws,
                     clock_mono_ms(clock_system()) + INIT_MS); /* each invocation sets its own */
    int rc = serve_handler(cfg, &runtime, aws, err);
    aws_free(aws);
    return rc;
}

/* Tells Lambda, where there is one to tell, why the configuration is of no use. */
static void report_bad_config(const struct config *cfg, struct log *log, const struct error *err)
{
    const struct lambda_runtime_config runtime = { .api = cfg->runtime_api,
                                                   .log = log,
                                                   .clock = clock_system() };
    if (cfg->runtime_api)
        lambda_runtime_init_error(&runtime, err);
}

int main(int argc, char **argv)
{
    struct config cfg;
    struct error err = { 0 };
    atomic_bool stop = false;
    pthread_t waiter;
    signals_block();
    int loaded = config_load(&cfg, argc, argv, environ, &err);
    if (loaded == OPTS_DONE) {
        config_release(&cfg);
        return EXIT_SUCCESS;
    }
    struct log *log = log_open(STDERR_FILENO, cfg.log_level, "bootstrap");
    http_global_init();
    int rc = -1;
    if (loaded < 0) {
        report_bad_config(&cfg, log, &err);
    } else if (pthread_create(&waiter, NULL, wait_for_stop, &stop) != 0) {
        error_set(&err, ERR_INTERNAL, 0, "no thread can be started");
    } else {
        rc = serve(&cfg, log, &stop, &err);
        /* Where it still waits: it has SIGTERM blocked and takes it with sigwait.
         * NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread,cert-pos44-c) */
        pthread_kill(waiter, SIGTERM);
        pthread_join(waiter, NULL);
    }
    if (rc < 0)
        log_error(log, log_event("stopped"), log_err(&err));
    else
        log_info(log, log_event("stopped"));
    http_global_cleanup();
    log_close(log);
    config_release(&cfg);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
