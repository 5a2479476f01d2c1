/* http_transfer.h - one request on a libcurl handle: what http.c, which sends one after the other,
 * and http_pool.c, which sends many at once, have in common. For these two; one thread at a time.
 *
 * prepare, then the handle runs (on a multi handle of the caller's), then finish; again and again.
 */
#ifndef AWS_HTTP_TRANSFER_H
#define AWS_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "shared/aws/http.h"

#define HTTP_METHOD_MAX 32

/* Who opens and closes its sockets; NULL: it does. */
struct http_sockets {
    curl_opensocket_callback open;
    curl_closesocket_callback close;
    void *arg;
};

/* Must not move once it was prepared: the handle knows its address. Zero it, but `sockets`, before
 * init. */
struct http_transfer {
    struct http_sockets sockets;
    CURL *easy;
    struct http_response *resp; /* borrowed from prepare to finish */
    struct curl_slist *headers;
    bool once;
    bool sent;
    bool too_large;
    char why[CURL_ERROR_SIZE];
    /* What the handle is set for: options that stay the same are not set again. */
    bool ready;
    bool has_body;
    bool tls;
    const char *hashed;
    char *base; /* of its URL, where the rest is set apart; NULL: nowhere */
    char method[HTTP_METHOD_MAX + 1];
};

int http_transfer_init(struct http_transfer *t, struct error *err) CHECKED;
/* Safe on zeroed memory. The handle is in no multi handle any more. */
void http_transfer_release(struct http_transfer *t);

/* Empties `resp` and sets the handle for `req`, whose body is borrowed until the transfer has
 * finished; all else is copied. `hashed` is where certificates are looked for, NULL: in the whole
 * bundle (http_trust.h). -1: there is nothing to finish. */
int http_transfer_prepare(struct http_transfer *t, const struct http_request *req,
                          struct http_response *resp, const char *hashed,
                          struct error *err) CHECKED;
/* Whether a transfer that ended so was not sent for a certificate which the whole bundle may know;
 * then `t` is set to be run once more by that, as it was prepared. */
bool http_transfer_again(struct http_transfer *t, CURLcode code);
/* The transfer has ended with `code` and is off its multi handle: as http_send. */
int http_transfer_finish(struct http_transfer *t, CURLcode code, struct error *err) CHECKED;
/* The same for one that was cut off; always -1. */
int http_transfer_cancelled(struct http_transfer *t, struct error *err);

#endif
