#include "container/signalbox.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "shared/base/signals.h"

int signalbox_open(struct error *err)
{
    static const int read_here[] = { SIGTERM, SIGINT,  SIGHUP,   SIGQUIT,
                                     SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD };
    sigset_t set, also;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(read_here); i++)
        sigaddset(&set, read_here[i]);
    also = set;
    sigaddset(&also, SIGTTOU); /* tcsetpgrp from the background then works instead of stopping us */
    signals_block();
    pthread_sigmask(SIG_BLOCK, &also, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "signalfd");
    return fd;
}

int signalbox_next(int fd)
{
    struct signalfd_siginfo info;
    ssize_t n;
    do
        n = read(fd, &info, sizeof(info));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}
