/* bare-server: what libmicrohttpd alone does with the requests of a measurement: it reads each
 * whole and answers 202 with the receiver's body. Nothing is checked, kept or sent on. It runs as
 * libmicrohttpd's manual calls it fastest, with epoll, a pool of threads, and one answer made once
 * and shared; the threads are those of httpd_pool.h, since its own would fall asleep on the load.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/httpd_pool.h"
#include "shared/base/listener.h"
#include "shared/base/log.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"

#define THREADS_MAX 16

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_len, void **state)
{
    (void)url, (void)method, (void)version, (void)upload;
    static char seen;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        *upload_len = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, 202, cls);
}

static struct MHD_Daemon *start_daemon(int listening, struct MHD_Response *response)
{
    int fd = fcntl(listening, F_DUPFD_CLOEXEC, 0);
    return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_access, response,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, 4096U,
                            MHD_OPTION_END);
}

static int serve(const char *listen, unsigned threads, struct error *err)
{
    char address[128];
    static char body[] = "{\"state\":\"accepted\"}";
    int fd = listener_open(listen, err);
    if (fd < 0)
        return -1;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    struct MHD_Daemon *daemons[THREADS_MAX];
    unsigned count = 0;
    while (count < threads && (daemons[count] = start_daemon(fd, response)) != NULL)
        count++;
    struct httpd_pool *pool = count == threads ? httpd_pool_new(daemons, count, err) : NULL;
    int rc = pool ? httpd_pool_start(pool, err)
                  : error_set(err, ERR_IO, 0, "libmicrohttpd does not start");
    if (rc == 0) {
        struct log *log = log_open(STDERR_FILENO, LOG_INFO, "bare-server");
        (void)listener_address(fd, address, sizeof(address));
        auto_free char *url = mem_printf("http://%s", address);
        log_info(log, log_event("listening"), log_str("service", "callbacks"), log_str("url", url));
        log_info(log, log_event("ready"));
        signals_wait();
        log_close(log);
    }
    httpd_pool_stop(pool);
    for (unsigned i = 0; i < count; i++)
        MHD_stop_daemon(daemons[i]);
    close(fd);
    MHD_destroy_response(response);
    return rc;
}

int main(int argc, char **argv)
{
    struct error err = { 0 };
    char *listen = NULL;
    int64_t threads = 1;
    const struct opt table[] = {
        { "listen", NULL, OPT_STR, &listen, "127.0.0.1:0", 0, 0, "HOST:PORT", "where" },
        { "threads", NULL, OPT_INT, &threads, "1", 1, THREADS_MAX, "N", "that serve" },
    };
    const struct opts o = { .program = "bare-server",
                            .synopsis = "[options]",
                            .about = "Answers 202 to everything.",
                            .table = table,
                            .count = ARRAY_LEN(table) };
    signals_block();
    int rc = opts_load(&o, argc, argv, environ, &err);
    if (rc >= 0)
        rc = serve(listen, (unsigned)threads, &err);
    opts_release(&o);
    if (rc < 0 && rc != OPTS_DONE)
        fprintf(stderr, "bare-server: %s\n", err.msg);
    return rc < 0 && rc != OPTS_DONE ? 1 : 0;
}
