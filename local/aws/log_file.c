#include "local/aws/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct log_file {
    char *path;
    char *before; /* PATH.1 */
    size_t limit;
    int fd;
};

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

struct log_file *log_file_open(const char *path, size_t limit, struct error *err)
{
    int fd = open_path(path);
    if (fd < 0) {
        error_set_errno(err, errno, "cannot open %s", path);
        return NULL;
    }
    struct log_file *f = mem_alloc(sizeof(*f));
    f->path = mem_dup(path);
    f->before = mem_printf("%s.1", path);
    f->limit = limit;
    f->fd = fd;
    return f;
}

void log_file_close(struct log_file *f)
{
    if (!f)
        return;
    close(f->fd);
    free(f->path);
    free(f->before);
    free(f);
}

/* Where the file has grown to its limit, the next one: begun here, or by somebody else who has the
 * path open and was faster. */
static void turn(struct log_file *f)
{
    struct stat own, there;
    if (fstat(f->fd, &own) < 0 || (size_t)own.st_size < f->limit)
        return;
    bool ours =
        stat(f->path, &there) == 0 && own.st_ino == there.st_ino && own.st_dev == there.st_dev;
    if (ours && rename(f->path, f->before) < 0)
        return; /* rather too long than lost */
    int fd = open_path(f->path);
    if (fd < 0)
        return;
    close(f->fd);
    f->fd = fd;
}

void log_file_write(struct log_file *f, const char *text, size_t len)
{
    turn(f);
    while (len > 0) {
        ssize_t n = write(f->fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}
