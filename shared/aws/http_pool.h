/* http_pool.h - many HTTP requests at once, driven by one thread.
 *
 * The same requests as http.h's, with the same rules, limits and errors, but start only begins one:
 * http_pool_drive moves all of them on and calls `done` for each that has ended. Connections and
 * libcurl's handles are kept for the next requests. What drive costs grows with what happens, not
 * with how many requests are open: it hears of sockets through epoll.
 *
 * One thread uses a pool; only http_pool_wake may come from any other. */
#ifndef AWS_HTTP_POOL_H
#define AWS_HTTP_POOL_H

#include "shared/aws/http.h"

struct http_pool;

/* The request has ended: rc is 0, and *resp the answer; or -1, and *err says why (http_send). Both
 * are lent for the call. May start other requests, but not drive, cancel or free the pool. */
typedef void http_pool_done_fn(void *arg, int rc, struct http_response *resp, struct error *err);

/* `keep` is how many idle connections are kept. NULL where libcurl or the kernel has no more to
 * give. http_global_init comes first. */
struct http_pool *http_pool_new(unsigned keep, struct error *err) CHECKED;
/* Cancels what runs; takes NULL. */
void http_pool_free(struct http_pool *p);

/* Begins a request. `req->body` is borrowed until `done`, all else for the call only; `req->cancel`
 * is not looked at. `done` comes from drive, cancel or free, never from here. -1: it cannot be
 * begun, and `done` is not called. */
int http_pool_start(struct http_pool *p, const struct http_request *req, http_pool_done_fn *done,
                    void *arg, struct error *err) CHECKED;
/* Requests that have begun and not ended. */
size_t http_pool_running(const struct http_pool *p);
/* Moves on what can move, and tells what has ended. Where there is nothing to do, waits for it, at
 * most timeout_ms. Returns how many have ended. */
size_t http_pool_drive(struct http_pool *p, int64_t timeout_ms);
/* Ends the wait of a drive that runs, or else of the next. */
void http_pool_wake(struct http_pool *p);
/* Ends all with ERR_CANCELLED; those that `done` starts meanwhile as well. */
void http_pool_cancel(struct http_pool *p);

#endif
