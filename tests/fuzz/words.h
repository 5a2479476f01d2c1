/* words.h - inputs that are an environment and a command line: the parts (parts.h) up to an empty
 * one are variables NAME=VALUE, those behind it arguments. */
#ifndef FUZZ_WORDS_H
#define FUZZ_WORDS_H

#include "tests/fuzz/parts.h"

#define WORDS_MAX 64

struct words {
    char *env[WORDS_MAX + 1];
    char *argv[WORDS_MAX + 2];
    int argc;
};

/* --help and --version are left out: they print. */
static inline void words_read(struct words *w, const char *program, const uint8_t *data,
                              size_t size)
{
    struct parts p = { data, size };
    size_t variables = 0, len;
    char *part = NULL;
    *w = (struct words){ .argc = 1 };
    w->argv[0] = mem_dup(program);
    while (variables < WORDS_MAX && (part = parts_next(&p, &len)) != NULL && part[0])
        w->env[variables++] = part;
    if (variables < WORDS_MAX)
        free(part);
    while (w->argc <= WORDS_MAX && (part = parts_next(&p, &len)) != NULL)
        if (strcmp(part, "--help") == 0 || strcmp(part, "--version") == 0)
            free(part);
        else
            w->argv[w->argc++] = part;
}

static inline void words_release(struct words *w)
{
    for (char **s = w->env; *s; s++)
        free(*s);
    for (char **s = w->argv; *s; s++)
        free(*s);
}

#endif
