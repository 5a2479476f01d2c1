#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shared/aws/lambda_client.h"
#include "shared/durable/error.h"
#include "shared/durable/invocation.h"
#include "shared/lambda/runtime.h"

#define MAX_THREADS 256
#define ANSWER_MS   1000 /* for the answer to Lambda */

/* Durable function: what the environment says, and the parts that serve it. */
struct server {
    struct aws_options aws_options;
    char *api;
    char *level;
    struct aws *aws;
    struct durable_edge edge;
    const struct durable_serve_opts *opts;
    durable_fn *handler;
    void *arg;
};

/* ---- the edge -------------------------------------------------------------------------------- */

static int edge_checkpoint(void *arg, const char *arn, const char *body, size_t len,
                           struct json_object **answer, struct error *err)
{
    struct server *s = arg;
    return lambda_checkpoint(s->aws, arn, body, len, answer, err);
}

static int edge_state(void *arg, const char *arn, const char *token, const char *marker,
                      unsigned max_items, struct json_object **page, struct error *err)
{
    struct server *s = arg;
    return lambda_get_state(s->aws, arn, token, marker, max_items, page, err);
}

static int64_t edge_now(void *arg)
{
    (void)arg;
    return clock_wall_ms(clock_system());
}

static void edge_log(void *arg, const char *line, size_t len)
{
    (void)arg;
    while (len > 0) { /* write(2) flushes by itself, and whole lines do not mix */
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody is left to tell */
        line += n;
        len -= (size_t)n;
    }
}

/* ---- serving --------------------------------------------------------------------------------- */

static int on_invocation(const struct lambda_invocation *inv, void *arg, struct buf *response,
                         struct error *err)
{
    struct server *s = arg;
    /* Both calls may arrive twice: a checkpoint has its ClientToken, and pages are only read. */
    aws_set_deadline(s->aws, lambda_call_deadline(clock_system(), inv->deadline_ms, ANSWER_MS));
    const struct invocation i = { .event = inv->payload,
                                  .event_len = inv->payload_len,
                                  .request_id = inv->request_id,
                                  .trace_header = inv->trace_id,
                                  .deadline_ms = inv->deadline_ms,
                                  .edge = &s->edge,
                                  .serdes = s->opts->serdes };
    return invocation_run(&i, s->handler, s->arg, response, err);
}

/* AWS_LAMBDA_LOG_LEVEL: TRACE, DEBUG, INFO, WARN, ERROR or FATAL. */
static enum durable_log_level level_of(const char *word)
{
    static const struct {
        const char *word;
        enum durable_log_level level;
    } levels[] = { { "TRACE", DURABLE_LOG_DEBUG }, { "DEBUG", DURABLE_LOG_DEBUG },
                   { "INFO", DURABLE_LOG_INFO },   { "WARN", DURABLE_LOG_WARN },
                   { "ERROR", DURABLE_LOG_ERROR }, { "FATAL", DURABLE_LOG_ERROR } };
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcasecmp(levels[i].word, word) == 0)
            return levels[i].level;
    return DURABLE_LOG_INFO;
}

static int serve(struct server *s, struct error *err)
{
    struct log *log = log_open(STDERR_FILENO, LOG_INFO, "durable");
    const struct lambda_runtime_config cfg = {
        .api = s->api, .log = log, .clock = clock_system(), .stop = s->opts->stop
    };
    int rc = -1;
    s->edge = (struct durable_edge){ .checkpoint = edge_checkpoint,
                                     .state = edge_state,
                                     .now_ms = edge_now,
                                     .log = edge_log,
                                     .log_level = level_of(s->level),
                                     .max_threads =
                                         s->opts->max_threads ? s->opts->max_threads : MAX_THREADS,
                                     .arg = s };
    s->aws = aws_new(&s->aws_options, clock_system(), err);
    if (s->aws)
        rc = lambda_runtime_run(&cfg, on_invocation, s, err);
    else
        lambda_runtime_init_error(&cfg, err);
    aws_free(s->aws);
    log_close(log);
    return rc;
}

int durable_serve_with(char *const *env, const struct durable_serve_opts *opts, durable_fn *handler,
                       void *arg, struct durable_error *err)
{
    static const struct durable_serve_opts defaults = { 0 };
    struct server s = { .opts = opts ? opts : &defaults, .handler = handler, .arg = arg };
    const struct opt table[] = {
        AWS_OPTIONS(s.aws_options),
        { NULL, "AWS_LAMBDA_RUNTIME_API", OPT_STR, &s.api, NULL, 0, 0, NULL, "host and port" },
        { NULL, "AWS_LAMBDA_LOG_LEVEL", OPT_STR, &s.level, "INFO", 0, 0, NULL, "log level" },
    };
    const struct opts table_opts = { .program = "durable",
                                     .table = table,
                                     .count = ARRAY_LEN(table) };
    char program[] = "durable";
    char *const argv[] = { program, NULL };
    struct error why = { 0 };
    int rc = opts_load(&table_opts, 1, argv, env, &why) < 0 ? -1 : 0;
    if (rc == 0 && !s.api)
        rc = error_set(&why, ERR_INVALID, 0,
                       "AWS_LAMBDA_RUNTIME_API is not set: this program runs inside AWS Lambda");
    if (rc == 0) {
        http_global_init();
        rc = serve(&s, &why);
        http_global_cleanup();
    }
    if (rc < 0)
        error_from(err, "ServeError", &why);
    opts_release(&table_opts);
    return rc;
}

int durable_serve(char *const *env, durable_fn *handler, void *arg, struct durable_error *err)
{
    return durable_serve_with(env, NULL, handler, arg, err);
}

int durable_serve_until(char *const *env, const atomic_bool *stop, durable_fn *handler, void *arg,
                        struct durable_error *err)
{
    const struct durable_serve_opts opts = { .stop = stop };
    return durable_serve_with(env, &opts, handler, arg, err);
}
