/* environment.h - the command's environment: callback-run's own with some variables changed.
 * One thread. */
#ifndef CONTAINER_ENVIRONMENT_H
#define CONTAINER_ENVIRONMENT_H

#include "shared/base/mem.h"

struct environment {
    char **vars; /* ended by NULL */
};

/* `base` (a list ended by NULL) is copied. */
void environment_init(struct environment *e, char *const *base);
void environment_release(struct environment *e);
/* Sets NAME, or removes it where `value` is NULL. */
void environment_set(struct environment *e, const char *name, const char *value);

/* Overwrites NAME's value in `vars`, this process's own, so that nobody can read it in
 * /proc/PID/environ. */
void environment_wipe(char *const *vars, const char *name);

#endif
