/* bare-server: what libmicrohttpd alone does with the requests of a measurement: it reads each
 * whole and answers 202 with the receiver's body. Nothing is checked, kept or sent on. The mode is
 * the one that libmicrohttpd's manual calls its fastest: epoll, a pool of threads, one answer made
 * once and shared. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/listener.h"
#include "shared/base/log.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"

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
    struct MHD_OptionItem options[] = {
        { MHD_OPTION_LISTEN_SOCKET, fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, 4096, NULL },
        { MHD_OPTION_THREAD_POOL_SIZE, threads, NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    if (threads <= 1)
        options[2] = options[3];
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_access,
                         response, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (daemon) {
        struct log *log = log_open(STDERR_FILENO, LOG_INFO, "bare-server");
        (void)listener_address(fd, address, sizeof(address));
        auto_free char *url = mem_printf("http://%s", address);
        log_info(log, log_event("listening"), log_str("service", "callbacks"), log_str("url", url));
        log_info(log, log_event("ready"));
        signals_wait();
        log_close(log);
        MHD_stop_daemon(daemon);
    } else {
        close(fd);
        error_set(err, ERR_IO, 0, "libmicrohttpd does not start");
    }
    MHD_destroy_response(response);
    return daemon ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct error err = { 0 };
    char *listen = NULL;
    int64_t threads = 1;
    const struct opt table[] = {
        { "listen", NULL, OPT_STR, &listen, "127.0.0.1:0", 0, 0, "HOST:PORT", "where" },
        { "threads", NULL, OPT_INT, &threads, "1", 1, 16, "N", "that serve" },
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
