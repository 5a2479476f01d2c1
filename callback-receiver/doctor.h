/* doctor.h - `callback-receiver doctor`: would a receiver with this configuration work, and keep
 * what it accepts? Asks the store, the keys, the credentials and Lambda, and prints a line
 * for each finding. It changes nothing but a probe key in Redis, and makes the layout's own keys
 * there where no receiver has yet. One thread. */
#ifndef RECEIVER_DOCTOR_H
#define RECEIVER_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/error.h"

enum doctor_level {
    DOCTOR_OK,
    DOCTOR_WARN,
    DOCTOR_FAIL
};

struct doctor {
    unsigned counts[DOCTOR_FAIL + 1];
};

/* "ok    store        text". */
void doctor_say(struct doctor *d, enum doctor_level level, const char *what, const char *text, ...)
    __attribute__((format(printf, 4, 5)));

/* doctor_sqlite.c; `busy`: another process has the file open, that is all that can be said. */
void doctor_sqlite(struct doctor *d, const char *file, bool *busy);
/* doctor_redis.c; `managed`: the service forbids CONFIG, so INFO must do. */
void doctor_redis(struct doctor *d, const char *url, bool managed);

/* argv[0] is "doctor". Returns the exit status: 0 where nothing fails (warnings may be), else 1. -1
 * with *err. */
int cmd_doctor(int argc, char *const *argv, char *const *env, struct error *err) CHECKED;

#endif
