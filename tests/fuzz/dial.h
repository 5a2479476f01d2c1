/* dial.h - a connection to a server on this machine. */
#ifndef FUZZ_DIAL_H
#define FUZZ_DIAL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define DIAL_TRIES    100
#define DIAL_PAUSE_US 100000

static inline int dial(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct linger hard = { .l_onoff = 1 };
    for (int tries = 0; tries < DIAL_TRIES; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        FUZZ_MUST(fd >= 0);
        if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)); /* less in TIME-WAIT */
            return fd;
        }
        int why = errno;
        close(fd);
        if (why != EADDRNOTAVAIL) { /* others on this machine may have taken all ports */
            fprintf(stderr, "connect: %s\n", strerror(why));
            break;
        }
        usleep(DIAL_PAUSE_US);
    }
    abort();
}

#endif
