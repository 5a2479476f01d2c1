#include "shared/base/httpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/httpd_internal.h"
#include "shared/base/listener.h"

#define CONNECTION_MEMORY (16U << 10)
#define DRAIN_MS          5000

static const struct sockaddr *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

static int socket_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct httpd *h = cls;
    bool begins = what == MHD_CONNECTION_NOTIFY_STARTED;
    if (h->peers && begins && !httpd_peers_enter(h->peers, peer_of(connection)))
        shutdown(socket_of(connection), SHUT_RDWR); /* libmicrohttpd finds it closed */
    else if (h->peers && !begins)
        httpd_peers_leave(h->peers, peer_of(connection));
    if (!h->guard)
        return;
    if (begins) {
        *context =
            httpd_guard_add(h->guard, socket_of(connection), h->cfg.header_timeout_s * 1000L);
    } else if (*context) { /* before the socket is closed */
        httpd_guard_remove(h->guard, *context);
        *context = NULL;
    }
}

static size_t keep_escaped(void *cls, struct MHD_Connection *connection, char *s)
{
    (void)cls, (void)connection;
    return strlen(s);
}

static void on_log(void *cls, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *fmt, va_list ap)
{
    struct httpd *h = cls;
    char text[256];
    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_debug(h->cfg.log, log_event("http_server"), log_str("text", text));
}

/* Starts one daemon on its own descriptor of the listening socket. */
static int add_lane(struct httpd *h, int listening, struct error *err)
{
    const struct httpd_config *cfg = &h->cfg;
    unsigned threads = cfg->threads ? cfg->threads : 1;
    unsigned connections = cfg->max_connections ? cfg->max_connections : 4096;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct httpd_lane *lane = &h->lanes[h->lane_count];
    int fd = fcntl(listening, F_DUPFD_CLOEXEC, 0);
    const struct MHD_OptionItem options[] = {
        { MHD_OPTION_LISTEN_SOCKET, fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (connections + threads - 1) / threads, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, cfg->idle_timeout_s, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL },
        { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL }, /* HTTP/1.1 without Host is 400 */
        { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_Daemon *daemon =
        fd < 0
            ? NULL
            : MHD_start_daemon(flags, 0, NULL, NULL, httpd_on_access, h, /* the log comes first */
                               MHD_OPTION_EXTERNAL_LOGGER, on_log, h, MHD_OPTION_URI_LOG_CALLBACK,
                               httpd_on_uri, lane, MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL,
                               MHD_OPTION_NOTIFY_COMPLETED, httpd_on_completed, h,
                               MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_ARRAY,
                               options, MHD_OPTION_END);
    if (daemon) {
        *lane = (struct httpd_lane){ h, daemon };
        h->lane_count++;
        return 0;
    }
    error_set_errno(err, errno, "cannot start the HTTP server on %s", cfg->listen);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* What has been made of it. */
static void destroy(struct httpd *h)
{
    httpd_pool_stop(h->pool);
    for (size_t i = 0; i < h->lane_count; i++)
        MHD_stop_daemon(h->lanes[i].daemon);
    httpd_guard_stop(h->guard);
    httpd_peers_free(h->peers);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static int start(struct httpd *h, int fd, struct error *err)
{
    const struct httpd_config *cfg = &h->cfg;
    if (cfg->threads > HTTPD_THREADS_MAX)
        return error_set(err, ERR_INVALID, 0, "an HTTP server has at most %d threads",
                         HTTPD_THREADS_MAX);
    if (cfg->threads > 0 && cfg->header_timeout_s > 0 && !(h->guard = httpd_guard_start(err)))
        return -1;
    if (cfg->max_per_peer)
        h->peers = httpd_peers_new(cfg->max_per_peer);
    while (h->lane_count < (cfg->threads ? cfg->threads : 1))
        if (add_lane(h, fd, err) < 0)
            return -1;
    if (cfg->threads == 0)
        return 0;
    struct MHD_Daemon *daemons[HTTPD_THREADS_MAX];
    for (size_t i = 0; i < h->lane_count; i++)
        daemons[i] = h->lanes[i].daemon;
    h->pool = httpd_pool_new(daemons, h->lane_count, err);
    return h->pool ? httpd_pool_start(h->pool, err) : -1;
}

struct httpd *httpd_start(const struct httpd_config *cfg, struct error *err)
{
    int fd = listener_open(cfg->listen, err);
    if (fd < 0)
        return NULL;
    struct httpd *h = mem_alloc(sizeof(*h));
    h->cfg = *cfg;
    pthread_mutex_init(&h->lock, NULL);
    h->port = listener_address(fd, h->address, sizeof(h->address));
    int rc = start(h, fd, err);
    close(fd);
    if (rc == 0)
        return h;
    destroy(h);
    return NULL;
}

const char *httpd_address(const struct httpd *h)
{
    return h->address;
}

uint16_t httpd_port(const struct httpd *h)
{
    return h->port;
}

void httpd_quiesce(struct httpd *h)
{
    atomic_store(&h->quiesced, true);
    if (h->pool)
        httpd_pool_quiesce(h->pool);
    else
        httpd_pool_close_listener(h->lanes[0].daemon);
}

size_t httpd_active(const struct httpd *h)
{
    return atomic_load(&h->active);
}

static void refuse_parked(struct httpd *h)
{
    for (;;) {
        pthread_mutex_lock(&h->lock);
        struct httpd_request *req = h->parked;
        pthread_mutex_unlock(&h->lock);
        if (!req)
            return;
        httpd_refuse_stopping(req);
    }
}

void httpd_stop(struct httpd *h)
{
    if (!h)
        return;
    httpd_quiesce(h);
    h->refusing = h->cfg.threads == 0;
    refuse_parked(h);
    const struct clock *clock = clock_system();
    int64_t until = clock_mono_ms(clock) + DRAIN_MS;
    while (atomic_load(&h->active) > 0 && clock_mono_ms(clock) < until) {
        if (h->cfg.threads == 0)
            MHD_run(h->lanes[0].daemon);
        clock_sleep_ms(clock, 2);
    }
    refuse_parked(h);
    destroy(h);
}

int httpd_fd(const struct httpd *h)
{
    return httpd_pool_fd(h->lanes[0].daemon);
}

void httpd_run(struct httpd *h)
{
    atomic_store(&h->resumed, false);
    MHD_run(h->lanes[0].daemon);
}

int64_t httpd_timeout_ms(struct httpd *h)
{
    return atomic_load(&h->resumed) ? 0 /* libmicrohttpd leaves these out */
                                    : httpd_pool_timeout_ms(h->lanes[0].daemon);
}
