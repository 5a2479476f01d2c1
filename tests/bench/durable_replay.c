/* durable_replay.c - what it costs to re-live N completed steps, in one process: durable_replay
 * event N writes the invocation's event to standard output; durable_replay run FILE N ROUNDS takes
 * it that often through the SDK (event parsed, handler run, answer written, no network) and prints
 * the processor time of each round in ms and the growth of the peak of memory in KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/buf.h"
#include "shared/durable/invocation.h"
#include "shared/durable/opid.h"

#define FILE_MAX (64U << 20)

static void write_event(unsigned long n)
{
    printf(
        "{\"DurableExecutionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:fn:1/"
        "durable-execution/e1/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9\",\"CheckpointToken\":\"T0\","
        "\"InitialExecutionState\":{\"Operations\":[{\"Id\":\"9f7d84c9-ea3d-3ffc-b3e5-"
        "5ec51c34ffc9\",\"Type\":\"EXECUTION\",\"Name\":\"e1\",\"Status\":\"STARTED\","
        "\"StartTimestamp\":1795410283266,\"ExecutionDetails\":{\"InputPayload\":\"{\\\"n\\\":%lu}"
        "\"}}",
        n);
    for (unsigned long i = 1; i <= n; i++) {
        char id[OPID_WIRE];
        char *raw = opid_raw("", i);
        opid_wire(raw, id);
        free(raw);
        printf(",{\"Id\":\"%s\",\"Type\":\"STEP\",\"SubType\":\"Step\",\"Name\":\"step-%lu\","
               "\"Status\":\"SUCCEEDED\",\"StartTimestamp\":1795410283498,\"EndTimestamp\":"
               "1795410284613,\"StepDetails\":{\"Attempt\":1,\"Result\":\"{\\\"id\\\":%lu,\\\"name"
               "\\\":\\\"item number %lu\\\"}\"}}",
               id, i, i, i);
    }
    printf("],\"NextMarker\":\"\"},\"UpdatedOperationIds\":[]}");
}

static int body(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)arg, (void)out;
    durable_error_set(err, "Bench", "a step that is recorded has run");
    return -1;
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    int64_t n = json_object_get_int64(json_object_object_get(in, "n"));
    int64_t sum = 0;
    for (int64_t i = 1; i <= n; i++) {
        char name[32];
        struct json_object *value = NULL;
        snprintf(name, sizeof(name), "step-%lld", (long long)i);
        DURABLE_TRY(durable_step(ctx, name, body, arg, NULL, &value, err));
        sum += json_object_get_int64(json_object_object_get(value, "id"));
        json_object_put(value);
    }
    *out = json_object_new_int64(sum);
    return DURABLE_OK;
}

static int no_call(void *arg, const char *arn, const char *request, size_t len,
                   struct json_object **answer, struct error *err)
{
    (void)arg, (void)arn, (void)request, (void)len, (void)answer;
    return error_set(err, ERR_INTERNAL, 0, "a replay sends nothing");
}

static int64_t now(void *arg)
{
    (void)arg;
    return 1795410290000;
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of this program alone: what getrusage says begins with the peak of the one that started it. */
static long peak_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static int run(const char *file, unsigned long n, unsigned long rounds)
{
    const struct durable_edge edge = { .checkpoint = no_call, .now_ms = now, .max_threads = 4 };
    struct buf event = BUF_INIT(FILE_MAX);
    struct buf response = BUF_INIT(1 << 20);
    char want[96], chunk[65536];
    FILE *f = fopen(file, "r");
    for (size_t got; f && (got = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        buf_add(&event, chunk, got);
    if (f)
        fclose(f);
    snprintf(want, sizeof(want), "{\"Status\":\"SUCCEEDED\",\"Result\":\"%lu\"}", n * (n + 1) / 2);
    long before = peak_kib();
    int status = 0;
    for (unsigned long i = 0; status == 0 && i < rounds; i++) {
        struct error err = { 0 };
        const struct invocation inv = {
            .event = buf_str(&event), .event_len = event.len, .request_id = "r", .edge = &edge
        };
        double start = cpu_ms();
        buf_reset(&response);
        if (invocation_run(&inv, handler, NULL, &response, &err) < 0 ||
            strcmp(buf_str(&response), want) != 0) {
            fprintf(stderr, "durable_replay: %s %s\n", err.msg, buf_str(&response));
            status = 1;
        }
        printf("%.3f\n", cpu_ms() - start);
    }
    printf("peak %ld\n", peak_kib() - before);
    buf_release(&event);
    buf_release(&response);
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "event") == 0) {
        write_event(strtoul(argv[2], NULL, 10));
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "run") == 0)
        return run(argv[2], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    fprintf(stderr, "usage: durable_replay event N | run FILE N ROUNDS\n");
    return 2;
}
