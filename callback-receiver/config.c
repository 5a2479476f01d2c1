#include "callback-receiver/config.h"

#include <string.h>

#include "callback-receiver/ops.h"

#define OPS_TOKEN_MIN 16

/* The table is built for one struct config: calls `use` with it. */
typedef int use_fn(const struct opts *o, void *arg);

static int with_table(struct config *c, use_fn *use, void *arg)
{
    const struct opt table[] = {
        { "listen", "LISTEN", OPT_STR, &c->listen, "127.0.0.1:8081", 0, 0, "HOST:PORT",
          "where jobs and the launcher call" },
        { "ops-listen", "OPS_LISTEN", OPT_STR, &c->ops_listen, "127.0.0.1:9091", 0, 0, "HOST:PORT",
          "health, metrics, lists, redelivery" },
        { NULL, "OPS_TOKEN", OPT_SECRET, &c->ops_token, NULL, 0, 0, NULL,
          "opens the operations port beyond the loopback interface" },
        { "store", "CALLBACK_STORE", OPT_STR, &c->store, "sqlite:callbacks.db", 0, 0, "URL",
          "where callbacks are kept: sqlite:FILE or redis://USER:PASSWORD@HOST:PORT/DB" },
        { NULL, "CALLBACK_TOKEN_KEYS", OPT_SECRET, &c->token_keys, NULL, 0, 0, NULL,
          "{\"KID\": \"at least 43 random characters\", ...}" },
        { "callback-token-keys-secret", "CALLBACK_TOKEN_KEYS_SECRET", OPT_STR,
          &c->token_keys_secret, NULL, 0, 0, "ARN", "the secret that holds them instead" },
        { "keys-refresh-seconds", "KEYS_REFRESH_SECONDS", OPT_INT, &c->keys_refresh_s, "300", 1,
          86400, "SECONDS", "how often that secret is read anew" },
        { "token-kid", "CALLBACK_TOKEN_KID", OPT_STR, &c->token_kid, NULL, 0, 0, "KID",
          "the key that seals (for `token`); all of them open" },
        { "max-connections", "MAX_CONNECTIONS", OPT_INT, &c->max_connections, "16384", 64, 1000000,
          "N", "open at once; as many as the limit on open files allows" },
        { "max-connections-per-peer", "MAX_CONNECTIONS_PER_PEER", OPT_INT, &c->max_per_peer, "0", 0,
          1000000, "N", "of one address; 0: no limit, for behind a gateway" },
        { "max-buffered-mib", "MAX_BUFFERED_MIB", OPT_INT, &c->max_buffered_mib, "128", 2, 65536,
          "MIB", "bodies that are being received, all together" },
        { "max-queued-mib", "MAX_QUEUED_MIB", OPT_INT, &c->max_queued_mib, "64", 1, 65536, "MIB",
          "bodies that wait for the store, all together; more is answered 429" },
        { "delivery-calls", "DELIVERY_CALLS", OPT_INT, &c->delivery_calls, "64", 0, 1024, "N",
          "calls to Lambda at once; 0 pauses deliveries" },
        { "retry-base-ms", "RETRY_BASE_MS", OPT_INT, &c->retry_base_ms, "200", 1, 3600000, "MS",
          "the first wait before a delivery is tried again" },
        { "retry-cap-ms", "RETRY_CAP_MS", OPT_INT, &c->retry_cap_ms, "60000", 1, 86400000, "MS",
          "the longest" },
        { "drain-seconds", "DRAIN_SECONDS", OPT_INT, &c->drain_s, "0", 0, 600, "SECONDS",
          "after SIGTERM: not ready any more, but serving, until a load balancer has noticed" },
        { "log-level", "LOG_LEVEL", OPT_STR, &c->log_level_word, "info", 0, 0, "WORD",
          "debug, info, warn or error" },
        AWS_OPTIONS(c->aws),
    };
    const struct opts o = {
        .program = "callback-receiver",
        .synopsis = "[options]\n       callback-receiver COMMAND [options]",
        .about = "Takes what container jobs report, keeps it, and delivers it to the durable\n"
                 "execution that waits for it.\n\n"
                 "Commands, each with its own --help:\n"
                 "  pending     list reports that wait, and jobs that have not reported\n"
                 "  dead        list reports that Lambda will not take\n"
                 "  redeliver   make such reports due again: one or all\n"
                 "  doctor      check store, keys, credentials and Lambda\n"
                 "  token       seal a token, for tests and support",
        .table = table,
        .count = ARRAY_LEN(table),
    };
    return use(&o, arg);
}

struct load {
    int argc;
    char *const *argv;
    char *const *env;
    struct error *err;
};

static int load(const struct opts *o, void *arg)
{
    struct load *l = arg;
    int rc = opts_load(o, l->argc, l->argv, l->env, l->err);
    if (rc < 0)
        return rc;
    return rc == l->argc
               ? 0
               : error_set(l->err, ERR_INVALID, 0, "unknown argument %s; see --help", l->argv[rc]);
}

static int release(const struct opts *o, void *arg)
{
    (void)arg;
    opts_release(o);
    return 0;
}

static int check(struct config *c, struct error *err)
{
    if (log_level_parse(c->log_level_word, &c->log_level) < 0)
        return error_set(err, ERR_INVALID, 0, "LOG_LEVEL: must be debug, info, warn or error");
    if (!c->token_keys && !c->token_keys_secret)
        return error_set(err, ERR_INVALID, 0,
                         "CALLBACK_TOKEN_KEYS is missing: {\"KID\": \"at least %d random "
                         "characters\"} (or CALLBACK_TOKEN_KEYS_SECRET)",
                         TOKEN_SECRET_MIN);
    if (c->token_keys && c->token_keys_secret)
        return error_set(err, ERR_INVALID, 0,
                         "CALLBACK_TOKEN_KEYS and CALLBACK_TOKEN_KEYS_SECRET: only one of them");
    if (c->ops_token && strlen(c->ops_token) < OPS_TOKEN_MIN)
        return error_set(err, ERR_INVALID, 0, "OPS_TOKEN: must have at least %d characters",
                         OPS_TOKEN_MIN);
    if (!c->ops_token && !ops_loopback(c->ops_listen))
        return error_set(err, ERR_INVALID, 0,
                         "OPS_LISTEN %s is not a loopback address: set OPS_TOKEN", c->ops_listen);
    return 0;
}

int config_load(struct config *c, int argc, char *const *argv, char *const *env, struct error *err)
{
    memset(c, 0, sizeof(*c));
    struct load l = { argc, argv, env, err };
    int rc = with_table(c, load, &l);
    return rc == 0 ? check(c, err) : rc;
}

void config_release(struct config *c)
{
    with_table(c, release, NULL);
}
