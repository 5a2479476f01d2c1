/* keys.h - the keys that open tokens, as they are now.
 *
 * From the configuration they stay as they are. From Secrets Manager they are read again every
 * refresh_s, so that a key can be added and dropped without a restart; while the secret cannot be
 * read, or makes no sense, those that are there stay. The receiver itself seals nothing, so it need
 * not know which of them seals: that is for the `token` command. Any thread. */
#ifndef RECEIVER_KEYS_H
#define RECEIVER_KEYS_H

#include "callback-receiver/auth.h"
#include "callback-receiver/metrics.h"
#include "shared/aws/aws.h"
#include "shared/base/log.h"

struct keys;

struct keys_config {    /* all borrowed */
    const char *json;   /* the keys themselves, or NULL: */
    const char *secret; /* the secret's ARN */
    const char *kid;    /* for keys_read: the one that seals; NULL: the only one */
    int64_t refresh_s;
    const struct aws_options *aws; /* for the secret */
    struct metrics *metrics;
    struct log *log;
};

/* Reads them. NULL with *err where they cannot be had; the error names the variable and shows
 * nothing of them. */
struct keys *keys_start(const struct keys_config *cfg, struct error *err) CHECKED;
/* Takes NULL. */
void keys_stop(struct keys *k);

/* auth_check with the keys of now. */
enum auth keys_check(struct keys *k, const char *authorization, const char *id, unsigned scopes,
                     int64_t now_s, struct token_content *out);
/* Reads them once, for commands. The caller's. */
struct token_keys *keys_read(const struct keys_config *cfg, struct error *err) CHECKED;

#endif
