#include "callback-receiver/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/keys.h"
#include "callback-receiver/ops_client.h"
#include "shared/aws/lambda_client.h"
#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"
#include "shared/base/mem.h"
#include "shared/base/opts.h"

#define LINE_MAX_BYTES  1024
#define CALL_TIMEOUT_MS 10000

struct doctor_options {
    char *store;
    char *keys;
    char *secret;
    char *kid;
    char *ops_listen;
    char *ops_token;
    bool managed;
    struct aws_options aws;
};

void doctor_say(struct doctor *d, enum doctor_level level, const char *what, const char *text, ...)
{
    static const char *const words[] = { "ok", "warn", "fail" };
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, text);
    vsnprintf(line, sizeof(line), text, args);
    va_end(args);
    for (char *p = line; *p; p++) /* what others have said may steer a terminal */
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    d->counts[level]++;
    printf("%-5s %-12s %s\n", words[level], what, line);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void check_keys(struct doctor *d, const struct doctor_options *o)
{
    struct metrics *metrics = mem_alloc(sizeof(*metrics));
    const char *from = o->keys ? "CALLBACK_TOKEN_KEYS" : "CALLBACK_TOKEN_KEYS_SECRET";
    struct keys_config cfg = { .json = o->keys,
                               .secret = o->secret,
                               .kid = o->kid,
                               .refresh_s = 86400,
                               .aws = &o->aws,
                               .metrics = metrics };
    struct error err = { 0 };
    struct keys *keys = NULL;
    struct token_keys *sealing = NULL;
    if (!o->keys == !o->secret)
        doctor_say(d, DOCTOR_FAIL, "keys",
                   "exactly one of CALLBACK_TOKEN_KEYS and CALLBACK_TOKEN_KEYS_SECRET is needed");
    else if (!(keys = keys_start(&cfg, &err)))
        doctor_say(d, DOCTOR_FAIL, "keys", "%s", err.msg);
    else if (o->kid && !(sealing = keys_read(&cfg, &err)))
        doctor_say(d, DOCTOR_WARN, "keys",
                   "%s opens tokens, but CALLBACK_TOKEN_KID names none of its keys: the token "
                   "command, and a launcher with the same variables, cannot seal",
                   from);
    else
        doctor_say(d, DOCTOR_OK, "keys", "%s can be used", from);
    token_keys_free(sealing);
    keys_stop(keys);
    free(metrics);
}

/* ---- a running receiver, the store -------------------------------------------------------------
 */

/* Whether one runs here, and says that it is ready. */
static bool ask_running(struct doctor *d, const struct doctor_options *o, bool expected)
{
    struct ops_client c;
    struct error err = { 0 };
    auto_json struct json_object *body = NULL;
    int status = 0;
    int rc = ops_client_init(&c, o->ops_listen, o->ops_token, &err);
    if (rc == 0)
        rc = ops_client_ask(&c, "GET", "/readyz", &status, &body, &err);
    ops_client_release(&c);
    if (rc == 0 && status == 200)
        doctor_say(d, DOCTOR_OK, "receiver", "one runs at %s, and can write to its store",
                   o->ops_listen);
    else if (rc == 0)
        doctor_say(d, DOCTOR_FAIL, "receiver", "one runs at %s, and is not ready (status %d)",
                   o->ops_listen, status);
    else if (expected)
        doctor_say(d, DOCTOR_FAIL, "receiver", "%s", err.msg);
    else
        doctor_say(d, DOCTOR_OK, "receiver", "none runs at %s", o->ops_listen);
    return rc == 0 && status == 200;
}

static void check_store(struct doctor *d, const struct doctor_options *o)
{
    static const char sqlite[] = "sqlite:";
    bool busy = false;
    if (strncmp(o->store, sqlite, strlen(sqlite)) == 0 && o->store[strlen(sqlite)])
        doctor_sqlite(d, o->store + strlen(sqlite), &busy);
    else if (strncmp(o->store, "redis://", 8) == 0 || strncmp(o->store, "rediss://", 9) == 0)
        doctor_redis(d, o->store, o->managed);
    else
        doctor_say(d, DOCTOR_FAIL, "store",
                   "CALLBACK_STORE must be sqlite:FILE or redis://HOST:PORT/DB");
    if (ask_running(d, o, busy) && busy)
        doctor_say(d, DOCTOR_OK, "store", "the file is in use by that receiver");
}

/* ---- Lambda ------------------------------------------------------------------------------------
 */

static bool credentials_are_bad(const struct error *err)
{
    static const char *const names[] = { "UnrecognizedClient",    "InvalidSignature",
                                         "ExpiredToken",          "SignatureDoesNotMatch",
                                         "InvalidClientTokenId",  "InvalidAccessKeyId",
                                         "MissingAuthentication", "IncompleteSignature" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strncmp(err->type, names[i], strlen(names[i])) == 0)
            return true;
    return err->code == ERR_DENIED && err->detail == 0; /* they could not be had */
}

