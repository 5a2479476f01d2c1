/* opts.h - one table gives a program its flags, its environment variables and its --help.
 *
 * A flag overrides its variable, a variable its default; an empty variable counts as absent. Values
 * are checked when they are read: a wrong one is ERR_INVALID and names the flag or variable.
 * `--flag=V` and
 * `--flag V` are the same; `--` ends the flags, and so does the first argument without a dash.
 * One thread, before others exist. */
#ifndef BASE_OPTS_H
#define BASE_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/error.h"

enum opt_type {
    OPT_STR,    /* char *, new memory */
    OPT_SECRET, /* the same; never shown, wiped when released; has no flag, so that it is not in
                   `ps` */
    OPT_INT,    /* int64_t, within min and max */
    OPT_BOOL,   /* bool: a flag without a value; as a variable 1, true, yes, on or 0, false, no, off
                 */
};

struct opt {
    const char *flag; /* "listen" for --listen; NULL: variable only */
    const char *env;  /* NULL: flag only */
    enum opt_type type;
    void *dest;
    const char *otherwise; /* the default as text, or NULL */
    int64_t min, max;      /* OPT_INT only */
    const char *value;     /* what --help calls the value: "HOST:PORT" */
    const char *help;
};

struct opts {
    const char *program;
    const char *synopsis; /* behind the program's name in --help's first line */
    const char *about;    /* one paragraph */
    const struct opt *table;
    size_t count;
};

/* Reads defaults, then `env` (a char *[] ended by NULL), then argv. Returns the index of the first
 * argument that is not a flag, or -1 with *err set, or -2 where --help or --version was asked and
 * has been printed to stdout: exit with 0. What the destinations held before is not freed. */
#define OPTS_DONE (-2)
int opts_load(const struct opts *o, int argc, char *const *argv, char *const *env,
              struct error *err);
/* Frees every string that opts_load stored. */
void opts_release(const struct opts *o);
/* A decimal integer, all of `s`, within min and max; -1 where it is not. */
int opts_int(const char *s, int64_t min, int64_t max, int64_t *out);
/* The value of NAME in `env`, or NULL where absent or empty. Borrowed. */
const char *opts_env(char *const *env, const char *name);

#endif
