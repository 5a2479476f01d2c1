/* httpd.h - an HTTP/1.1 server on libmicrohttpd.
 *
 * A request is handed to the handler once, whole: method, raw path, headers and body. The handler
 * either answers at once (httpd_reply) or parks the request (httpd_park) and some thread answers it
 * later; each request is answered exactly once, and after the answer it must not be touched again.
 *
 * The path stays as the client sent it: encoded, not normalised (AWS puts %2F inside segments).
 *
 * Two ways to run: with `threads` > 0 the server has threads of its own, and the handler runs on
 * any of them; with `threads` 0 it has none, and the owner's event loop polls httpd_fd and calls
 * httpd_run, so that the handler runs on the loop's thread and parked requests must be answered
 * there too.
 *
 * A body over max_body is refused with 413, a request that breaks HTTP by libmicrohttpd itself with
 * 400; headers that do not fit 16 KiB with 431. A request whose length can be read in two ways
 * (Content-Length twice or beside Transfer-Encoding: RFC 9112 6.3) is 400 and ends its connection.
 *
 * Where a body is refused early, by on_headers or because of a limit, it is read and dropped (up to
 * 8 MiB) so that the client gets to see the answer, but never kept; with Expect: 100-continue the
 * answer comes at once. */
#ifndef BASE_HTTPD_H
#define BASE_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"
#include "shared/base/log.h"

struct httpd;
struct httpd_request;

typedef void httpd_handler(struct httpd_request *req, void *arg);

struct httpd_config {
    const char *listen;       /* "127.0.0.1:8081", "[::1]:0"; port 0 is any free one */
    unsigned threads;         /* 0: none, see above; at most 64 */
    unsigned max_connections; /* 0: 4096 over all threads */
    unsigned idle_timeout_s; /* a silent connection is closed; 0: never. Parked requests do not time
                                out */
    unsigned header_timeout_s; /* until a request's headers are there; 0: no limit. Only with
                                  threads, as the next one */
    unsigned body_timeout_s;   /* until its body is there, and until its answer is taken */
    unsigned max_per_peer;     /* connections of one address; 0: no limit */
    size_t max_body;           /* bytes */
    size_t max_buffered;       /* bytes of all requests' bodies together; 0: no limit */
    httpd_handler *handler;
    /* Looks at a request before its body is read, and may answer it (not park it): the handler does
     * not see it then. NULL: none. */
    httpd_handler *on_headers;
    httpd_handler *too_large;  /* answers a body over max_body; NULL: a problem document with 413 */
    httpd_handler *overloaded; /* answers where max_buffered is reached; NULL: the same with 503 */
    void *arg;
    struct log *log; /* libmicrohttpd's complaints; may be NULL */
};

/* Listens and, with threads, serves. NULL with *err where the address cannot be had. `cfg` is
 * copied, what it points at must outlive the server. */
struct httpd *httpd_start(const struct httpd_config *cfg, struct error *err) CHECKED;
/* "127.0.0.1:43211": the address in use. Borrowed. */
const char *httpd_address(const struct httpd *h);
uint16_t httpd_port(const struct httpd *h);
/* No new connections from now on; open ones are served. */
void httpd_quiesce(struct httpd *h);
/* Requests that have begun and are not answered, parked ones included. */
size_t httpd_active(const struct httpd *h);
/* Answers what is parked with 503, waits for the end of requests that have begun, ends all
 * connections and frees the server; takes NULL. With threads those requests are handled as ever,
 * and this must not be called from a handler; without, they get 503 and no hook is called any more,
 * so that what the hooks work with may be gone. Whoever else answers parked requests must have
 * stopped before. */
void httpd_stop(struct httpd *h);

/* For servers without threads. httpd_fd is readable when there is work; httpd_run does what can be
 * done without blocking; httpd_timeout_ms is how long the loop may wait until the next httpd_run,
 * or -1. */
int httpd_fd(const struct httpd *h);
void httpd_run(struct httpd *h);
int64_t httpd_timeout_ms(struct httpd *h);

/* All borrowed until the request is answered. */
const char *httpd_method(const struct httpd_request *req);
const char *httpd_path(const struct httpd_request *req); /* raw, without the query */
const char *
httpd_query(const struct httpd_request *req); /* raw, without '?'; "" where there is none */
const char *httpd_body(const struct httpd_request *req, size_t *len);
/* What the headers announce: bytes of body, or INT64_MAX where they do not say how many. */
int64_t httpd_body_announced(const struct httpd_request *req);
/* When its request line was read, by the monotonic clock in microseconds. */
int64_t httpd_started_us(const struct httpd_request *req);
/* A header's value (names are case-insensitive), or NULL; the first where it repeats. */
const char *httpd_header(const struct httpd_request *req, const char *name);
/* Calls `visit` for each header in the order they came. */
typedef void httpd_visit_fn(void *arg, const char *name, const char *value);
void httpd_each_header(const struct httpd_request *req, httpd_visit_fn *visit, void *arg);
/* The decoded value of query parameter `name` ('+' is a space, as in forms), or NULL. The caller's.
 */
char *httpd_query_get(const struct httpd_request *req, const char *name) CHECKED;
/* "127.0.0.1:51234" into out[64]: who asks. */
void httpd_peer(const struct httpd_request *req, char out[64]);
/* The other side has closed the connection: an answer would reach nobody. */
bool httpd_peer_gone(const struct httpd_request *req);
/* A duplicate of the connection's descriptor, the caller's, or -1: to notice the connection's end
 * after the answer. Only to be polled and peeked at. */
int httpd_connection(const struct httpd_request *req);

struct httpd_header {
    const char *name;
    const char *value;
};

/* Answers: everything is copied. `type` may be NULL where there is no body; headers are ended by a
 * NULL name, or NULL for none. Any thread (see above for servers without threads). */
void httpd_reply(struct httpd_request *req, int status, const char *type, const void *body,
                 size_t body_len, const struct httpd_header *headers);
void httpd_reply_json(struct httpd_request *req, int status, const char *json,
                      const struct httpd_header *headers);
/* Answers with a problem document (RFC 9457): type about:blank, `title` the status's own phrase and
 * `detail` for people, printf-like. */
void httpd_problem(struct httpd_request *req, int status, const struct httpd_header *headers,
                   const char *detail, ...) __attribute__((format(printf, 4, 5)));
/* Closes the connection without an answer: what a crash or a cut cable looks like. */
void httpd_abort(struct httpd_request *req);
/* Keeps the request open after the handler returns; call it before anybody else can see `req`. */
void httpd_park(struct httpd_request *req);
/* "Not Found" for 404. */
const char *httpd_phrase(int status);

#endif
