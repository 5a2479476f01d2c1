/* config.h - what the receiver is told by flags and environment. One thread, at the start. */
#ifndef RECEIVER_CONFIG_H
#define RECEIVER_CONFIG_H

#include "shared/aws/aws.h"
#include "shared/base/log.h"
#include "shared/token/token.h"

struct config {
    char *listen;
    char *ops_listen;
    char *ops_token; /* NULL: none */
    char *store;
    char *token_keys;        /* NULL: see token_keys_secret */
    char *token_keys_secret; /* ARN of the secret that holds them */
    char *token_kid;         /* NULL: the only one */
    int64_t keys_refresh_s;
    int64_t max_connections;
    int64_t max_per_peer;
    int64_t max_buffered_mib;
    int64_t max_queued_mib;
    int64_t delivery_calls;
    int64_t retry_base_ms;
    int64_t retry_cap_ms;
    int64_t drain_s;
    char *log_level_word;
    enum log_level log_level;
    struct aws_options aws;
};

/* 0; OPTS_DONE where --help or --version was printed; -1 with *err. Release it in any case. */
int config_load(struct config *c, int argc, char *const *argv, char *const *env,
                struct error *err) CHECKED;
void config_release(struct config *c);

#endif
