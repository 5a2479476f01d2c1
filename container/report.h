/* report.h - what is told to the receiver at the end: one success or one failure.
 * Pure but for report_save; any thread. */
#ifndef CONTAINER_REPORT_H
#define CONTAINER_REPORT_H

#include <stddef.h>

#include "shared/base/error.h"

/* The receiver takes a result of at most 240,000 bytes once escaped; what is larger than this
 * cannot pass in any form and is not even collected. */
#define REPORT_RESULT_MAX (256U << 10)
/* It takes a failure of at most 24 KiB serialised; some of that is left for its own form of it. */
#define REPORT_FAILURE_MAX (24U * 1024 - 512)

enum report_kind {
    REPORT_SUCCESS,
    REPORT_FAILURE
};

struct report {
    enum report_kind kind;
    const char *media_type; /* static */
    char *body;
    size_t len;
};

void report_release(struct report *r);
/* A success with `p` as its result: as JSON, byte for byte, where it is one JSON value; otherwise
 * as text, cleaned (text.h). JSON with an escaped NUL goes as text: the receiver refuses it as
 * JSON, and what a job has worked out is not to be lost. */
void report_success(struct report *out, const char *p, size_t len);
/* A success whose result is the JSON null. */
void report_success_null(struct report *out);
/* A failure; `data` may be NULL. Texts are cleaned, `type` and `message` cut to 128 and 1,000
 * bytes. */
void report_failure(struct report *out, const char *type, const char *message, const char *data);
/* Writes it into a new file (mode 0600) in `folder` or, where that cannot be written, in /tmp or
 * /dev/shm: {"kind","mediaType","body"}. The path, the caller's; or NULL with *err set. */
char *report_save(const struct report *r, const char *folder, struct error *err) CHECKED;

#endif
