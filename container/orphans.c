#include "container/orphans.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/base/opts.h"

/* The parent's id by /proc/PID/stat (proc(5)): the name, in brackets, may contain anything. */
static pid_t parent_of(int proc, const char *pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "%.20s/stat", pid);
    auto_close int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    char *rest = strrchr(text, ')');
    if (!rest || strlen(rest) < 5)
        return -1;
    rest += 4; /* ") S " */
    int64_t parent;
    return opts_int(strsep(&rest, " "), 0, INT32_MAX, &parent) == 0 ? (pid_t)parent : -1;
}

void orphans_signal(int number)
{
    int64_t pid;
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    for (struct dirent *e = readdir(proc); e; e = readdir(proc))
        if (opts_int(e->d_name, 1, INT32_MAX, &pid) == 0 &&
            parent_of(dirfd(proc), e->d_name) == getpid())
            kill((pid_t)pid, number);
    closedir(proc);
}
