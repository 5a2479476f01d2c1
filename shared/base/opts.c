#include "shared/base/opts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/base/version.h"

int opts_int(const char *s, int64_t min, int64_t max, int64_t *out)
{
    if (!*s || strspn(s + (*s == '-'), "0123456789") != strlen(s + (*s == '-')))
        return -1;
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end || end == s || v < min || v > max)
        return -1;
    *out = v;
    return 0;
}

const char *opts_env(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return (*env)[len + 1] ? *env + len + 1 : NULL;
    return NULL;
}

static int parse_bool(const char *s, bool *out)
{
    static const char *const yes[] = { "1", "true", "yes", "on" };
    static const char *const no[] = { "0", "false", "no", "off" };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
            *out = strcasecmp(s, yes[i]) == 0;
            return 0;
        }
    }
    return -1;
}

static void free_value(const struct opt *o)
{
    if (o->type != OPT_STR && o->type != OPT_SECRET)
        return;
    char **dest = o->dest;
    if (o->type == OPT_SECRET)
        mem_free_secret(*dest);
    else
        free(*dest);
    *dest = NULL;
}

/* `from` is "--listen" or "LISTEN", for the message. */
static int store(const struct opt *o, const char *from, const char *value, struct error *err)
{
    switch (o->type) {
    case OPT_STR:
    case OPT_SECRET:
        free_value(o);
        *(char **)o->dest = mem_dup(value);
        return 0;
    case OPT_INT:
        if (opts_int(value, o->min, o->max, o->dest) < 0)
            return error_set(err, ERR_INVALID, 0, "%s: must be a whole number from %lld to %lld",
                             from, (long long)o->min, (long long)o->max);
        return 0;
    case OPT_BOOL:
        if (parse_bool(value, o->dest) < 0)
            return error_set(err, ERR_INVALID, 0, "%s: must be true or false", from);
        return 0;
    }
    return error_set(err, ERR_INTERNAL, 0, "%s: unknown type of option", from);
}

static void print_help(const struct opts *o)
{
    printf("usage: %s %s\n\n%s\n\n", o->program, o->synopsis, o->about);
    for (size_t i = 0; i < o->count; i++) {
        const struct opt *p = &o->table[i];
        char left[64] = "";
        if (p->flag)
            snprintf(left, sizeof(left), "--%s%s%s", p->flag, p->value ? " " : "",
                     p->value ? p->value : "");
        printf("  %-30s %s", left, p->help);
        if (p->env)
            printf(" [%s]", p->env);
        if (p->otherwise)
            printf(" (default %s)", p->otherwise);
        putchar('\n');
    }
    printf("  %-30s %s\n  %-30s %s\n", "--help", "print this and exit", "--version",
           "print the version and exit");
}

static const struct opt *find(const struct opts *o, const char *name, size_t len)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->table[i].flag && strlen(o->table[i].flag) == len &&
            strncmp(o->table[i].flag, name, len) == 0)
            return &o->table[i];
    return NULL;
}

static int load_defaults(const struct opts *o, char *const *env, struct error *err)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct opt *p = &o->table[i];
        if (p->type == OPT_STR || p->type == OPT_SECRET)
            *(char **)p->dest = NULL;
        if (p->otherwise && store(p, p->flag ? p->flag : p->env, p->otherwise, err) < 0)
            return -1;
        const char *value = p->env ? opts_env(env, p->env) : NULL;
        if (value && store(p, p->env, value, err) < 0)
            return -1;
    }
    return 0;
}

/* One flag at argv[*i]; moves *i past a separate value. */
static int load_flag(const struct opts *o, int argc, char *const *argv, int *i, struct error *err)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    const struct opt *p = find(o, name, equals ? (size_t)(equals - name) : strlen(name));
    if (!p)
        return error_set(err, ERR_INVALID, 0, "unknown option %s; --help lists them", argv[*i]);
    const char *value = equals ? equals + 1 : NULL;
    if (!value && p->type == OPT_BOOL)
        value = "true";
    if (!value) {
        if (*i + 1 >= argc)
            return error_set(err, ERR_INVALID, 0, "%s needs a value", argv[*i]);
        value = argv[++*i];
    }
    char from[80];
    snprintf(from, sizeof(from), "--%s", p->flag);
    return store(p, from, value, err);
}

int opts_load(const struct opts *o, int argc, char *const *argv, char *const *env,
              struct error *err)
{
    if (load_defaults(o, env, err) < 0)
        return -1;
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0)
            return i + 1;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(o);
            return OPTS_DONE;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", o->program, VERSION);
            return OPTS_DONE;
        }
        if (strncmp(argv[i], "--", 2) != 0)
            return error_set(err, ERR_INVALID, 0, "unknown option %s; --help lists them", argv[i]);
        if (load_flag(o, argc, argv, &i, err) < 0)
            return -1;
    }
    return i;
}

void opts_release(const struct opts *o)
{
    for (size_t i = 0; i < o->count; i++)
        free_value(&o->table[i]);
}
