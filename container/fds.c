#include "container/fds.h"

#include <fcntl.h>

int fds_note(struct fds *f)
{
    for (int fd = 0; fd < FDS_MAX; fd++) {
        int flags = fcntl(fd, F_GETFD);
        f->given[fd] = flags >= 0 && !(flags & FD_CLOEXEC);
    }
    for (int fd = 0; fd <= 2; fd++)
        if (!f->given[fd] && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
            return -1;
    return 0;
}

void fds_keep_given(const struct fds *f)
{
    /* The kernel gives the lowest number that is free, so ours are all below the limit. */
    for (int fd = 3; fd < FDS_MAX; fd++)
        if (!f->given[fd])
            fcntl(fd, F_SETFD, FD_CLOEXEC);
}
