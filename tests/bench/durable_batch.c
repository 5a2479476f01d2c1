/* durable_batch.c - what a batch costs the SDK as it grows: durable_batch CASE N takes one
 * invocation with a map of N items through the SDK on four threads, against a service in the
 * process, and prints the processor time in ms without that service's, and the peak of memory in
 * KiB. The cases:
 *
 *   steps    each item is one step that ends at once
 *   flat     the same without records of the items
 *   alone    the same one item at a time, without threads
 *   rule     the same with a completion rule that counts
 *   waits    each item waits; the invocation suspends
 *   replay   all items are recorded, the batch's end is not
 *   rebuild  all is recorded, the batch's result was too large
 *   wake     all items wait but one, which does N steps; each checkpoint brings the end of one wait
 *   nested   N/16 items, each a map of 16 with a step each */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/json.h"
#include "shared/durable/invocation.h"
#include "shared/durable/opid.h"

#define TEXT_MAX (256U << 20)
#define INNER    16
#define ARN                                                                                        \
    "arn:aws:lambda:us-east-1:123456789012:function:fn:1/durable-execution/e1/"                    \
    "9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
#define NOW_MS 1795410290000

struct bench {
    const char *name;
    unsigned long n;
    bool wake;
    unsigned long woken; /* waits that the service has ended */
    double service_ms;   /* its processor time */
    unsigned long checkpoints;
    struct durable_batch_opts opts;
};

static double cpu_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
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

/* ---- the service ----------------------------------------------------------------------------- */

static void add_record(struct buf *out, const char *raw, const char *parent, const char *type,
                       const char *subtype, const char *name, const char *status,
                       const char *details)
{
    char id[OPID_WIRE], above[OPID_WIRE];
    opid_wire(raw, id);
    opid_wire(parent, above);
    buf_printf(out, ",{\"Id\":\"%s\",\"Type\":\"%s\",\"SubType\":\"%s\",\"Status\":\"%s\"", id,
               type, subtype, status);
    if (parent[0])
        buf_printf(out, ",\"ParentId\":\"%s\"", above);
    if (name)
        buf_printf(out, ",\"Name\":\"%s\"", name);
    buf_printf(out, ",\"StartTimestamp\":1795410283498%s}", details);
}

static void add_wait(struct buf *out, unsigned long i, const char *status)
{
    char raw[48], parent[48];
    snprintf(parent, sizeof(parent), "1-%lu", i + 1);
    snprintf(raw, sizeof(raw), "1-%lu-1", i + 1);
    add_record(out, raw, parent, "WAIT", "Wait", NULL, status,
               ",\"WaitDetails\":{\"ScheduledEndTimestamp\":1795419999000}");
}

