/* log.h - one JSON object a line, to a file descriptor.
 *
 *     log_info(log, log_event("callback_accepted"), log_str("id", id), log_int("bytes", n));
 *     {"time":"2026-11-23T08:00:00.123Z","level":"info","event":"callback_accepted","id":"...","bytes":17}
 *
 * `event` is a fixed word; payloads, tokens and callback ids are never logged. A line is written
 * with one write(2), so lines of several threads or processes do not mix; a thread that has many to
 * write may hold them for a moment (log_hold). A log that is NULL writes
 * nothing. Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/error.h"

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR
};

enum log_kind {
    LOG_KIND_END = 0,
    LOG_KIND_EVENT,
    LOG_KIND_STR,
    LOG_KIND_INT,
    LOG_KIND_BOOL,
    LOG_KIND_ERR
};

struct log_field {
    enum log_kind kind;
    const char *key;
    union {
        const char *s;
        int64_t i;
        const struct error *e;
    } value;
};

struct log;

/* A log for `fd` (borrowed) that drops what is below `level`. `program` goes into each line. */
struct log *log_open(int fd, enum log_level level, const char *program) CHECKED;
void log_close(struct log *log);
/* Fields that each later line carries (function name, request id); replaces a field of the same
 * key, a NULL value removes it. Not while other threads log. */
void log_set(struct log *log, const char *key, const char *value);
/* "debug", "info", "warn", "error"; -1 for another word. */
int log_level_parse(const char *word, enum log_level *level);
bool log_enabled(const struct log *log, enum log_level level);

static inline struct log_field log_str(const char *key, const char *s)
{
    return (struct log_field){ .kind = LOG_KIND_STR, .key = key, .value = { .s = s } };
}

static inline struct log_field log_int(const char *key, int64_t i)
{
    return (struct log_field){ .kind = LOG_KIND_INT, .key = key, .value = { .i = i } };
}

static inline struct log_field log_bool(const char *key, bool b)
{
    return (struct log_field){ .kind = LOG_KIND_BOOL, .key = key, .value = { .i = b } };
}

/* The error's message, code word and type as "error", "errorCode", "errorType". */
static inline struct log_field log_err(const struct error *e)
{
    return (struct log_field){ .kind = LOG_KIND_ERR, .key = "error", .value = { .e = e } };
}

static inline struct log_field log_event(const char *event)
{
    return (struct log_field){ .kind = LOG_KIND_EVENT, .key = "event", .value = { .s = event } };
}

/* `fields` begins with log_event and ends with a zeroed one; use the macros. */
void log_write(struct log *log, enum log_level level, const struct log_field *fields);

/* This thread's lines are kept back, and written some at a time, each time with one write(2) of
 * whole lines, until it calls log_flush. Only for the length of a loop: what is held when the
 * process dies is gone. NULL holds nothing. One log at a time. */
void log_hold(struct log *log);
void log_flush(void);

#define LOG_AT(log, level, ...)                                                                    \
    log_write((log), (level), (const struct log_field[]){ __VA_ARGS__, { .kind = LOG_KIND_END } })
/* The first argument after the log is log_event("word"). */
#define log_debug(log, ...) LOG_AT(log, LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...)  LOG_AT(log, LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...)  LOG_AT(log, LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) LOG_AT(log, LOG_ERROR, __VA_ARGS__)

#endif
