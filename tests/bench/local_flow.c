/* local_flow: how many workflows of one callback each local-aws carries a second, and how soon a
 * callback brings the function back.
 *
 * The program is its own function: with BENCH_SOCKET in the environment it serves the Runtime API
 * with the SDK, and tells the driver over a datagram socket the callback's id and when it was
 * invoked again. The driver keeps --at-once synchronous invocations going and answers each callback
 * as soon as it hears of it. With --samples it prints local-aws's memory on the way. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "local/stack/program.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"
#include "shared/durable/durable.h"

#define MESSAGE     1200
#define SENDERS     2
#define SYNC_MS     120000
#define READY_MS    30000
#define RECEIVE_S   120
#define RETENTION_S 5

static int64_t now_us(void)
{
    return clock_mono_us();
}

/* ---- the function -------------------------------------------------------------------------------
 */

/* "INDEX MICROSECONDS CALLBACK-ID", the id "-" where it was invoked again. */
static void tell(int sock, int64_t index, int64_t at_us, const char *id)
{
    char text[MESSAGE];
    int n = snprintf(text, sizeof(text), "%lld %lld %s", (long long)index, (long long)at_us, id);
    if (send(sock, text, (size_t)n, 0) != n)
        fprintf(stderr, "local_flow: send: %s\n", strerror(errno));
}

