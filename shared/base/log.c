#include "shared/base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"

#define LINE_MAX_BYTES 16384
#define LINE_END       2 /* "}\n" */
#define FIXED_MAX      16

struct fixed {
    char *key;
    char *value;
};

struct log {
    int fd;
    enum log_level level;
    char *program;
    struct fixed fixed[FIXED_MAX];
    size_t fixed_count;
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

struct log *log_open(int fd, enum log_level level, const char *program)
{
    struct log *log = mem_alloc(sizeof(*log));
    log->fd = fd;
    log->level = level;
    log->program = mem_dup(program);
    return log;
}

void log_close(struct log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->fixed_count; i++) {
        free(log->fixed[i].key);
        free(log->fixed[i].value);
    }
    free(log->program);
    free(log);
}

void log_set(struct log *log, const char *key, const char *value)
{
    if (!log)
        return;
    size_t i = 0;
    while (i < log->fixed_count && strcmp(log->fixed[i].key, key) != 0)
        i++;
    if (i < log->fixed_count) {
        free(log->fixed[i].value);
        log->fixed[i].value = mem_dup(value);
        return;
    }
    if (!value || log->fixed_count == FIXED_MAX)
        return;
    log->fixed[log->fixed_count++] = (struct fixed){ mem_dup(key), mem_dup(value) };
}

int log_level_parse(const char *word, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcmp(word, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    return -1;
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return log && level >= log->level;
}

static void add_str(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_add_char(b, ',');
    buf_add_json_str(b, key);
    buf_add_char(b, ':');
    buf_add_json_str(b, value);
}

static void add_field(struct buf *b, const struct log_field *f)
{
    switch (f->kind) {
    case LOG_KIND_EVENT:
    case LOG_KIND_STR:
        add_str(b, f->key, f->value.s);
        break;
    case LOG_KIND_INT:
        buf_add_char(b, ',');
        buf_add_json_str(b, f->key);
        buf_printf(b, ":%lld", (long long)f->value.i);
        break;
    case LOG_KIND_BOOL:
        buf_add_char(b, ',');
        buf_add_json_str(b, f->key);
        buf_add_str(b, f->value.i ? ":true" : ":false");
        break;
    case LOG_KIND_ERR:
        add_str(b, "error", f->value.e->msg);
        add_str(b, "errorCode", error_code_name(f->value.e->code));
        add_str(b, "errorType", f->value.e->type[0] ? f->value.e->type : NULL);
        break;
    case LOG_KIND_END:
        break;
    }
}

/* A field that does not fit, with the line's end behind it, is left out: the line stays whole. */
static void add_or_drop(struct buf *b, struct log_field f)
{
    size_t kept = b->len;
    add_field(b, &f);
    if (buf_overflowed(b) || b->len > LINE_MAX_BYTES - LINE_END) {
        b->overflowed = false;
        b->len = kept;
    }
}

static void write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody is left to tell */
        p += n;
        len -= (size_t)n;
    }
}

/* The lines that this thread keeps back. PIPE_BUF bytes go into a pipe as one. */
static _Thread_local struct {
    const struct log *log; /* NULL: none is held */
    size_t len;
    char lines[PIPE_BUF];
} held;

static void write_held(void)
{
    if (held.len)
        write_all(held.log->fd, held.lines, held.len);
    held.len = 0;
}

void log_hold(struct log *log)
{
    log_flush();
    held.log = log;
}

void log_flush(void)
{
    write_held();
    held.log = NULL;
}

static void write_line(const struct log *log, const char *line, size_t len)
{
    if (held.log == log && held.len + len > sizeof(held.lines))
        write_held();
    if (held.log != log || len > sizeof(held.lines)) {
        write_all(log->fd, line, len);
        return;
    }
    memcpy(held.lines + held.len, line, len);
    held.len += len;
}

void log_write(struct log *log, enum log_level level, const struct log_field *fields)
{
    if (!log_enabled(log, level))
        return;
    char now[CLOCK_TEXT];
    clock_format(clock_wall_ms(clock_system()), now);
    auto_buf struct buf b = BUF_INIT(LINE_MAX_BYTES);
    buf_printf(&b, "{\"time\":\"%s\",\"level\":\"%s\"", now, level_names[level]);
    add_or_drop(&b, log_str("program", log->program));
    for (size_t i = 0; i < log->fixed_count; i++)
        add_or_drop(&b, log_str(log->fixed[i].key, log->fixed[i].value));
    for (const struct log_field *f = fields; f->kind != LOG_KIND_END; f++)
        add_or_drop(&b, *f);
    buf_add_str(&b, "}\n");
    write_line(log, buf_str(&b), b.len);
}
