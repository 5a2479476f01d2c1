/* error.h - what went wrong, by value.
 *
 * A function that can fail takes a `struct error *` last and returns -1 (or NULL) with it filled.
 * The callee says what went wrong, each caller prefixes what it was doing (error_wrap), the top
 * prints it once. Code decides by `code`, `type` and `retryable`, never by the text. Lives on the
 * caller's stack: failing allocates nothing. Any thread. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#include "shared/base/mem.h"

enum error_code {
    ERR_NONE = 0,
    ERR_INVALID,     /* input that can never be accepted as it is */
    ERR_TOO_LARGE,   /* over a limit that the message names */
    ERR_NOT_FOUND,   /* no such thing */
    ERR_CONFLICT,    /* it exists already, with other content */
    ERR_DENIED,      /* no or wrong credentials, or not allowed */
    ERR_GONE,        /* it was there, and its time is over */
    ERR_THROTTLED,   /* too many requests: later */
    ERR_UNAVAILABLE, /* the other side is there but cannot answer now */
    ERR_NET,         /* no connection, or cut off in the middle */
    ERR_TIMEOUT,     /* no answer in time */
    ERR_PROTOCOL,    /* the other side's answer makes no sense */
    ERR_IO,          /* file, database, process */
    ERR_CANCELLED,   /* given up because the program stops */
    ERR_INTERNAL,    /* a case that should not exist */
};

struct error {
    enum error_code code;
    int detail;     /* errno, CURLcode, HTTP status or SQLite code; 0 where there is none */
    bool retryable; /* the same call may succeed later */
    char type[64];  /* the other side's own name for it (AWS error code, errorType), or "" */
    char msg[512];  /* for people; cut where it is too long, behind a whole character */
};

/* Fills *err (which may be NULL) and returns -1. `retryable` follows from the code: THROTTLED,
 * UNAVAILABLE, NET and TIMEOUT are. Clears `type`. */
int error_set(struct error *err, enum error_code code, int detail, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for errno; the text of `eno` is appended. */
int error_set_errno(struct error *err, int eno, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "PREFIX: " before the message and returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets the other side's own name for the failure (cut to what fits). */
void error_set_type(struct error *err, const char *type);
/* A fixed lower-case word for a code, for logs: "not_found". */
const char *error_code_name(enum error_code code);

#endif
