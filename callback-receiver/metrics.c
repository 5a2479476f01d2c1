#include "callback-receiver/metrics.h"

#include <string.h>

static const struct {
    const char *name;
    const char *labels;
    const char *help;
} described[METRICS] = {
    [METRIC_REQUESTS_2XX] = { "requests_total", "{status=\"2xx\"}", "Requests answered." },
    [METRIC_REQUESTS_4XX] = { "requests_total", "{status=\"4xx\"}", "" },
    [METRIC_REQUESTS_5XX] = { "requests_total", "{status=\"5xx\"}", "" },
    [METRIC_REGISTRATIONS] = { "registrations_total", "", "Jobs registered." },
    [METRIC_HEARTBEATS] = { "heartbeats_total", "", "Heartbeats taken." },
    [METRIC_CLOSES] = { "closes_total", "", "Callbacks closed by the launcher." },
    [METRIC_REPORTS_TAKEN] = { "reports_total", "{outcome=\"taken\"}", "Reports of jobs." },
    [METRIC_REPORTS_SAME] = { "reports_total", "{outcome=\"same\"}", "" },
    [METRIC_REPORTS_OTHER] = { "reports_total", "{outcome=\"other\"}", "" },
    [METRIC_REPORTS_OVER] = { "reports_total", "{outcome=\"over\"}", "" },
    [METRIC_DENIED] = { "denied_total", "", "Requests without a token that allows them." },
    [METRIC_BUSY] = { "busy_total", "", "Requests refused because the queue was full." },
    [METRIC_JUDGED] = { "judged_total", "", "Jobs reported as failed because of their silence." },
    [METRIC_KEYS_READ] = { "key_reads_total", "{outcome=\"ok\"}", "Reads of the keys' secret." },
    [METRIC_KEYS_FAILED] = { "key_reads_total", "{outcome=\"failed\"}", "" },
    [METRIC_DELIVERIES_OK] = { "deliveries_total", "{outcome=\"ok\"}", "Calls to Lambda." },
    [METRIC_DELIVERIES_GONE] = { "deliveries_total", "{outcome=\"gone\"}", "" },
    [METRIC_DELIVERIES_REFUSED] = { "deliveries_total", "{outcome=\"refused\"}", "" },
    [METRIC_DELIVERIES_RETRY] = { "deliveries_total", "{outcome=\"retry\"}", "" },
    [METRIC_DELIVERIES_LOST] = { "deliveries_total", "{outcome=\"lost\"}", "" },
};

void metrics_add(struct metrics *m, enum metric which)
{
    atomic_fetch_add_explicit(&m->counts[which], 1, memory_order_relaxed);
}

void metrics_add_status(struct metrics *m, int status)
{
    metrics_add(m, status < 400   ? METRIC_REQUESTS_2XX
                   : status < 500 ? METRIC_REQUESTS_4XX
                                  : METRIC_REQUESTS_5XX);
}

uint64_t metrics_get(struct metrics *m, enum metric which)
{
    return atomic_load_explicit(&m->counts[which], memory_order_relaxed);
}

void metrics_print(struct metrics *m, struct buf *out)
{
    const char *last = "";
    for (size_t i = 0; i < METRICS; i++) {
        const char *name = described[i].name;
        if (strcmp(name, last) != 0)
            buf_printf(out, "# HELP callback_receiver_%s %s\n# TYPE callback_receiver_%s counter\n",
                       name, described[i].help, name);
        buf_printf(out, "callback_receiver_%s%s %llu\n", name, described[i].labels,
                   (unsigned long long)metrics_get(m, i));
        last = name;
    }
}
