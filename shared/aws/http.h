/* http.h - HTTP requests on libcurl.
 *
 * An http_client keeps its connections open between requests (one thread at a time each; make one a
 * thread). Redirects are not followed, proxies and .netrc are not used, only http and https are
 * spoken. http_send does one try; http_send_retry repeats what can succeed later. */
#ifndef AWS_HTTP_H
#define AWS_HTTP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/error.h"

struct http_client;

struct http_header {
    const char *name;
    const char *value;
};

/* All borrowed for the call. */
struct http_request {
    const char *method;
    const char *url;
    const struct http_header *headers; /* ended by a NULL name; may be NULL */
    const void *body;
    size_t body_len;            /* 0: no body; POST and PUT then say Content-Length: 0 */
    int64_t connect_timeout_ms; /* 0: 5,000 */
    int64_t timeout_ms;         /* for the whole request; 0: none (the Runtime API's long poll) */
    size_t max_response;        /* bytes of body; 0: 8 MiB */
    const atomic_bool
        *cancel; /* when it becomes true the request ends with ERR_CANCELLED; may be NULL */
    /* A kept connection that the server closed just now is found out by sending on it; libcurl then
     * sends again on a new one, although the first may have been processed. With `once` it is
     * ERR_NET instead, so that the caller knows that the outcome is unknown. */
    bool once;
};

struct http_response {
    int status;
    struct buf body;
    struct buf headers; /* private: use http_response_header */
};

/* NULL only where libcurl cannot start. http_global_init must have been called once in main before.
 */
struct http_client *http_client_new(struct error *err) CHECKED;
void http_client_free(struct http_client *c);
void http_global_init(void);
void http_global_cleanup(void);

/* Whether there is any sense in trying: an http or https URL and, for the latter, CA certificates
 * to check the server by (http_trust.h). Else -1 with ERR_INVALID; http_send says the same. */
int http_check_url(const char *url, struct error *err) CHECKED;

/* Any status is a success here. -1: ERR_NET, ERR_TIMEOUT, ERR_TOO_LARGE, ERR_CANCELLED or
 * ERR_INVALID (see http_check_url). `resp` is the caller's, zeroed or used before; release
 * it in any case. */
int http_send(struct http_client *c, const struct http_request *req, struct http_response *resp,
              struct error *err) CHECKED;
void http_response_release(struct http_response *resp);
#define auto_response __attribute__((cleanup(http_response_release)))
/* The value of a header of the final response (case-insensitive, the first where it repeats),
 * copied into `out`; false where there is none or it does not fit. */
bool http_response_header(const struct http_response *resp, const char *name, char *out,
                          size_t size);
/* Calls `visit` for each header of the final response in the order they came; both strings live for
 * the call only. */
typedef void http_visit_fn(void *arg, const char *name, const char *value);
void http_response_each_header(const struct http_response *resp, http_visit_fn *visit, void *arg);
/* Retry-After (RFC 9110 10.2.3: seconds or a date) in ms from now, or -1. */
int64_t http_retry_after_ms(const struct http_response *resp, const struct clock *clock);

struct http_retry {
    unsigned attempts;   /* in all, at least 1 */
    int64_t base_ms;     /* full jitter: 0 to base * 2^(n-1) before try n+1 */
    int64_t cap_ms;      /* the longest such wait */
    int64_t deadline_ms; /* monotonic clock: no try is begun after it or lasts past it; 0: none */
    const struct clock *clock;
};

/* How long a try that begins now may take, into *limit_ms: timeout_ms (0: no limit) and no more
 * than is left until the deadline. A try that another may follow gets at most half of what is left,
 * but HTTP_TRY_MIN_MS where there is so much: a connection whose other end has gone without a word
 * is not told from a slow server, and must leave time for a new one. Of retry, deadline and clock
 * count. -1 with ERR_TIMEOUT: no time is left. */
int http_try_limit(const struct http_retry *retry, bool last, int64_t timeout_ms, int64_t *limit_ms,
                   struct error *err) CHECKED;
#define HTTP_TRY_MIN_MS 1000

/* Retries ERR_NET, ERR_TIMEOUT and the statuses 429, 500, 502, 503, 504; each retry sends the same
 * bytes and waits at least what Retry-After asked for (where that is past the deadline it gives
 * up). req->timeout_ms is that of one try (http_try_limit), which ends with its connection: the
 * next one has another. Only for requests that do no harm when the server gets them twice. The last
 * outcome is returned as from http_send. `cancel` also ends a wait. */
int http_send_retry(struct http_client *c, const struct http_request *req,
                    const struct http_retry *retry, struct http_response *resp,
                    struct error *err) CHECKED;
/* Waits; 0, or -1 as soon as `cancel` (may be NULL) is true. */
int http_wait(const struct clock *clock, int64_t ms, const atomic_bool *cancel) CHECKED;

#endif
