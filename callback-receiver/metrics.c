#include "callback-receiver/metrics.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "callback_receiver_"

static const struct {
    const char *name;
    const char *labels;
    const char *help;
} described[METRICS] = {
    [METRIC_REGISTRATIONS] = { "registrations_total", "", "Jobs registered." },
    [METRIC_HEARTBEATS] = { "heartbeats_total", "", "Heartbeats taken." },
    [METRIC_CLOSES] = { "closes_total", "", "Callbacks closed by the launcher." },
    [METRIC_REPORTS_TAKEN] = { "reports_total", "{outcome=\"taken\"}",
                               "Reports: the first (taken), repeats of it (same), conflicting ones "
                               "(other), and those that come too late (over)." },
    [METRIC_REPORTS_SAME] = { "reports_total", "{outcome=\"same\"}", "" },
    [METRIC_REPORTS_OTHER] = { "reports_total", "{outcome=\"other\"}", "" },
    [METRIC_REPORTS_OVER] = { "reports_total", "{outcome=\"over\"}", "" },
    [METRIC_DENIED] = { "denied_total", "", "Requests without a token that allows them." },
    [METRIC_BUSY] = { "busy_total", "", "Requests refused because too much was waiting." },
    [METRIC_JUDGED] = { "judged_total", "", "Jobs reported as failed because of their silence." },
    [METRIC_KEYS_READ] = { "key_reads_total", "{outcome=\"ok\"}", "Reads of the keys' secret." },
    [METRIC_KEYS_FAILED] = { "key_reads_total", "{outcome=\"failed\"}", "" },
    [METRIC_DELIVERIES_OK] = { "deliveries_total", "{outcome=\"ok\"}",
                               "Calls to Lambda that deliver a report; all but ok, gone and "
                               "refused "
                               "are repeated." },
    [METRIC_DELIVERIES_GONE] = { "deliveries_total", "{outcome=\"gone\"}", "" },
    [METRIC_DELIVERIES_REFUSED] = { "deliveries_total", "{outcome=\"refused\"}", "" },
    [METRIC_DELIVERIES_RETRY] = { "deliveries_total", "{outcome=\"retry\"}", "" },
    [METRIC_DELIVERIES_LOST] = { "deliveries_total", "{outcome=\"lost\"}", "" },
    [METRIC_DELIVERIES_DENIED] = { "deliveries_total", "{outcome=\"denied\"}", "" },
    [METRIC_DELIVERIES_THROTTLED] = { "deliveries_total", "{outcome=\"throttled\"}", "" },
    [METRIC_ENDED_DELIVERED] = { "ended_total", "{state=\"delivered\"}",
                                 "Reports that came to their end." },
    [METRIC_ENDED_UNCONFIRMED] = { "ended_total", "{state=\"unconfirmed\"}", "" },
    [METRIC_ENDED_DEAD] = { "ended_total", "{state=\"dead\"}", "" },
    [METRIC_BEATS_OK] = { "engine_heartbeats_total", "{outcome=\"ok\"}",
                          "Heartbeats for Lambda; skipped: reports needed the calls." },
    [METRIC_BEATS_GONE] = { "engine_heartbeats_total", "{outcome=\"gone\"}", "" },
    [METRIC_BEATS_FAILED] = { "engine_heartbeats_total", "{outcome=\"failed\"}", "" },
    [METRIC_BEATS_SKIPPED] = { "engine_heartbeats_total", "{outcome=\"skipped\"}", "" },
};

static const char *const route_names[METRICS_ROUTES] = {
    [METRICS_REGISTER] = "register", [METRICS_STATUS] = "status",
    [METRICS_CLOSE] = "close",       [METRICS_SUCCESS] = "success",
    [METRICS_FAILURE] = "failure",   [METRICS_HEARTBEAT] = "heartbeat",
    [METRICS_INPUT] = "input",       [METRICS_OTHER] = "other",
};

/* The last stands for all others. */
static const int statuses[METRICS_STATUSES] = { 200, 201, 202, 400, 401, 403, 404, 405,
                                                409, 410, 413, 415, 429, 500, 503, 0 };

static const int64_t bounds_us[METRICS_BUCKETS] = { 250,    500,     1000,    2500,     5000,
                                                    10000,  25000,   50000,   100000,   250000,
                                                    500000, 1000000, 2500000, 10000000, 60000000 };

void metrics_add(struct metrics *m, enum metric which)
{
    atomic_fetch_add_explicit(&m->counts[which], 1, memory_order_relaxed);
}

void metrics_time(struct metrics_histogram *h, int64_t us)
{
    size_t i = 0;
    if (us < 0)
        us = 0;
    while (i < METRICS_BUCKETS && us > bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, (unsigned long long)us, memory_order_relaxed);
}

