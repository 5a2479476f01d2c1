/* capture.h - what is kept of the command's standard output to find its result.
 * One thread at a time. */
#ifndef CONTAINER_CAPTURE_H
#define CONTAINER_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "container/outcome.h"

enum result_mode {
    RESULT_FROM_AUTO, /* the result file where it was written, else the last line */
    RESULT_FROM_LAST_LINE,
    RESULT_FROM_FILE,
    RESULT_FROM_STDOUT, /* all of it */
    RESULT_FROM_NOTHING,
};

/* "auto", "last-line", "file", "stdout", "none"; -1 for another word. */
int result_mode_parse(const char *word, enum result_mode *mode);
/* Whether standard output, the result file can be where the result comes from. */
bool result_mode_reads_stdout(enum result_mode mode);
bool result_mode_reads_file(enum result_mode mode);

struct capture;

struct capture *capture_new(enum result_mode mode) CHECKED;
void capture_free(struct capture *c); /* takes NULL */
void capture_add(struct capture *c, const char *p, size_t len);
/* The result after the stream's end; its bytes are borrowed from `c`. */
void capture_result(struct capture *c, struct result *out);

#endif
