/* local_flow: how many workflows of one callback each local-aws carries a second, and how soon a
 * callback brings the function back.
 *
 * The program is its own function: with BENCH_SOCKET in the environment it serves the Runtime API
 * with the SDK, and tells the driver over a datagram socket the callback's id and when it was
 * invoked again. The driver keeps --at-once synchronous invocations going and answers each callback
 * as soon as it hears of it. With --samples it prints local-aws's memory on the way.
 *
 * With --outstanding the workflows are all begun before the first callback is answered: what they
 * cost local-aws to begin, to keep and to end. With --json, one line of JSON and no other. */
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
#define IDLE_MS     2000
#define STUCK_US    60000000

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
    bool outstanding, json;
    struct program *program;
    struct aws_options options;
    int sock;
    atomic_llong next, ended, failed;
    int64_t *sent_us;    /* when the answer to a workflow's callback was sent */
    int64_t *latency_us; /* from then to its invocation */
    char **ids;          /* of the callbacks, where they are answered later */
    atomic_llong suspended, resumed;
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
                                           .type = d->outstanding ? "Event" : "RequestResponse",
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
            atomic_fetch_add(&d->resumed, 1);
            continue;
        }
        if (d->outstanding) {
            d->ids[index] = mem_dup(id);
            atomic_fetch_add(&d->suspended, 1);
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

static double processor_ms(const struct driver *d)
{
    clockid_t clock;
    struct timespec t = { 0 };
    if (clock_getcpuclockid(program_pid(d->program), &clock) == 0)
        clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
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
    double before = processor_ms(d);
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
    double rate = (double)n * 1e6 / (double)took, each = (processor_ms(d) - before) / (double)n;
    if (d->json)
        printf("{\"workflows\":%zu,\"rate\":%.1f,\"failed\":%lld,\"median_ms\":%.3f,\"most_ms\":"
               "%.3f,\"cpu_ms\":%.4f}\n",
               n, rate, (long long)atomic_load(&d->failed), (double)l[n / 2] / 1e3,
               (double)l[n * 95 / 100] / 1e3, each);
    else
        printf("%zu workflows with a callback each, %lld at a time: %.0f a second (%lld failed); "
               "callback to invocation: median %.1f ms, 95 %% %.1f ms; local-aws used %.2f ms of "
               "processor each\n",
               n, (long long)d->at_once, rate, (long long)atomic_load(&d->failed),
               (double)l[n / 2] / 1e3, (double)l[n * 95 / 100] / 1e3, each);
}

static void *answer_later(void *arg)
{
    struct driver *d = arg;
    struct aws *aws = client(d);
    long long i;
    while ((i = atomic_fetch_add(&d->next, 1)) < d->workflows) {
        struct error err;
        d->sent_us[i] = now_us();
        if (lambda_callback_success(aws, d->ids[i], "true", 4, &err) < 0)
            fprintf(stderr, "local_flow: callback: %s\n", err.msg);
    }
    aws_free(aws);
    return NULL;
}

/* `work` by SENDERS threads, over all workflows, until `count` has reached them all. */
static void all_by(struct driver *d, void *(*work)(void *), const atomic_llong *count)
{
    pthread_t senders[SENDERS];
    atomic_store(&d->next, 0);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_create(&senders[i], NULL, work, d);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    int64_t seen = -1, moved = now_us();
    for (int64_t now; (now = atomic_load(count)) < d->workflows; usleep(1000)) {
        if (now != seen)
            moved = now_us();
        seen = now;
        if (now_us() - moved > STUCK_US) {
            fprintf(stderr, "local_flow: %lld of %lld, and no more\n", (long long)now,
                    (long long)d->workflows);
            exit(1);
        }
    }
}

static void measure_outstanding(struct driver *d)
{
    pthread_t listener;
    double at[4], n = (double)d->workflows;
    int64_t kib = resident_kib(d);
    d->ids = mem_array((size_t)d->workflows, sizeof(*d->ids));
    pthread_create(&listener, NULL, answer_all, d);
    at[0] = processor_ms(d);
    all_by(d, invoke_all, &d->suspended);
    at[1] = processor_ms(d);
    int64_t full_kib = resident_kib(d);
    usleep(IDLE_MS * 1000);
    at[2] = processor_ms(d);
    all_by(d, answer_later, &d->resumed);
    usleep(100000); /* the last answers */
    at[3] = processor_ms(d);
    atomic_store(&d->done, true);
    pthread_join(listener, NULL);
    printf("{\"workflows\":%lld,\"begin_ms\":%.3f,\"empty_kib\":%lld,\"full_kib\":%lld,"
           "\"idle_ms_per_s\":%.3f,\"end_ms\":%.3f,\"failed\":%lld}\n",
           (long long)d->workflows, (at[1] - at[0]) / n, (long long)kib, (long long)full_kib,
           (at[2] - at[1]) * 1000 / IDLE_MS, (at[3] - at[2]) / n,
           (long long)atomic_load(&d->failed));
    for (int64_t i = 0; i < d->workflows; i++)
        free(d->ids[i]);
    free(d->ids);
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
        { "outstanding", NULL, OPT_BOOL, &d.outstanding, "false", 0, 0, NULL,
          "begin all before the first is answered" },
        { "json", NULL, OPT_BOOL, &d.json, "false", 0, 0, NULL, "one line of JSON" },
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
        d.outstanding ? measure_outstanding(&d) : measure(&d);
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
