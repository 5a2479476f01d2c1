/* gateway_proxy.h - a few threads that pass requests on to other servers, and the answers back to
 * the loop.
 *
 * A request is sent once and never repeated: whether to repeat is the client's to decide. All
 * functions: the loop's thread only; `done` is called there too. */
#ifndef LOCAL_GATEWAY_PROXY_H
#define LOCAL_GATEWAY_PROXY_H

#include "local/loop.h"
#include "shared/aws/http.h"

#define GATEWAY_PROXY_WAITING 1024 /* requests that wait for a thread */

struct gateway_proxy;

/* `resp` is NULL where there was no answer; `err` then says why. Both live for the call. */
typedef void gateway_proxy_fn(void *arg, const struct http_response *resp, const struct error *err);

struct gateway_proxy *gateway_proxy_new(struct loop *loop, unsigned threads,
                                        struct error *err) CHECKED;
/* Gives up what is under way, without calling `done`, and joins the threads; takes NULL. */
void gateway_proxy_free(struct gateway_proxy *p);
/* Sends a copy of `req` (its `cancel` is ignored); -1 with ERR_THROTTLED, and no call of `done`,
 * where too much waits already. */
int gateway_proxy_send(struct gateway_proxy *p, const struct http_request *req,
                       gateway_proxy_fn *done, void *arg, struct error *err) CHECKED;

#endif
