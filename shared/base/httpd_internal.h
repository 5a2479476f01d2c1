/* httpd_internal.h - what httpd.c, which deals with requests, and httpd_server.c, which deals with
 * servers, share. */
#ifndef BASE_HTTPD_INTERNAL_H
#define BASE_HTTPD_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "shared/base/buf.h"
#include "shared/base/httpd.h"
#include "shared/base/httpd_guard.h"
#include "shared/base/httpd_peers.h"
#include "shared/base/httpd_pool.h"

#define HTTPD_THREADS_MAX 64

struct httpd_request {
    struct httpd *httpd;
    size_t lane;
    struct MHD_Connection *connection;
    char *path;
    char *query;
    const char *method;
    struct buf body;
    size_t counted; /* of httpd.buffered */
    size_t dropped;
    int64_t started_us;
    struct httpd_guarded *guarded; /* its connection; NULL: without time limits */
    bool seen;                     /* the access handler has been called */
    bool too_large;
    bool parked;
    bool aborted;
    struct MHD_Response *response;
    unsigned status;
    struct httpd_request *prev, *next; /* among the parked ones */
};

/* One daemon: a thread's, or the only one. */
struct httpd_lane {
    struct httpd *httpd;
    struct MHD_Daemon *daemon;
};

struct httpd {
    struct httpd_config cfg;
    struct httpd_lane lanes[HTTPD_THREADS_MAX];
    size_t lane_count;
    struct httpd_pool *pool; /* NULL: without threads */
    char address[128];
    uint16_t port;
    pthread_mutex_t lock;
    struct httpd_request *parked; /* under lock */
    atomic_size_t active;
    atomic_size_t buffered; /* bytes of bodies */
    atomic_bool quiesced;
    bool refusing;             /* without threads: it stops, and no hook is called any more */
    struct httpd_guard *guard; /* NULL: no time limits */
    struct httpd_peers *peers; /* NULL: no limit for an address */
    atomic_bool resumed;       /* a parked request was answered: libmicrohttpd has work at once */
};

/* libmicrohttpd's callbacks of a request; `cls` of the first is the lane, else the server. */
void *httpd_on_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result httpd_on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_len, void **con_cls);
/* 503: nothing is handled any more. */
void httpd_refuse_stopping(struct httpd_request *req);
void httpd_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                        enum MHD_RequestTerminationCode how);

#endif
