/* ops_client.h - asks the operations port of a running receiver. One thread. */
#ifndef RECEIVER_OPS_CLIENT_H
#define RECEIVER_OPS_CLIENT_H

#include <json-c/json.h>

#include "shared/aws/http.h"

struct ops_client {
    struct http_client *http;
    char *base; /* "http://127.0.0.1:9091" */
    const char *token;
};

/* `listen` is OPS_LISTEN as the receiver has it ("0.0.0.0:9091" is asked over the loopback
 * interface), `token` OPS_TOKEN or NULL (borrowed). Release it in any case. */
int ops_client_init(struct ops_client *c, const char *listen, const char *token,
                    struct error *err) CHECKED;
/* Safe on zeroed memory. */
void ops_client_release(struct ops_client *c);

/* 0 for any answer in JSON: its status and body (*out is the caller's; NULL where there is none).
 * -1 with *err where nobody answers there, or it is no receiver. */
int ops_client_ask(struct ops_client *c, const char *method, const char *path, int *status,
                   struct json_object **out, struct error *err) CHECKED;
/* What an answer that is no success says: its `detail`. Always -1. */
int ops_client_refused(int status, const struct json_object *body, struct error *err);

#endif
