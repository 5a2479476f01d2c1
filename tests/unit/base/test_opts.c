#include "shared/base/opts.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

struct settings {
    char *listen;
    char *secret;
    int64_t size;
    bool verbose;
};

static int load(struct settings *s, char *const *argv, char *const *env, struct error *err)
{
    const struct opt table[] = {
        { "listen", "LISTEN", OPT_STR, &s->listen, "127.0.0.1:0", 0, 0, "HOST:PORT", "where" },
        { NULL, "SECRET", OPT_SECRET, &s->secret, NULL, 0, 0, NULL, "key" },
        { "size", "SIZE", OPT_INT, &s->size, "5", 1, 100, "N", "how much" },
        { "verbose", "VERBOSE", OPT_BOOL, &s->verbose, NULL, 0, 0, NULL, "say more" },
    };
    const struct opts o = { "prog", "[options]", "It does.", table, ARRAY_LEN(table) };
    int argc = 0;
    while (argv[argc])
        argc++;
    return opts_load(&o, argc, argv, env, err);
}

static void release(struct settings *s)
{
    mem_free_ptr(&s->listen);
    mem_free_secret_ptr(&s->secret);
}

#define ARGS(...)                                                                                  \
    (char *[])                                                                                     \
    {                                                                                              \
        (char[]){ "prog" }, __VA_ARGS__ NULL                                                       \
    }
#define A(s) ((char[]){ s })

Test(opts, flag_goes_before_variable_before_default)
{
    struct error err = { 0 };
    struct settings s = { 0 };
    cr_assert_eq(load(&s, ARGS(), (char *[]){ NULL }, &err), 1, "%s", err.msg);
    cr_expect_str_eq(s.listen, "127.0.0.1:0");
    cr_expect_eq(s.size, 5);
    cr_expect(!s.verbose);
    cr_expect_null(s.secret);
    release(&s);

    char *env[] = { A("LISTEN=h:1"), A("SIZE=7"),      A("VERBOSE=yes"),
                    A("SECRET=k"),   A("LISTENER=no"), NULL };
    cr_assert_eq(load(&s, ARGS(), env, &err), 1, "%s", err.msg);
    cr_expect_str_eq(s.listen, "h:1");
    cr_expect_eq(s.size, 7);
    cr_expect(s.verbose);
    cr_expect_str_eq(s.secret, "k");
    release(&s);

    char *env_empty[] = { A("LISTEN="), A("SIZE="), NULL };
    cr_assert_eq(load(&s, ARGS(A("--size"), A("9"), A("--verbose=off"), ), env_empty, &err), 4);
    cr_expect_str_eq(s.listen, "127.0.0.1:0");
    cr_expect_eq(s.size, 9);
    cr_expect(!s.verbose);
    release(&s);
}

Test(opts, ends_flags_where_arguments_begin)
{
    struct error err = { 0 };
    struct settings s = { 0 };
    char *env[] = { NULL };
    cr_expect_eq(load(&s, ARGS(A("--size=2"), A("--"), A("--size=3"), ), env, &err), 3);
    cr_expect_eq(s.size, 2);
    release(&s);
    cr_expect_eq(load(&s, ARGS(A("--verbose"), A("run"), A("--size=3"), ), env, &err), 2);
    cr_expect(s.verbose);
    cr_expect_eq(s.size, 5);
    release(&s);
    cr_expect_eq(load(&s, ARGS(A("-"), ), env, &err), 1, "a dash alone is an argument");
    release(&s);
}

Test(opts, names_what_is_wrong)
{
    static char *const env_none[] = { NULL };
    static char size_env[] = "SIZE=many";
    static char bool_env[] = "VERBOSE=maybe";
    static char *const env_size[] = { size_env, NULL };
    static char *const env_bool[] = { bool_env, NULL };
    struct {
        char *arg[3];
        char *const *env;
        const char *says;
    } cases[] = {
        { { A("--nope") }, env_none, "unknown option --nope" },
        { { A("--siz=1") }, env_none, "unknown option --siz=1" },
        { { A("--sizes=1") }, env_none, "unknown option --sizes=1" },
        { { A("-x") }, env_none, "unknown option -x" },
        { { A("--size") }, env_none, "--size needs a value" },
        { { A("--size=0") }, env_none, "--size: must be a whole number from 1 to 100" },
        { { A("--size=101") }, env_none, "--size: must be" },
        { { A("--size="), NULL }, env_none, "--size: must be" },
        { { A("--size"), A("1x") }, env_none, "--size: must be" },
        { { A("--verbose=2") }, env_none, "--verbose: must be true or false" },
        { { A("--secret=x") }, env_none, "unknown option --secret=x" },
        { { NULL }, env_size, "SIZE: must be" },
        { { NULL }, env_bool, "VERBOSE: must be" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s = { 0 };
        struct error err = { 0 };
        char *argv[] = { A("prog"), cases[i].arg[0], cases[i].arg[0] ? cases[i].arg[1] : NULL,
                         NULL };
        cr_expect_eq(load(&s, argv, cases[i].env, &err), -1, "case %zu", i);
        cr_expect_eq(err.code, ERR_INVALID);
        cr_expect_eq(strncmp(err.msg, cases[i].says, strlen(cases[i].says)), 0, "case %zu: %s", i,
                     err.msg);
        release(&s);
    }
}

Test(opts, prints_help_without_secrets, .init = cr_redirect_stdout)
{
    struct settings s = { 0 };
    struct error err = { 0 };
    char *env[] = { A("SECRET=hush"), NULL };
    cr_expect_eq(load(&s, ARGS(A("--help"), ), env, &err), OPTS_DONE);
    release(&s);
    cr_expect_eq(load(&s, ARGS(A("--version"), ), env, &err), OPTS_DONE);
    release(&s);
    fflush(stdout);
    FILE *f = cr_get_redirected_stdout();
    char text[4096];
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    static const char *const there[] = { "usage: prog [options]",
                                         "--listen HOST:PORT",
                                         "(default 127.0.0.1:0)",
                                         "[SECRET]",
                                         "--version",
                                         "prog 0." };
    for (size_t i = 0; i < ARRAY_LEN(there); i++)
        cr_expect_not_null(strstr(text, there[i]), "%s in %s", there[i], text);
    cr_expect_null(strstr(text, "hush"));
}

Test(opts, reads_whole_numbers_only)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        { "0", 0, 0 },
        { "-5", 0, -5 },
        { "007", 0, 7 },
        { "9223372036854775807", 0, INT64_MAX },
        { "-9223372036854775808", 0, INT64_MIN },
        { "9223372036854775808", -1, 0 },
        { "", -1, 0 },
        { "-", -1, 0 },
        { "--5", -1, 0 },
        { "+5", -1, 0 },
        { " 5", -1, 0 },
        { "5 ", -1, 0 },
        { "5.0", -1, 0 },
        { "0x10", -1, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v = 0;
        cr_expect_eq(opts_int(cases[i].text, INT64_MIN, INT64_MAX, &v), cases[i].rc, "%s",
                     cases[i].text);
        cr_expect_eq(v, cases[i].value);
    }
}
