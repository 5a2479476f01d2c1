/* redis_url.h - redis://USER:PASSWORD@HOST:PORT/DB, taken apart. Any thread. */
#ifndef RECEIVER_REDIS_URL_H
#define RECEIVER_REDIS_URL_H

#include <stdbool.h>

#include "shared/base/error.h"

struct redis_url {
    bool tls;
    char *host;
    int port;
    char *user;     /* NULL: the default user */
    char *password; /* NULL: none; secret */
    int db;
};

/* redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB], user and password percent-encoded, an IPv6 address
 * in brackets. ERR_INVALID says which part is wrong, without the password. */
int redis_url_parse(const char *url, struct redis_url *out, struct error *err) CHECKED;
/* Safe on zeroed memory, and twice. */
void redis_url_release(struct redis_url *u);

#endif
