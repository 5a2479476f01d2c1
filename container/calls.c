#include "container/calls.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "container/client.h"
#include "container/delivery.h"
#include "container/exits.h"
#include "container/text.h"
#include "shared/base/clock.h"
#include "shared/base/utf8.h"

#define HEARTBEAT_DEADLINE_MS 10000
#define MESSAGE_MAX           1024 /* what the receiver takes */

struct call_content {
    char *heartbeat; /* NULL: a plain one */
    struct report report;
};

static int progress_json(const struct config *cfg, char **out, struct error *err)
{
    char *end = NULL;
    errno = 0;
    double share = strtod(cfg->args[0], &end);
    if (errno || end == cfg->args[0] || *end || isnan(share) || share < 0 || share > 1)
        return error_set(err, ERR_INVALID, 0, "progress: must be a number from 0 to 1");
    auto_buf struct buf b = BUF_INIT(1U << 20);
    buf_printf(&b, "{\"progress\":%.6g", share);
    if (cfg->args[1]) {
        auto_buf struct buf clean = BUF_INIT(1U << 20);
        text_clean(&clean, cfg->args[1], strlen(cfg->args[1]));
        buf_add_str(&b, ",\"message\":");
        buf_add_json(&b, buf_str(&clean), utf8_cut(buf_str(&clean), clean.len, MESSAGE_MAX));
    }
    buf_add_char(&b, '}');
    *out = buf_take(&b, NULL);
    return 0;
}

static int prepare(const struct config *cfg, struct call_content *out, struct error *err)
{
    switch (cfg->action) {
    case ACTION_PROGRESS:
        return progress_json(cfg, &out->heartbeat, err);
    case ACTION_SUCCESS:
        if (cfg->args[0])
            report_success(&out->report, cfg->args[0], strlen(cfg->args[0]));
        else
            report_success_null(&out->report);
        return 0;
    case ACTION_FAILURE: {
        const char *type = cfg->args[0] ? cfg->args[0] : "Task.Failed";
        const char *message = cfg->args[0] && cfg->args[1] ? cfg->args[1] : "";
        report_failure(&out->report, type, message, NULL);
        return 0;
    }
    case ACTION_HEARTBEAT:
    case ACTION_RUN:
    case ACTION_SAMPLE:
        break;
    }
    return 0;
}

static enum delivery_end deliver(const struct config *cfg, struct client *client,
                                 const struct call_content *content, struct error *err)
{
    const struct clock *clock = clock_system();
    bool report = cfg->action == ACTION_SUCCESS || cfg->action == ACTION_FAILURE;
    int64_t most_ms = report ? cfg->report_deadline_s * 1000 : HEARTBEAT_DEADLINE_MS;
    struct delivery d = { .deadline_ms = clock_mono_ms(clock) + most_ms };
    for (;;) {
        struct reply reply;
        int64_t due_ms = 0;
        int64_t timeout_ms = delivery_timeout_ms(&d, clock_mono_ms(clock));
        if (report)
            client_report(client, &content->report, timeout_ms, &reply);
        else
            client_heartbeat(client, content->heartbeat, timeout_ms, &reply);
        enum delivery_end end = delivery_next(&d, &reply, clock_mono_ms(clock), &due_ms);
        if (end != DELIVERY_PENDING) {
            *err = reply.err;
            return end;
        }
        clock_sleep_ms(clock, due_ms - clock_mono_ms(clock));
    }
}

int calls_make(const struct config *cfg, struct error *err)
{
    struct call_content content = { 0 };
    int status = EXIT_USAGE;
    if (prepare(cfg, &content, err) == 0) {
        atomic_bool never = false;
        struct client *client = client_new(cfg->url, cfg->token, &never, err);
        status = EXIT_NOT_DELIVERED;
        if (client) {
            enum delivery_end end = deliver(cfg, client, &content, err);
            if (end == DELIVERY_ACCEPTED)
                status = 0;
            else if (end == DELIVERY_GONE)
                status = EXIT_GONE;
        }
        client_free(client);
    }
    free(content.heartbeat);
    report_release(&content.report);
    return status;
}
