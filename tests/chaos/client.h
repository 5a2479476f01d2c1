/* client.h - the client of a storm: it posts each workflow until it has an answer, posts some of
 * them again, stops some, and asks for the end of each. What it heard is written down for the
 * checker. One thread. */
#ifndef CHAOS_CLIENT_H
#define CHAOS_CLIENT_H

#include <stdio.h>

#include "tests/chaos/cast.h"
#include "tests/chaos/jobs.h"

struct posted {
    struct job job;
    char *body;
    char **ids; /* of each 202 */
    size_t id_count;
    bool stopped; /* a DELETE was answered with 2xx */
};

/* Takes over nothing; `marks` is the folder of the jobs' marks. */
void posted_init(struct posted *p, const struct job *job, const char *marks);
void posted_release(struct posted *p);

/* One try each. 1: done. 0: no answer, try again. -1: an answer that there should not be. */
int client_post(struct cast *c, struct posted *p, struct error *err) CHECKED;
int client_stop(struct cast *c, struct posted *p, struct error *err) CHECKED;

/* Waits for the end of `p` and writes one line to `out`:
 *     {"key","kind","value","stopped","ids":[],"end":{the API's answer},"history":[events]}
 * A workflow that does not end in time has no "end". */
int client_collect(struct cast *c, const struct posted *p, int64_t limit_ms, FILE *out,
                   struct error *err) CHECKED;
/* The workflow's events so far, the caller's. */
int client_history(struct cast *c, const char *id, struct json_object **out,
                   struct error *err) CHECKED;

#endif
