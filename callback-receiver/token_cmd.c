#include "callback-receiver/token_cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callback-receiver/keys.h"
#include "shared/base/clock.h"
#include "shared/base/opts.h"
#include "shared/token/token.h"

struct token_options {
    char *keys;
    char *secret;
    char *kid;
    struct aws_options aws;
    bool from_stdin;
    bool public_id;
    char *scope;
    int64_t expires_s;
};

/* With the end of its line, where there is one. */
static int read_callback_id(char out[TOKEN_CALLBACK_ID + 1], struct error *err)
{
    char in[TOKEN_CALLBACK_ID + sizeof("\r\n")];
    size_t len = 0;
    ssize_t n = 0;
    while (len < sizeof(in) && (n = read(STDIN_FILENO, in + len, sizeof(in) - len)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "read the callback id");
        len += (size_t)n;
    }
    while (len > 0 && (in[len - 1] == '\n' || in[len - 1] == '\r'))
        len--;
    if (len <= TOKEN_CALLBACK_ID) {
        memcpy(out, in, len);
        out[len] = '\0';
    }
    mem_wipe(in, sizeof(in));
    return len <= TOKEN_CALLBACK_ID
               ? 0
               : error_set(err, ERR_TOO_LARGE, 0, "a callback id has at most %d bytes",
                           TOKEN_CALLBACK_ID);
}

static int print_line(const char *s, struct error *err)
{
    if (printf("%s\n", s) < 0 || fflush(stdout) != 0)
        return error_set_errno(err, errno, "write to standard output");
    return 0;
}

static int run(const struct token_options *o, struct error *err)
{
    struct token_content c = { 0 };
    if (!o->from_stdin)
        return error_set(err, ERR_INVALID, 0,
                         "--callback-id-stdin is needed: the id is read from standard input");
    if (strcmp(o->scope, "job") == 0)
        c.scope = TOKEN_SCOPE_JOB;
    else if (strcmp(o->scope, "launcher") == 0)
        c.scope = TOKEN_SCOPE_LAUNCHER;
    else
        return error_set(err, ERR_INVALID, 0, "--scope: must be job or launcher");
    if (!o->keys == !o->secret)
        return error_set(err, ERR_INVALID, 0,
                         "exactly one of CALLBACK_TOKEN_KEYS and CALLBACK_TOKEN_KEYS_SECRET is "
                         "needed");
    struct token_keys *keys = keys_read(
        &(struct keys_config){
            .json = o->keys, .secret = o->secret, .kid = o->kid, .aws = &o->aws },
        err);
    if (!keys)
        return -1;
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    char id[TOKEN_PUBLIC_ID];
    c.expires_s = clock_wall_ms(clock_system()) / 1000 + o->expires_s;
    int rc = read_callback_id(c.callback_id, err);
    if (rc == 0)
        rc = token_seal(keys, &c, &token, err);
    if (rc == 0) {
        token_public_id(c.callback_id, id);
        rc = print_line(o->public_id ? id : buf_str(&token), err);
    }
    mem_wipe(token.data, token.len);
    token_content_wipe(&c);
    token_keys_free(keys);
    return rc;
}

int token_cmd(int argc, char *const *argv, char *const *env, struct error *err)
{
    struct token_options t = { 0 };
    const struct opt table[] = {
        { NULL, "CALLBACK_TOKEN_KEYS", OPT_SECRET, &t.keys, NULL, 0, 0, NULL,
          "{\"KID\": \"at least 43 random characters\", ...}" },
        { "callback-token-keys-secret", "CALLBACK_TOKEN_KEYS_SECRET", OPT_STR, &t.secret, NULL, 0,
          0, "ARN", "the secret that holds them instead" },
        { "token-kid", "CALLBACK_TOKEN_KID", OPT_STR, &t.kid, NULL, 0, 0, "KID",
          "the key that seals; needed where there are several" },
        { "callback-id-stdin", NULL, OPT_BOOL, &t.from_stdin, NULL, 0, 0, NULL,
          "read the callback id from standard input" },
        { "scope", NULL, OPT_STR, &t.scope, "job", 0, 0, "WORD", "job or launcher" },
        { "expires", NULL, OPT_INT, &t.expires_s, "3600", 1, 31622400, "SECONDS",
          "how long it is valid" },
        { "public-id", NULL, OPT_BOOL, &t.public_id, NULL, 0, 0, NULL,
          "print the callback's public id, the {id} of its URL, instead" },
        AWS_OPTIONS(t.aws),
    };
    const struct opts o = { .program = "callback-receiver token",
                            .synopsis = "--callback-id-stdin [options]",
                            .about = "Seals a token with the configured keys.",
                            .table = table,
                            .count = ARRAY_LEN(table) };
    http_global_init();
    int rc = opts_load(&o, argc, argv, env, err);
    if (rc >= 0)
        rc = rc == argc ? run(&t, err)
                        : error_set(err, ERR_INVALID, 0, "unknown argument %s", argv[rc]);
    http_global_cleanup();
    opts_release(&o);
    return rc == OPTS_DONE ? 0 : rc;
}
