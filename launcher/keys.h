/* keys.h - the keys that seal tokens: from the environment, or from Secrets Manager once at start.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
#ifndef LAUNCHER_KEYS_H
#define LAUNCHER_KEYS_H

#include "launcher/config.h"
#include "shared/token/token.h"

/* The caller's; NULL with an error that names the variable and shows nothing of the keys. */
struct token_keys *keys_load(const struct config *c, struct aws *aws, struct error *err) CHECKED;

#endif