void metrics_request(struct metrics *m, enum metrics_route route, int status, int64_t us)
{
    size_t i = 0;
    while (i < METRICS_STATUSES - 1 && statuses[i] != status)
        i++;
    atomic_fetch_add_explicit(&m->requests[route][i], 1, memory_order_relaxed);
    metrics_time(&m->request_time[route], us);
}

enum metrics_route metrics_route(const char *method, const char *path)
{
    static const char base[] = "/v1/callbacks/";
    static const struct {
        const char *part;
        const char *method;
        enum metrics_route route;
    } table[] = {
        { "/success", "POST", METRICS_SUCCESS },
        { "/failure", "POST", METRICS_FAILURE },
        { "/heartbeat", "POST", METRICS_HEARTBEAT },
        { "/input", "GET", METRICS_INPUT },
        { "/input", "HEAD", METRICS_INPUT },
        { "", "PUT", METRICS_REGISTER },
        { "", "GET", METRICS_STATUS },
        { "", "HEAD", METRICS_STATUS },
        { "", "DELETE", METRICS_CLOSE },
    };
    if (!method || strncmp(path, base, sizeof(base) - 1) != 0)
        return METRICS_OTHER;
    const char *part = path + sizeof(base) - 1;
    part += strcspn(part, "/");
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(part, table[i].part) == 0 && strcmp(method, table[i].method) == 0)
            return table[i].route;
    return METRICS_OTHER;
}

uint64_t metrics_get(struct metrics *m, enum metric which)
{
    return atomic_load_explicit(&m->counts[which], memory_order_relaxed);
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

/* One series; `label` is "" or "route=\"x\"". */
static void print_histogram(struct metrics_histogram *h, const char *name, const char *label,
                            struct buf *out)
{
    unsigned long long count = 0;
    const char *comma = label[0] ? "," : "";
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        count += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        buf_printf(out, PREFIX "%s_bucket{%s%sle=\"%g\"} %llu\n", name, label, comma,
                   (double)bounds_us[i] / 1e6, count);
    }
    count += atomic_load_explicit(&h->buckets[METRICS_BUCKETS], memory_order_relaxed);
    buf_printf(out, PREFIX "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, comma, count);
    buf_printf(out, PREFIX "%s_sum%s%s%s %.6f\n", name, label[0] ? "{" : "", label,
               label[0] ? "}" : "",
               (double)atomic_load_explicit(&h->sum_us, memory_order_relaxed) / 1e6);
    buf_printf(out, PREFIX "%s_count%s%s%s %llu\n", name, label[0] ? "{" : "", label,
               label[0] ? "}" : "", count);
}

static void print_requests(struct metrics *m, struct buf *out)
{
    head(out, "requests_total", "counter", "Requests answered.");
    for (size_t r = 0; r < METRICS_ROUTES; r++)
        for (size_t i = 0; i < METRICS_STATUSES; i++) {
            unsigned long long n = atomic_load_explicit(&m->requests[r][i], memory_order_relaxed);
            char status[16] = "other";
            if (statuses[i])
                snprintf(status, sizeof(status), "%d", statuses[i]);
            if (n > 0)
                buf_printf(out, PREFIX "requests_total{route=\"%s\",status=\"%s\"} %llu\n",
                           route_names[r], status, n);
        }
    head(out, "request_seconds", "histogram",
         "From a request's first line to its answer (Prefer: wait included).");
    for (size_t r = 0; r < METRICS_ROUTES; r++) {
        char label[32];
        snprintf(label, sizeof(label), "route=\"%s\"", route_names[r]);
        print_histogram(&m->request_time[r], "request_seconds", label, out);
    }
}

void metrics_print(struct metrics *m, struct buf *out)
{
    const char *last = "";
    for (size_t i = 0; i < METRICS; i++) {
        const char *name = described[i].name;
        if (strcmp(name, last) != 0)
            head(out, name, "counter", described[i].help);
        buf_printf(out, PREFIX "%s%s %llu\n", name, described[i].labels,
                   (unsigned long long)metrics_get(m, (enum metric)i));
        last = name;
    }
    print_requests(m, out);
    head(out, "call_seconds", "histogram", "Calls to Lambda.");
    print_histogram(&m->call_time, "call_seconds", "", out);
    head(out, "delivery_seconds", "histogram", "From a report's acceptance to its delivery.");
    print_histogram(&m->delivery_time, "delivery_seconds", "", out);
    head(out, "store_commit_seconds", "histogram", "Transactions of the store.");
    print_histogram(&m->commit_time, "store_commit_seconds", "", out);
}