static enum durable_rc flow(struct durable_ctx *ctx, struct json_object *in, void *arg,
                            struct json_object **out, struct durable_error *err)
{
    int sock = *(const int *)arg;
    int64_t begun = now_us(), index = json_object_get_int64(in);
    auto_durable_callback struct durable_callback cb = { 0 };
    DURABLE_TRY(durable_callback_create(ctx, "answer", NULL, &cb, err));
    bool again = durable_callback_ended_ms(ctx, &cb) != 0;
    tell(sock, index, begun, again ? "-" : cb.id);
    return durable_callback_result(ctx, &cb, out, err);
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        fprintf(stderr, "local_flow: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    return fd;
}

static int serve(const char *path)
{
    struct durable_error err = { 0 };
    int sock = connect_to(path);
    if (durable_serve(environ, flow, &sock, &err) < 0)
        fprintf(stderr, "local_flow: %s\n", err.message);
    return 1;
}

/* ---- the driver ---------------------------------------------------------------------------------
 */

struct driver {
    char dir[64];
    char *bin_dir;
    int64_t workflows, at_once, samples;
    struct program *program;
    struct aws_options options;
    int sock;
    atomic_llong next, ended, failed;
    int64_t *sent_us;    /* when the answer to a workflow's callback was sent */
    int64_t *latency_us; /* from then to its invocation */
    atomic_bool done;
};

static struct aws *client(const struct driver *d)
{
    struct error err;
    struct aws *aws = aws_new(&d->options, clock_system(), &err);
    if (!aws) {
        fprintf(stderr, "local_flow: %s\n", err.msg);
        exit(1);
    }
    return aws;
}

static void *invoke_all(void *arg)
{
    struct driver *d = arg;
    struct aws *aws = client(d);
    long long i;
    while ((i = atomic_fetch_add(&d->next, 1)) < d->workflows) {
        struct error err;
        struct lambda_invoked out = { 0 };
        char input[24];
        int n = snprintf(input, sizeof(input), "%lld", i);
        const struct lambda_invoke req = { .function = "flow:1",
                                           .type = "RequestResponse",
                                           .payload = input,
                                           .payload_len = (size_t)n };
        int rc = lambda_invoke(aws, &req, &out, &err);
        if (rc < 0 || out.function_error) {
            fprintf(stderr, "local_flow: %s\n", rc < 0 ? err.msg : out.payload);
            atomic_fetch_add(&d->failed, 1);
        }
        atomic_fetch_add(&d->ended, 1);
        lambda_invoked_release(&out);
    }
    aws_free(aws);
    return NULL;
}

static void *answer_all(void *arg)
{
    struct driver *d = arg;
    struct aws *aws = client(d);
    char text[MESSAGE];
    while (!atomic_load(&d->done)) {
        struct error err;
        long long index, at;
        char id[1100];
        ssize_t n = recv(d->sock, text, sizeof(text) - 1, 0);
        if (n <= 0)
            continue;
        text[n] = '\0';
        if (sscanf(text, "%lld %lld %1099s", &index, &at, id) != 3 || index < 0 ||
            index >= d->workflows)
            continue;
        if (strcmp(id, "-") == 0) {
            d->latency_us[index] = at - d->sent_us[index];
            continue;
        }
        d->sent_us[index] = now_us();
        if (lambda_callback_success(aws, id, "true", 4, &err) < 0)
            fprintf(stderr, "local_flow: callback: %s\n", err.msg);
    }
    aws_free(aws);
    return NULL;
}

static int64_t resident_kib(const struct driver *d)
{
    char path[64], line[256];
    int64_t kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)program_pid(d->program));
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtoll(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

static double processor_s(const struct driver *d)
{
    char path[64], text[1024];
    unsigned long user = 0, sys = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)program_pid(d->program));
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    if (!p ||
        sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        user = sys = 0;
    if (f)
        fclose(f);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int start(struct driver *d, struct error *err)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", d->dir);
    d->sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = { .tv_usec = 100000 };
    setsockopt(d->sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (d->sock < 0 || bind(d->sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return error_set_errno(err, errno, "cannot bind %s", addr.sun_path);
    auto_free char *config = mem_printf("%s/config.json", d->dir);
    auto_free char *log = mem_printf("%s/local-aws.log", d->dir);
    auto_free char *program = mem_printf("%s/local-aws", d->bin_dir);
    FILE *f = fopen(config, "w");
    if (!f)
        return error_set_errno(err, errno, "cannot write %s", config);
    fprintf(f,
            "{\"credentials\":{\"bench\":\"secret\"},\"functions\":{\"flow\":{\"command\":[\"%s\"],"
            "\"environment\":{\"BENCH_SOCKET\":\"%s\",\"AWS_LAMBDA_LOG_LEVEL\":\"ERROR\"},"
            "\"maxConcurrency\":%lld,\"durable\":{\"executionTimeoutSeconds\":600,"
            "\"retentionSeconds\":%d}}}}",
            self, addr.sun_path, (long long)d->at_once, RETENTION_S);
    fclose(f);
    const char *const argv[] = { program,       "--config",      config,
                                 "--state",     d->dir,          "--aws-listen",
                                 "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                                 NULL };
    const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
    d->program = program_start(argv, env, log, err);
    return d->program ? program_wait_ready(d->program, READY_MS, err) : -1;
}

static void sample(struct driver *d, int64_t begun_us)
{
    int64_t step = d->workflows / (d->samples > 0 ? d->samples : 1);
    for (int64_t at = step; d->samples > 0 && at <= d->workflows; at += step) {
        while (atomic_load(&d->ended) < at)
            usleep(20000);
        printf("  %8lld workflows: %7lld KiB resident, %6.0f a second so far\n", (long long)at,
               (long long)resident_kib(d), (double)at * 1e6 / (double)(now_us() - begun_us));
        fflush(stdout);
    }
}

static void measure(struct driver *d)
{
    pthread_t senders[SENDERS], *callers = mem_array((size_t)d->at_once, sizeof(*callers));
    double before = processor_s(d);
    int64_t begun = now_us();
    for (size_t i = 0; i < SENDERS; i++)
        pthread_create(&senders[i], NULL, answer_all, d);
    for (int64_t i = 0; i < d->at_once; i++)
        pthread_create(&callers[i], NULL, invoke_all, d);
    sample(d, begun);
    for (int64_t i = 0; i < d->at_once; i++)
        pthread_join(callers[i], NULL);
    int64_t took = now_us() - begun;
    atomic_store(&d->done, true);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    free(callers);
    qsort(d->latency_us, (size_t)d->workflows, sizeof(int64_t), by_value);
    const int64_t *l = d->latency_us;
    size_t n = (size_t)d->workflows;
    printf("%lld workflows with a callback each, %lld at a time: %.0f a second (%lld failed); "
           "callback to "
           "invocation: median %.1f ms, 95 %% %.1f ms; local-aws used %.2f ms of processor each\n",
           (long long)d->workflows, (long long)d->at_once, (double)n * 1e6 / (double)took,
           (long long)atomic_load(&d->failed), (double)l[n / 2] / 1e3,
           (double)l[n * 95 / 100] / 1e3, (processor_s(d) - before) * 1e3 / (double)n);
}

static int drive(int argc, char **argv, struct error *err)
{
    struct driver d = { .dir = "/tmp/local-flow-XXXXXX", .sock = -1 };
    const struct opt table[] = {
        { "bin-dir", "BIN_DIR", OPT_STR, &d.bin_dir, "build/bin", 0, 0, "DIR", "of local-aws" },
        { "workflows", NULL, OPT_INT, &d.workflows, "1000", 1, 10000000, "N", "in all" },
        { "at-once", NULL, OPT_INT, &d.at_once, "32", 1, 500, "N", "at a time" },
        { "samples", NULL, OPT_INT, &d.samples, "0", 0, 1000, "N",
          "how often the memory is printed on the way" },
    };
    const struct opts opts = { .program = "local_flow",
                               .synopsis = "[options]",
                               .about = "Workflows a second of local-aws.",
                               .table = table,
                               .count = ARRAY_LEN(table) };
    int rc = opts_load(&opts, argc, argv, environ, err);
    if (rc < 0)
        return rc == OPTS_DONE ? 0 : -1;
    if (!mkdtemp(d.dir))
        return error_set_errno(err, errno, "mkdtemp");
    rc = start(&d, err);
    if (rc == 0) {
        d.options = (struct aws_options){ .region = mem_dup("us-east-1"),
                                          .endpoint = program_url(d.program, "aws"),
                                          .access_key = mem_dup("bench"),
                                          .secret_key = mem_dup("secret") };
        d.sent_us = mem_array((size_t)d.workflows, sizeof(int64_t));
        d.latency_us = mem_array((size_t)d.workflows, sizeof(int64_t));
        measure(&d);
        rc = program_stop(d.program, READY_MS) == 0
                 ? 0
                 : error_set(err, ERR_INTERNAL, 0, "local-aws did not end cleanly");
        free(d.options.region);
        free(d.options.endpoint);
        free(d.options.access_key);
        free(d.options.secret_key);
        free(d.sent_us);
        free(d.latency_us);
    }
    program_free(d.program);
    mem_close_fd(&d.sock);
    auto_free char *remove = mem_printf("rm -rf '%s'", d.dir);
    if (rc == 0 && system(remove) != 0)
        fprintf(stderr, "local_flow: %s is left\n", d.dir);
    opts_release(&opts);
    return rc;
}

int main(int argc, char **argv)
{
    struct error err = { 0 };
    const char *sock = getenv("BENCH_SOCKET");
    if (sock)
        return serve(sock);
    http_global_init();
    int rc = drive(argc, argv, &err);
    http_global_cleanup();
    if (rc == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "local_flow: %s\n", err.msg);
    return EXIT_FAILURE;
}
