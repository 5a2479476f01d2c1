#include "container/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "container/client.h"
#include "container/delivery.h"
#include "container/exits.h"
#include "container/text.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
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
    case ACTION_INPUT:
    case ACTION_RUN:
    case ACTION_SAMPLE:
        break;
    }
    return 0;
}

/* ---- input ----------------------------------------------------------------------------------- */

static int write_all(const char *p, size_t len, struct error *err)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot write to standard output");
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* What `pointer` (RFC 6901) leads to: a string as it is, anything else as JSON, on a line. */
static int print_place(const char *text, size_t len, const char *pointer, struct error *err)
{
    auto_json struct json_object *input = NULL;
    struct json_object *value = NULL;
    if (json_parse(text, len, JSON_DEPTH, &input, err) < 0)
        return error_wrap(err, "input");
    if (*pointer && *pointer != '/')
        return error_set(err, ERR_INVALID, 0, "%.100s: a JSON pointer begins with /", pointer);
    if (json_pointer_get(input, pointer, &value) < 0)
        return error_set(err, ERR_NOT_FOUND, 0, "the input has nothing at %.200s", pointer);
    auto_buf struct buf line = BUF_INIT(2U * WIRE_BODY_MAX);
    size_t n = 0;
    if (json_object_is_type(value, json_type_string))
        buf_add(&line, json_object_get_string(value), (size_t)json_object_get_string_len(value));
    else
        buf_add_str(&line, json_text(value, &n));
    buf_add_char(&line, '\n');
    return write_all(buf_str(&line), line.len, err);
}

static char *read_input(const char *path, size_t *len, struct error *err)
{
    auto_buf struct buf text = BUF_INIT(WIRE_BODY_MAX);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char chunk[16384];
    ssize_t n = -1;
    while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || buf_add(&text, chunk, (size_t)n) < 0)
            break;
    }
    if (n == 0)
        return buf_take(&text, len);
    if (n > 0)
        error_set(err, ERR_TOO_LARGE, 0, "%.300s: over %u bytes", path, WIRE_BODY_MAX);
    else
        error_set_errno(err, errno, "cannot read %.300s", path);
    return NULL;
}

/* Tries again for as long as the start of a command would wait for it. */
static char *fetch_input(const struct config *cfg, struct client *client, size_t *len,
                         struct error *err)
{
    const struct clock *clock = clock_system();
    struct delivery d = { .deadline_ms = clock_mono_ms(clock) + cfg->input_timeout_s * 1000 };
    for (;;) {
        struct reply reply;
        char *text = NULL;
        int64_t due_ms = 0;
        client_input(client, delivery_timeout_ms(&d, clock_mono_ms(clock)), &text, len, &reply);
        if (text)
            return text;
        *err = reply.err;
        if (reply.answer == ANSWER_OK)
            error_set(err, ERR_NOT_FOUND, 0, "there is no input for this job");
        if (delivery_next(&d, &reply, clock_mono_ms(clock), &due_ms) != DELIVERY_PENDING)
            return NULL;
        clock_sleep_ms(clock, due_ms - clock_mono_ms(clock));
    }
}

static int print_input(const struct config *cfg, struct client *client, struct error *err)
{
    size_t len = 0;
    auto_free char *text =
        client ? fetch_input(cfg, client, &len, err) : read_input(cfg->input_file, &len, err);
    int rc = -1;
    if (text)
        rc = cfg->args[0] ? print_place(text, len, cfg->args[0], err) : write_all(text, len, err);
    if (rc == 0)
        return 0;
    switch (err->code) {
    case ERR_NOT_FOUND:
        return EXIT_NO_INPUT;
    case ERR_GONE:
        return EXIT_GONE;
    case ERR_INVALID:
        return EXIT_USAGE;
    default:
        return EXIT_NOT_DELIVERED;
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

static enum delivery_end deliver(const struct config *cfg, struct client *client,
                                 const struct call_content *content, struct error *err)
{
    const struct clock *clock = clock_system();
    bool report = cfg->action == ACTION_SUCCESS || cfg->action == ACTION_FAILURE;
    struct delivery d = {
        .deadline_ms = report ? delivery_deadline(clock_mono_ms(clock), cfg->report_deadline_s)
                              : clock_mono_ms(clock) + HEARTBEAT_DEADLINE_MS,
    };
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

static struct client *open_client(const struct config *cfg, const atomic_bool *never,
                                  struct error *err)
{
    if (!cfg->token && cfg->socket)
        return client_new_socket(cfg->socket);
    return client_new(cfg->url, cfg->token, never, err);
}

static int make_call(const struct config *cfg, struct client *client, struct error *err)
{
    struct call_content content = { 0 };
    int status = EXIT_USAGE;
    if (prepare(cfg, &content, err) == 0) {
        enum delivery_end end = deliver(cfg, client, &content, err);
        status = end == DELIVERY_ACCEPTED ? 0
                 : end == DELIVERY_GONE   ? EXIT_GONE
                                          : EXIT_NOT_DELIVERED;
    }
    free(content.heartbeat);
    report_release(&content.report);
    return status;
}

int calls_make(const struct config *cfg, struct error *err)
{
    if (cfg->action == ACTION_INPUT && cfg->input_file)
        return print_input(cfg, NULL, err);
    atomic_bool never = false;
    struct client *client = open_client(cfg, &never, err);
    int status = EXIT_NOT_DELIVERED;
    if (client)
        status = cfg->action == ACTION_INPUT ? print_input(cfg, client, err)
                                             : make_call(cfg, client, err);
    client_free(client);
    return status;
}
