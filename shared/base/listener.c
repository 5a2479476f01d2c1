#include "shared/base/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/opts.h"

/* Splits "HOST:PORT" or "[HOST]:PORT". */
static int split_address(const char *listen, char *host, size_t host_size, const char **port,
                         struct error *err)
{
    const char *colon = strrchr(listen, ':');
    int64_t number;
    if (!colon || opts_int(colon + 1, 0, 65535, &number) < 0)
        return error_set(err, ERR_INVALID, 0, "listen address %s: must be HOST:PORT", listen);
    size_t len = (size_t)(colon - listen);
    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    if (len == 0 || len >= host_size)
        return error_set(err, ERR_INVALID, 0, "listen address %s: must be HOST:PORT", listen);
    memcpy(host, listen, len);
    host[len] = '\0';
    *port = colon + 1;
    return 0;
}

int listener_open(const char *listen_at, struct error *err)
{
    char host[128];
    const char *port = NULL;
    if (split_address(listen_at, host, sizeof(host), &port, err) < 0)
        return -1;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return error_set(err, ERR_INVALID, rc, "listen address %s: %s", listen_at,
                         gai_strerror(rc));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        error_set_errno(err, errno, "cannot listen on %s", listen_at);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

uint16_t listener_address(int fd, char *out, size_t size)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    char host[64] = "", port[8] = "";
    if (getsockname(fd, (struct sockaddr *)&at, &len) == 0)
        getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return (uint16_t)strtoul(port, NULL, 10);
}
