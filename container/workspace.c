#include "container/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *folder_in(const char *parent, struct error *err)
{
    auto_free char *path = mem_printf("%s/callback-run-XXXXXX", parent);
    if (!mkdtemp(path)) {
        error_set_errno(err, errno, "cannot make a folder in %s", parent);
        return NULL;
    }
    return MOVE(path);
}

int workspace_open(struct workspace *w, const char *temp_dir, const char *result_file,
                   struct error *err)
{
    *w = (struct workspace){ 0 };
    const char *const parents[] = { temp_dir, "/tmp", "/dev/shm" };
    for (size_t i = 0; i < ARRAY_LEN(parents) && !w->folder; i++)
        w->folder = folder_in(parents[i], err);
    if (result_file) {
        w->result_path = mem_dup(result_file);
        w->existed = stat(result_file, &w->before) == 0;
    } else if (w->folder) {
        w->result_path = mem_printf("%s/result", w->folder);
    }
    return w->folder ? 0 : -1;
}

static void remove_files(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            unlinkat(dirfd(dir), e->d_name, 0) < 0 && errno == EISDIR)
            (void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
    closedir(dir);
}

void workspace_close(struct workspace *w)
{
    if (w->folder) {
        remove_files(w->folder);
        (void)rmdir(w->folder); /* a folder with something in it stays, and so does this */
    }
    free(w->folder);
    free(w->input_path);
    free(w->result_path);
    *w = (struct workspace){ 0 };
}

int workspace_write_input(struct workspace *w, const char *p, size_t len, struct error *err)
{
    if (!w->folder)
        return error_set(err, ERR_IO, 0, "there is no temporary folder for the input");
    auto_free char *path = mem_printf("%s/input.json", w->folder);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make %s", path);
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot write %s", path);
        p += n;
        len -= (size_t)n;
    }
    w->input_path = MOVE(path);
    return 0;
}

static bool unchanged(const struct workspace *w, const struct stat *now)
{
    const struct stat *before = &w->before;
    return w->existed && before->st_ino == now->st_ino && before->st_dev == now->st_dev &&
           before->st_size == now->st_size && before->st_mtim.tv_sec == now->st_mtim.tv_sec &&
           before->st_mtim.tv_nsec == now->st_mtim.tv_nsec;
}

static int read_all(int fd, const char *path, struct buf *bytes, struct error *err)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot read %s", path);
        if (n == 0 || buf_add(bytes, chunk, (size_t)n) < 0)
            return 0;
    }
}

int workspace_read_result(const struct workspace *w, struct buf *bytes, struct result *out,
                          struct error *err)
{
    *out = (struct result){ .state = RESULT_ABSENT };
    if (!w->result_path)
        return 0;
    /* O_NONBLOCK: should it be a FIFO, nobody waits for its other end. */
    auto_close int fd = open(w->result_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return 0;
    struct stat now;
    if (fd < 0 || fstat(fd, &now) < 0)
        return error_set_errno(err, errno, "cannot read %s", w->result_path);
    if (!S_ISREG(now.st_mode))
        return error_set(err, ERR_INVALID, 0, "%s is not a file", w->result_path);
    if (unchanged(w, &now))
        return 0;
    if (read_all(fd, w->result_path, bytes, err) < 0)
        return -1;
    out->p = buf_str(bytes);
    out->len = bytes->len;
    out->size = buf_overflowed(bytes) ? (size_t)now.st_size : bytes->len;
    if (out->len > 0)
        out->state = buf_overflowed(bytes) ? RESULT_TOO_LARGE : RESULT_PRESENT;
    return 0;
}
