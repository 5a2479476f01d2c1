#include "container/environment.h"

#include <stdlib.h>
#include <string.h>

static size_t count(char *const *vars)
{
    size_t n = 0;
    while (vars[n])
        n++;
    return n;
}

void environment_init(struct environment *e, char *const *base)
{
    size_t n = count(base);
    e->vars = mem_array(n + 1, sizeof(*e->vars));
    for (size_t i = 0; i < n; i++)
        e->vars[i] = mem_dup(base[i]);
}

void environment_release(struct environment *e)
{
    for (size_t i = 0; e->vars && e->vars[i]; i++)
        free(e->vars[i]);
    free(e->vars);
    *e = (struct environment){ 0 };
}

void environment_set(struct environment *e, const char *name, const char *value)
{
    size_t len = strlen(name), n = 0;
    for (char **p = e->vars; *p; p++) {
        if (strncmp(*p, name, len) == 0 && (*p)[len] == '=')
            free(*p);
        else
            e->vars[n++] = *p;
    }
    e->vars[n] = NULL;
    if (!value)
        return;
    e->vars = mem_resize(e->vars, n + 2, sizeof(*e->vars));
    e->vars[n] = mem_printf("%s=%s", name, value);
    e->vars[n + 1] = NULL;
}

void environment_wipe(char *const *vars, const char *name)
{
    size_t len = strlen(name);
    for (char *const *p = vars; *p; p++)
        if (strncmp(*p, name, len) == 0 && (*p)[len] == '=')
            mem_wipe(*p + len + 1, strlen(*p + len + 1));
}
