#include "container/capture.h"

#include <stdlib.h>
#include <string.h>

#include "container/lastline.h"

struct capture {
    enum result_mode mode;
    struct lastline lines;
    struct buf all;
    size_t size;
};

int result_mode_parse(const char *word, enum result_mode *mode)
{
    static const char *const words[] = {
        [RESULT_FROM_AUTO] = "auto",    [RESULT_FROM_LAST_LINE] = "last-line",
        [RESULT_FROM_FILE] = "file",    [RESULT_FROM_STDOUT] = "stdout",
        [RESULT_FROM_NOTHING] = "none",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *mode = (enum result_mode)i;
            return 0;
        }
    }
    return -1;
}

bool result_mode_reads_stdout(enum result_mode mode)
{
    return mode == RESULT_FROM_AUTO || mode == RESULT_FROM_LAST_LINE || mode == RESULT_FROM_STDOUT;
}

bool result_mode_reads_file(enum result_mode mode)
{
    return mode == RESULT_FROM_AUTO || mode == RESULT_FROM_FILE;
}

struct capture *capture_new(enum result_mode mode)
{
    struct capture *c = mem_alloc(sizeof(*c));
    c->mode = mode;
    lastline_init(&c->lines, REPORT_RESULT_MAX);
    buf_init(&c->all, REPORT_RESULT_MAX);
    return c;
}

void capture_free(struct capture *c)
{
    if (!c)
        return;
    lastline_release(&c->lines);
    buf_release(&c->all);
    free(c);
}

void capture_add(struct capture *c, const char *p, size_t len)
{
    if (c->mode == RESULT_FROM_STDOUT) {
        size_t room = c->all.max - c->all.len;
        buf_add(&c->all, p, len < room ? len : room);
        c->size += len;
    } else {
        lastline_add(&c->lines, p, len);
    }
}

void capture_result(struct capture *c, struct result *out)
{
    *out = (struct result){ .state = RESULT_ABSENT };
    if (c->mode == RESULT_FROM_STDOUT) {
        out->p = buf_str(&c->all);
        out->len = c->all.len;
        out->size = c->size;
    } else {
        out->p = lastline_text(&c->lines, &out->len, &out->size);
    }
    if (out->size > 0)
        out->state = out->size > out->len ? RESULT_TOO_LARGE : RESULT_PRESENT;
}
