#include "local/aws/function_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/aws/log_file.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define LINE_MAX  (256U << 10)
#define PIPE_SIZE (1 << 20)
#define ARN_MAX   1025

struct function_log {
    const struct local *local;
    struct log_file *file;
    int pipe;        /* the end to read */
    struct buf rest; /* of a line whose end has not come */
    char tail[2 * FUNCTION_LOG_TAIL];
    size_t tail_len;
    char request_id[RANDOM_UUID];
    char arn[ARN_MAX];
};

/* ---- a line ------------------------------------------------------------------------------------
 */

static void add_context(struct buf *out, const char *request_id, const char *arn)
{
    if (arn[0]) {
        buf_add_str(out, "\"executionArn\":");
        buf_add_json_str(out, arn);
        buf_add_char(out, ',');
    }
    if (request_id[0])
        buf_printf(out, "\"requestId\":\"%s\",", request_id);
}

/* The object as it is, with the context in front where it has none; false where it is no object. */
static bool add_object(struct buf *out, const char *line, size_t len, const char *request_id,
                       const char *arn)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    size_t brace = strspn(line, " \t");
    if (line[brace] != '{' || json_parse(line, len, JSON_DEPTH, &o, &err) < 0)
        return false;
    bool own = json_get(o, "executionArn") || json_get(o, "durableExecutionArn");
    if (own || json_object_object_length(o) == 0) {
        buf_add(out, line, len);
        return true;
    }
    buf_add_char(out, '{');
    add_context(out, json_get(o, "requestId") ? "" : request_id, arn);
    buf_add(out, line + brace + 1, len - brace - 1);
    return true;
}

void function_log_line(struct buf *out, const char *line, size_t len, int64_t wall_ms,
                       const char *request_id, const char *execution_arn)
{
    if (!add_object(out, line, len, request_id, execution_arn)) {
        char time[CLOCK_TEXT];
        clock_format(wall_ms, time);
        buf_add_char(out, '{');
        add_context(out, request_id, execution_arn);
        buf_printf(out, "\"timestamp\":\"%s\",\"message\":", time);
        buf_add_json(out, line, len);
        buf_add_char(out, '}');
    }
    buf_add_char(out, '\n');
}

/* ---- the pipe ----------------------------------------------------------------------------------
 */

static void add_tail(struct function_log *log, const char *p, size_t len)
{
    if (len > FUNCTION_LOG_TAIL) {
        p += len - FUNCTION_LOG_TAIL;
        len = FUNCTION_LOG_TAIL;
    }
    if (log->tail_len + len > sizeof(log->tail)) {
        memmove(log->tail, log->tail + log->tail_len - FUNCTION_LOG_TAIL, FUNCTION_LOG_TAIL);
        log->tail_len = FUNCTION_LOG_TAIL;
    }
    memcpy(log->tail + log->tail_len, p, len);
    log->tail_len += len;
}

static void add_line(struct function_log *log, struct buf *text, const char *line, size_t len)
{
    if (len == 0)
        return;
    if (log->request_id[0]) {
        add_tail(log, line, len);
        add_tail(log, "\n", 1);
    }
    function_log_line(text, line, len, clock_wall_ms(log->local->clock), log->request_id, log->arn);
}

/* Whole lines, and the rest where it has grown too long, or at the `end`. */
static void take_lines(struct function_log *log, bool end)
{
    auto_buf struct buf text = BUF_INIT(16U << 20);
    const char *p = buf_str(&log->rest), *newline;
    size_t left = log->rest.len;
    while ((newline = memchr(p, '\n', left))) {
        size_t len = (size_t)(newline - p);
        add_line(log, &text, p, len);
        p += len + 1;
        left -= len + 1;
    }
    while (left >= LINE_MAX || (end && left > 0)) {
        size_t len = left < LINE_MAX ? left : utf8_cut(p, left, LINE_MAX);
        add_line(log, &text, p, len ? len : left);
        len = len ? len : left;
        p += len;
        left -= len;
    }
    log_file_write(log->file, buf_str(&text), text.len);
    size_t used = log->rest.len - left;
    if (left > 0 && used > 0)
        memmove(log->rest.data, log->rest.data + used, left);
    log->rest.len = left;
    if (log->rest.data)
        log->rest.data[left] = '\0';
}

/* False at the end: nobody has the other end any more. */
static bool read_more(struct function_log *log)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = read(log->pipe, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        buf_add(&log->rest, chunk, (size_t)n);
        take_lines(log, false);
        if ((size_t)n < sizeof(chunk))
            return true;
    }
}

void function_log_drain(struct function_log *log)
{
    read_more(log);
}

static void on_readable(void *arg)
{
    struct function_log *log = arg;
    if (!read_more(log))
        loop_unwatch(log->local->loop, log->pipe);
}

const char *function_log_tail(struct function_log *log, size_t *len)
{
    read_more(log);
    take_lines(log, true);
    *len = log->tail_len < FUNCTION_LOG_TAIL ? log->tail_len : FUNCTION_LOG_TAIL;
    return log->tail + log->tail_len - *len;
}

void function_log_of(struct function_log *log, const char *request_id, const char *execution_arn)
{
    read_more(log);
    take_lines(log, true);
    log->arn[0] = log->request_id[0] = '\0';
    log->tail_len = 0;
    if (request_id)
        memcpy(log->request_id, request_id, sizeof(log->request_id));
    if (execution_arn && strlen(execution_arn) < sizeof(log->arn))
        memcpy(log->arn, execution_arn, strlen(execution_arn) + 1);
}

static struct log_file *open_file(const struct local *local, const char *function,
                                  struct error *err)
{
    auto_free char *dir = mem_printf("%s/logs", store_dir(local->store));
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        error_set_errno(err, errno, "cannot make the folder %s", dir);
        return NULL;
    }
    auto_free char *path = mem_printf("%s/%s.log", dir, function);
    return log_file_open(path, FUNCTION_LOG_MAX, err);
}

struct function_log *function_log_open(const struct local *local, const char *function, int *out,
                                       struct error *err)
{
    int ends[2];
    struct log_file *file = open_file(local, function, err);
    if (!file)
        return NULL;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        error_set_errno(err, errno, "cannot make a pipe for %s", function);
        log_file_close(file);
        return NULL;
    }
    /* Without the larger size a process that prints much only waits more often. */
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
    struct function_log *log = mem_alloc(sizeof(*log));
    log->local = local;
    log->file = file;
    log->pipe = ends[0];
    buf_init(&log->rest, 2 * LINE_MAX);
    *out = ends[1];
    if (fcntl(log->pipe, F_SETFL, O_NONBLOCK) == 0 &&
        loop_watch(local->loop, log->pipe, on_readable, log, err) == 0)
        return log;
    function_log_close(log);
    mem_close_fd(out);
    return NULL;
}

void function_log_close(struct function_log *log)
{
    if (!log)
        return;
    read_more(log);
    take_lines(log, true);
    loop_unwatch(log->local->loop, log->pipe);
    mem_close_fd(&log->pipe);
    log_file_close(log->file);
    buf_release(&log->rest);
    free(log);
}
