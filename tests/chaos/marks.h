/* marks.h - what a job has left behind of itself (jobs.h says what it writes). One thread. */
#ifndef CHAOS_MARKS_H
#define CHAOS_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/error.h"

struct marks {
    size_t begun;      /* containers that have run its script */
    size_t doubled;    /* of them, those of an attempt that another had begun */
    size_t ended;      /* of them, those that did their work */
    bool told_success; /* a success that it sent itself was answered with 2xx */
    bool told_failure;
};

/* Reads FOLDER/KEY; a job that has left nothing has zeros. */
int marks_read(const char *folder, const char *key, struct marks *out, struct error *err) CHECKED;
/* A process of the job is alive: one has FOLDER/KEY as an argument. */
bool marks_alive(const char *folder, const char *key);

#endif
