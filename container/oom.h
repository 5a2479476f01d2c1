/* oom.h - whether the kernel has killed a process of this container for lack of memory.
 *
 * A process that the kernel kills ends by SIGKILL like any other; only the cgroup's count of such
 * kills tells them apart. Version 2 has it in memory.events (the whole tree below counts), version
 * 1 in memory.oom_control, since Linux 4.13. One thread.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html,
 * https://docs.kernel.org/admin-guide/cgroup-v1/memory.html */
#ifndef CONTAINER_OOM_H
#define CONTAINER_OOM_H

#include <stdint.h>

struct oom {
    char *path; /* NULL: there is no count to be had */
    int64_t before;
};

/* Finds this process's cgroup and notes its count. `list` is /proc/self/cgroup, `root` is
 * /sys/fs/cgroup; others are for tests. */
void oom_open(struct oom *o, const char *list, const char *root);
/* How many there were since oom_open; 0 where that is not known. */
int64_t oom_kills(const struct oom *o);
void oom_release(struct oom *o);

#endif
