/* local-aws: Lambda, ECS and the HTTP API on one machine, for development and tests. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "local/aws/aws_api.h"
#include "local/aws/ecs.h"
#include "local/aws/lambda.h"
#include "local/aws/outbox.h"
#include "local/faults.h"
#include "local/gateway.h"
#include "local/inspect.h"
#include "local/local.h"
#include "local/shim.h"
#include "shared/aws/http.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"

#define MAX_BODY (8U << 20)

struct settings {
    char *config;
    char *state;
    char *aws_listen;
    char *http_listen;
    char *log_level;
    bool no_verify;
    char *path;
};

struct program {
    struct settings settings;
    struct config *config;
    struct local local;
    struct httpd *aws;
    struct ecs *ecs;
    struct inspect *inspect;
    struct gateway *gateway;
    char *aws_url;
    int signals;
};

static void on_signal(void *arg)
{
    struct program *p = arg;
    struct signalfd_siginfo info;
    if (read(p->signals, &info, sizeof(info)) != sizeof(info))
        return;
    log_info(p->local.log, log_event("stopping"), log_int("signal", info.ssi_signo));
    if (p->ecs)
        ecs_tasks_shut_down(ecs_tasks(p->ecs));
    loop_stop(p->local.loop);
}

static void on_store_failed(void *arg)
{
    struct program *p = arg;
    log_error(p->local.log, log_event("store_failed"), log_err(store_failed(p->local.store)));
    loop_stop(p->local.loop);
}

static int watch_signals(struct program *p, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (p->signals < 0)
        return error_set_errno(err, errno, "signalfd");
    return loop_watch(p->local.loop, p->signals, on_signal, p, err);
}

static int load(struct program *p, int argc, char **argv, struct error *err)
{
    struct settings *s = &p->settings;
    const struct opt table[] = {
        { "config", "LOCAL_AWS_CONFIG", OPT_STR, &s->config, NULL, 0, 0, "FILE",
          "functions, task definitions and routes (JSON)" },
        { "state", "LOCAL_AWS_STATE", OPT_STR, &s->state, NULL, 0, 0, "DIR",
          "folder of the database and the log files" },
        { "aws-listen", "LOCAL_AWS_LISTEN", OPT_STR, &s->aws_listen, "127.0.0.1:4566", 0, 0,
          "HOST:PORT", "where the AWS APIs are served" },
        { "http-listen", "LOCAL_AWS_HTTP_LISTEN", OPT_STR, &s->http_listen, "127.0.0.1:8080", 0, 0,
          "HOST:PORT", "where the HTTP API is served" },
        { "no-verify", "LOCAL_AWS_NO_VERIFY", OPT_BOOL, &s->no_verify, NULL, 0, 0, NULL,
          "accept requests whatever their signature" },
        { "log-level", "LOG_LEVEL", OPT_STR, &s->log_level, "info", 0, 0, "WORD",
          "debug, info, warn or error" },
        { NULL, "PATH", OPT_STR, &s->path, "/usr/local/bin:/usr/bin:/bin", 0, 0, "LIST",
          "handed to the functions" },
    };
    const struct opts opts = { .program = "local-aws",
                               .synopsis = "--config FILE --state DIR [options]",
                               .about = "Lambda with durable executions, ECS and an HTTP API on "
                                        "one machine, for development and tests. What it is told "
                                        "to run it runs as this user: keep it on the loopback "
                                        "interface.",
                               .table = table,
                               .count = ARRAY_LEN(table) };
    int rc = opts_load(&opts, argc, argv, environ, err);
    if (rc == OPTS_DONE)
        return OPTS_DONE;
    enum log_level level;
    if (rc < 0)
        return -1;
    if (rc != argc)
        return error_set(err, ERR_INVALID, 0, "%s: no arguments are taken", argv[rc]);
    if (log_level_parse(s->log_level, &level) < 0)
        return error_set(err, ERR_INVALID, 0, "--log-level: debug, info, warn or error");
    if (!s->config || !s->state)
        return error_set(err, ERR_INVALID, 0, "--config and --state are needed");
    p->local.log = log_open(STDERR_FILENO, level, "local-aws");
    p->local.path = s->path;
    p->local.clock = clock_system();
    p->config = config_load(s->config, err);
    p->local.config = p->config;
    return p->config ? 0 : -1;
}

static int start(struct program *p, struct error *err)
{
    struct local *local = &p->local;
    if (!(local->store = store_open(p->settings.state, err)) || !(local->loop = loop_new(err)) ||
        watch_signals(p, err) < 0)
        return -1;
    store_on_failed(local->store, on_store_failed, p);
    local->api = aws_api_new(local, !p->settings.no_verify);
    const struct httpd_config cfg = { .listen = p->settings.aws_listen,
                                      .max_body = MAX_BODY,
                                      .handler = aws_api_handle,
                                      .too_large = aws_api_too_large,
                                      .arg = local->api,
                                      .log = local->log };
    if (!(p->aws = httpd_start(&cfg, err)))
        return -1;
    p->aws_url = mem_printf("http://%s", httpd_address(p->aws));
    local->aws_url = p->aws_url;
    local->faults = faults_new();
    if (!(local->outbox = outbox_new(local, err)) || !(local->lambda = lambda_new(local, err)) ||
        !(p->ecs = ecs_new(local, err)) || loop_serve(local->loop, p->aws, err) < 0)
        return -1;
    p->inspect = inspect_new(local, p->ecs);
    if (!(p->gateway = gateway_new(local, p->settings.http_listen, err)))
        return -1;
    auto_free char *http_url = mem_printf("http://%s", gateway_address(p->gateway));
    log_info(local->log, log_event("listening"), log_str("service", "aws"),
             log_str("url", p->aws_url));
    log_info(local->log, log_event("listening"), log_str("service", "http-api"),
             log_str("url", http_url));
    log_info(local->log, log_event("ready"));
    return 0;
}

static void stop(struct program *p)
{
    struct local *local = &p->local;
    outbox_stop(local->outbox);
    lambda_free(local->lambda);
    gateway_free(p->gateway);
    inspect_free(p->inspect);
    if (p->aws) {
        loop_unserve(local->loop, p->aws);
        httpd_stop(p->aws);
    }
    ecs_free(p->ecs);
    aws_api_free(local->api);
    outbox_free(local->outbox);
    faults_free(local->faults);
    if (local->loop)
        loop_unwatch(local->loop, p->signals);
    mem_close_fd(&p->signals);
    loop_free(local->loop);
    store_close(local->store);
    config_free(p->config);
    log_close(local->log);
    free(p->aws_url);
    free(p->settings.config);
    free(p->settings.state);
    free(p->settings.aws_listen);
    free(p->settings.http_listen);
    free(p->settings.log_level);
    free(p->settings.path);
}

/* `local-aws shim FOLDER`: not for people, it is how a task is started. */
static int run_shim(const char *folder)
{
    struct error err = { 0 };
    if (shim_run(folder, &err) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "local-aws shim: %s\n", err.msg);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "shim") == 0)
        return run_shim(argv[2]);
    struct program p = { .signals = -1 };
    struct error err = { 0 };
    int status = EXIT_FAILURE;
    signals_block();
    http_global_init();
    int rc = load(&p, argc, argv, &err);
    if (rc == OPTS_DONE)
        return EXIT_SUCCESS;
    if (rc == 0 && start(&p, &err) == 0) {
        loop_run(p.local.loop);
        status = store_failed(p.local.store) ? EXIT_FAILURE : EXIT_SUCCESS;
    } else {
        fprintf(stderr, "local-aws: %s\n", err.msg);
    }
    stop(&p);
    http_global_cleanup();
    return status;
}