/* The record that an update makes. */
static void apply(struct buf *out, const struct json_object *update)
{
    const char *type = json_get_str(update, "Type");
    const char *action = json_get_str(update, "Action");
    const char *members[] = { "Id", "ParentId", "Type", "SubType", "Name" };
    buf_add_str(out, ",{\"StartTimestamp\":1795410283498");
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_get_str(update, members[i])) {
            buf_printf(out, ",\"%s\":", members[i]);
            buf_add_json_str(out, json_get_str(update, members[i]));
        }
    buf_printf(out, ",\"Status\":\"%s\"", strcmp(action, "START") == 0 ? "STARTED" : "SUCCEEDED");
    if (strcmp(type, "WAIT") == 0)
        buf_add_str(out, ",\"WaitDetails\":{\"ScheduledEndTimestamp\":1795419999000}");
    if (json_get_str(update, "Payload")) {
        buf_printf(out,
                   ",\"%sDetails\":{\"Result\":", strcmp(type, "STEP") == 0 ? "Step" : "Context");
        buf_add_json_str(out, json_get_str(update, "Payload"));
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

static int checkpoint(void *arg, const char *arn, const char *body, size_t len,
                      struct json_object **answer, struct error *err)
{
    struct bench *b = arg;
    double start = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
    auto_json struct json_object *request = NULL;
    auto_buf struct buf out = BUF_INIT(TEXT_MAX);
    (void)arn;
    if (json_parse(body, len, JSON_DEPTH, &request, err) < 0)
        return -1;
    const struct json_object *updates = json_get_arr(request, "Updates");
    buf_printf(&out, "{\"CheckpointToken\":\"T%lu\",\"NewExecutionState\":{\"Operations\":[",
               ++b->checkpoints);
    size_t begin = out.len;
    for (size_t i = 0; i < json_object_array_length(updates); i++)
        apply(&out, json_object_array_get_idx(updates, i));
    if (b->wake && b->woken + 1 < b->n)
        add_wait(&out, ++b->woken, "SUCCEEDED");
    if (out.len > begin)
        out.data[begin] = ' '; /* the comma before the first */
    buf_add_str(&out, "]}}");
    int rc = json_parse(buf_str(&out), out.len, JSON_DEPTH, answer, err);
    b->service_ms += cpu_ms(CLOCK_THREAD_CPUTIME_ID) - start;
    return rc;
}

static int64_t now(void *arg)
{
    (void)arg;
    return NOW_MS;
}

static void no_log(void *arg, const char *line, size_t len)
{
    (void)arg, (void)line, (void)len;
}

/* ---- the workflow ---------------------------------------------------------------------------- */

static int work(struct durable_step *step, void *arg, struct json_object **out,
                struct durable_error *err)
{
    (void)step, (void)arg, (void)err;
    *out = json_object_new_string("a result that has some forty bytes, more or less");
    return 0;
}

static enum durable_rc one_step(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                void *arg, struct json_object **out, struct durable_error *err)
{
    (void)item, (void)index;
    return durable_step(ctx, NULL, work, arg, NULL, out, err);
}

static enum durable_rc one_wait(struct durable_ctx *ctx, struct json_object *item, size_t index,
                                void *arg, struct json_object **out, struct durable_error *err)
{
    const struct bench *b = arg;
    (void)item, (void)out;
    if (!b->wake || index > 0)
        return durable_wait(ctx, NULL, 9709, err);
    for (unsigned long i = 0; i < b->n; i++)
        DURABLE_TRY(durable_step(ctx, NULL, work, arg, NULL, NULL, err));
    return DURABLE_OK;
}

static enum durable_rc map(struct durable_ctx *ctx, unsigned long n, durable_item_fn *item,
                           struct bench *b, struct json_object **out, struct durable_error *err)
{
    auto_durable_batch struct durable_batch *batch = NULL;
    auto_json struct json_object *items = json_object_new_array();
    for (unsigned long i = 0; i < n; i++)
        json_object_array_add(items, json_object_new_int64((int64_t)i));
    DURABLE_TRY(durable_map(ctx, "map", items, item, b, &b->opts, &batch, err));
    *out = json_object_new_int64((int64_t)durable_batch_succeeded(batch));
    return DURABLE_OK;
}

static enum durable_rc inner(struct durable_ctx *ctx, struct json_object *item, size_t index,
                             void *arg, struct json_object **out, struct durable_error *err)
{
    (void)item, (void)index;
    return map(ctx, INNER, one_step, arg, out, err);
}

static enum durable_rc handler(struct durable_ctx *ctx, struct json_object *in, void *arg,
                               struct json_object **out, struct durable_error *err)
{
    struct bench *b = arg;
    (void)in;
    if (strcmp(b->name, "nested") == 0)
        return map(ctx, b->n / INNER, inner, b, out, err);
    bool waits = b->wake || strcmp(b->name, "waits") == 0;
    return map(ctx, b->n, waits ? one_wait : one_step, b, out, err);
}

static enum durable_verdict rule(const struct durable_batch *so_far, void *arg)
{
    const struct bench *b = arg;
    size_t ended = durable_batch_succeeded(so_far) + durable_batch_failed(so_far);
    return ended == b->n ? DURABLE_COMPLETE_SUCCEEDED : DURABLE_GO_ON;
}

/* ---- the event ------------------------------------------------------------------------------- */

static void add_item(struct buf *event, const struct bench *b, unsigned long i)
{
    static const char details[] = ",\"ContextDetails\":{\"Result\":\"\\\"a result\\\"\"}";
    char raw[48], name[48];
    snprintf(raw, sizeof(raw), "1-%lu", i + 1);
    snprintf(name, sizeof(name), "map-item-%lu", i);
    add_record(event, raw, "1", "CONTEXT", "MapIteration", name, b->wake ? "STARTED" : "SUCCEEDED",
               b->wake ? "" : details);
    if (b->wake && i > 0)
        add_wait(event, i, "STARTED");
}

static void write_event(struct buf *event, const struct bench *b)
{
    buf_add_str(event, "{\"DurableExecutionArn\":\"" ARN "\",\"CheckpointToken\":\"T0\","
                       "\"InitialExecutionState\":{\"Operations\":[{\"Id\":\"9f7d84c9-ea3d-3ffc-"
                       "b3e5-5ec51c34ffc9\",\"Type\":\"EXECUTION\",\"Name\":\"e1\",\"Status\":"
                       "\"STARTED\",\"StartTimestamp\":1795410283266,\"ExecutionDetails\":{}}");
    bool rebuild = strcmp(b->name, "rebuild") == 0;
    if (b->wake || rebuild || strcmp(b->name, "replay") == 0) {
        auto_buf struct buf details = BUF_INIT(TEXT_MAX);
        if (rebuild) {
            buf_add_str(&details,
                        ",\"ContextDetails\":{\"ReplayChildren\":true,\"Result\":\"{"
                        "\\\"completionReason\\\":\\\"ALL_COMPLETED\\\",\\\"itemStatuses\\\":\\\"");
            for (unsigned long i = 0; i < b->n; i++)
                buf_add_char(&details, 'S');
            buf_add_str(&details, "\\\"}\"}");
        }
        add_record(event, "1", "", "CONTEXT", "Map", "map", rebuild ? "SUCCEEDED" : "STARTED",
                   buf_str(&details));
        for (unsigned long i = 0; i < b->n; i++)
            add_item(event, b, i);
    }
    buf_add_str(event, "],\"NextMarker\":\"\"},\"UpdatedOperationIds\":[]}");
}

static int run(struct bench *b)
{
    const struct durable_edge edge = {
        .checkpoint = checkpoint, .now_ms = now, .log = no_log, .max_threads = 4, .arg = b
    };
    auto_buf struct buf event = BUF_INIT(TEXT_MAX);
    auto_buf struct buf response = BUF_INIT(TEXT_MAX);
    char want[96];
    struct error err = { 0 };
    write_event(&event, b);
    const struct invocation inv = {
        .event = buf_str(&event), .event_len = event.len, .request_id = "r", .edge = &edge
    };
    snprintf(want, sizeof(want), "{\"Status\":\"SUCCEEDED\",\"Result\":\"%lu\"}",
             strcmp(b->name, "nested") == 0 ? b->n / INNER : b->n);
    if (strcmp(b->name, "waits") == 0)
        snprintf(want, sizeof(want), "{\"Status\":\"PENDING\"}");
    long before = peak_kib();
    double start = cpu_ms(CLOCK_PROCESS_CPUTIME_ID);
    int rc = invocation_run(&inv, handler, b, &response, &err);
    double ms = cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - start - b->service_ms;
    long after = peak_kib();
    if (rc < 0 || strcmp(buf_str(&response), want) != 0) {
        fprintf(stderr, "durable_batch: %s %s\n", err.msg, buf_str(&response));
        return 1;
    }
    printf("%-8s %6lu  %9.1f ms  %6.2f us an item  %5lu checkpoints  %7ld KiB\n", b->name, b->n, ms,
           ms * 1000 / (double)b->n, b->checkpoints, after - before);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const cases[] = { "steps",  "flat",    "alone", "rule",  "waits",
                                         "replay", "rebuild", "wake",  "nested" };
    struct bench b = { 0 };
    for (size_t i = 0; argc == 3 && i < ARRAY_LEN(cases); i++)
        if (strcmp(argv[1], cases[i]) == 0)
            b.name = cases[i];
    b.n = b.name ? strtoul(argv[2], NULL, 10) : 0;
    if (b.n == 0 || b.n > 100000) {
        fprintf(stderr, "usage: durable_batch "
                        "steps|flat|alone|rule|waits|replay|rebuild|wake|nested N\n");
        return 2;
    }
    b.wake = strcmp(b.name, "wake") == 0;
    b.opts.flat = strcmp(b.name, "flat") == 0;
    if (strcmp(b.name, "alone") == 0)
        b.opts.max_concurrency = durable_limit(1);
    if (strcmp(b.name, "rule") == 0)
        b.opts.completion = (struct durable_completion){ .should_complete = rule, .arg = &b };
    return run(&b);
}