/* A heartbeat for a callback that cannot be: Lambda's own refusal shows that it was reached with
 * credentials that it knows. */
static void check_lambda(struct doctor *d, const struct doctor_options *o)
{
    struct error err = { 0 };
    char id[RANDOM_UUID];
    struct aws *aws = aws_new(&o->aws, clock_system(), &err);
    if (!aws) {
        doctor_say(d, DOCTOR_FAIL, "credentials", "%s", err.msg);
        return;
    }
    random_uuid(id);
    for (char *p = id; *p; p++) /* of a callback id's alphabet */
        *p = *p == '-' ? 'A' : *p;
    aws_set_timeout(aws, CALL_TIMEOUT_MS);
    int rc = lambda_callback_heartbeat(aws, id, &err);
    aws_free(aws);
    if (rc < 0 && credentials_are_bad(&err)) {
        doctor_say(d, DOCTOR_FAIL, "credentials", "%s%s%s", err.type, err.type[0] ? ": " : "",
                   err.msg);
        return;
    }
    bool answered = rc == 0 || (err.type[0] && err.detail > 0);
    if (answered)
        doctor_say(d, DOCTOR_OK, "credentials", "Lambda knows them");
    if (rc < 0 && err.code == ERR_DENIED)
        doctor_say(d, DOCTOR_FAIL, "lambda",
                   "%s: %s; they must allow lambda:SendDurableExecutionCallbackSuccess, -Failure "
                   "and -Heartbeat (a policy for single functions may deny this probe alone)",
                   err.type, err.msg);
    else if (!answered)
        doctor_say(d, DOCTOR_FAIL, "lambda", "%s", err.msg);
    else if (err.code == ERR_THROTTLED || err.code == ERR_UNAVAILABLE)
        doctor_say(d, DOCTOR_WARN, "lambda", "it answers, but with %s: %s", err.type, err.msg);
    else
        doctor_say(d, DOCTOR_OK, "lambda", "it answers");
}

/* ---- the command -------------------------------------------------------------------------------
 */

static int examine(const struct doctor_options *o, struct error *err)
{
    struct doctor d = { { 0 } };
    http_global_init();
    check_keys(&d, o);
    check_store(&d, o);
    check_lambda(&d, o);
    http_global_cleanup();
    printf("%u failed, %u to be looked at\n", d.counts[DOCTOR_FAIL], d.counts[DOCTOR_WARN]);
    if (fflush(stdout) != 0)
        return error_set_errno(err, errno, "write to standard output");
    return d.counts[DOCTOR_FAIL] > 0;
}

int cmd_doctor(int argc, char *const *argv, char *const *env, struct error *err)
{
    struct doctor_options o = { 0 };
    const struct opt table[] = {
        { "store", "CALLBACK_STORE", OPT_STR, &o.store, "sqlite:callbacks.db", 0, 0, "URL",
          "as the receiver has it" },
        { "managed-redis", "MANAGED_REDIS", OPT_BOOL, &o.managed, "false", 0, 0, NULL,
          "the service forbids CONFIG: INFO must do" },
        { NULL, "CALLBACK_TOKEN_KEYS", OPT_SECRET, &o.keys, NULL, 0, 0, NULL,
          "as the receiver has it" },
        { "callback-token-keys-secret", "CALLBACK_TOKEN_KEYS_SECRET", OPT_STR, &o.secret, NULL, 0,
          0, "ARN", "the same" },
        { "token-kid", "CALLBACK_TOKEN_KID", OPT_STR, &o.kid, NULL, 0, 0, "KID",
          "the key that seals" },
        { "ops-listen", "OPS_LISTEN", OPT_STR, &o.ops_listen, "127.0.0.1:9091", 0, 0, "HOST:PORT",
          "operations port of the receiver, if one runs" },
        { NULL, "OPS_TOKEN", OPT_SECRET, &o.ops_token, NULL, 0, 0, NULL, "what opens it" },
        AWS_OPTIONS(o.aws),
    };
    const struct opts opts = {
        .program = "callback-receiver doctor",
        .synopsis = "[options]",
        .about = "Checks store, keys, credentials and Lambda. Exit status 1 where one fails.",
        .table = table,
        .count = ARRAY_LEN(table),
    };
    int rc = opts_load(&opts, argc, argv, env, err);
    if (rc >= 0)
        rc = rc == argc ? examine(&o, err)
                        : error_set(err, ERR_INVALID, 0, "unknown argument %s", argv[rc]);
    opts_release(&opts);
    return rc == OPTS_DONE ? 0 : rc;
}
