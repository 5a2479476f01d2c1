/* What /metrics says: routes, statuses, histograms, and a text that Prometheus can read. */
#include "callback-receiver/metrics.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(metrics, tell_requests_by_route)
{
    static const struct {
        const char *method, *path;
        enum metrics_route route;
    } cases[] = {
        { "PUT", "/v1/callbacks/x", METRICS_REGISTER },
        { "GET", "/v1/callbacks/x", METRICS_STATUS },
        { "HEAD", "/v1/callbacks/x", METRICS_STATUS },
        { "DELETE", "/v1/callbacks/x", METRICS_CLOSE },
        { "POST", "/v1/callbacks/x/success", METRICS_SUCCESS },
        { "POST", "/v1/callbacks/x/failure", METRICS_FAILURE },
        { "POST", "/v1/callbacks/x/heartbeat", METRICS_HEARTBEAT },
        { "GET", "/v1/callbacks/x/input", METRICS_INPUT },
        { "POST", "/v1/callbacks/x", METRICS_OTHER },
        { "GET", "/v1/callbacks/x/success", METRICS_OTHER },
        { "POST", "/v1/callbacks/x/success/", METRICS_OTHER },
        { "GET", "/healthz", METRICS_OTHER },
        { "GET", "", METRICS_OTHER },
        { NULL, "/v1/callbacks/x", METRICS_OTHER },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(metrics_route(cases[i].method, cases[i].path), cases[i].route, "case %zu", i);
}

static char *printed(struct metrics *m)
{
    struct buf b;
    buf_init(&b, 1 << 18);
    metrics_print(m, &b);
    cr_assert(!buf_overflowed(&b));
    return buf_take(&b, NULL);
}

Test(metrics, count_and_time)
{
    struct metrics *m = mem_alloc(sizeof(*m));
    metrics_add(m, METRIC_REPORTS_SAME);
    metrics_request(m, METRICS_SUCCESS, 202, 700);
    metrics_request(m, METRICS_SUCCESS, 202, 2000000);
    metrics_request(m, METRICS_SUCCESS, 418, INT64_C(3600000000));
    static const char *const lines[] = {
        "callback_receiver_reports_total{outcome=\"same\"} 1\n",
        "callback_receiver_requests_total{route=\"success\",status=\"202\"} 2\n",
        "callback_receiver_requests_total{route=\"success\",status=\"other\"} 1\n",
        "callback_receiver_request_seconds_bucket{route=\"success\",le=\"0.0005\"} 0\n",
        "callback_receiver_request_seconds_bucket{route=\"success\",le=\"0.001\"} 1\n",
        "callback_receiver_request_seconds_bucket{route=\"success\",le=\"2.5\"} 2\n",
        "callback_receiver_request_seconds_bucket{route=\"success\",le=\"60\"} 2\n",
        "callback_receiver_request_seconds_bucket{route=\"success\",le=\"+Inf\"} 3\n",
        "callback_receiver_request_seconds_sum{route=\"success\"} 3602.000700\n",
        "callback_receiver_request_seconds_count{route=\"success\"} 3\n",
        "callback_receiver_store_commit_seconds_count 0\n",
    };
    auto_free char *text = printed(m);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        cr_expect_not_null(strstr(text, lines[i]), "%s", lines[i]);
    free(m);
}

Test(metrics, every_series_has_its_help_and_type_once)
{
    struct metrics *m = mem_alloc(sizeof(*m));
    auto_free char *text = printed(m);
    for (char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        auto_free char *one = mem_dup_len(line, len);
        if (strncmp(one, "# TYPE ", 7) == 0) {
            auto_free char *name = mem_dup_len(one, 7 + strcspn(one + 7, " "));
            cr_expect_null(strstr(line + len, name), "twice: %s", name);
        } else if (one[0] != '#') {
            cr_expect_not_null(strrchr(one, ' '), "%s", one);
            cr_expect_eq(strncmp(one, "callback_receiver_", 18), 0, "%s", one);
        }
        line += len + (line[len] == '\n');
    }
    free(m);
}
