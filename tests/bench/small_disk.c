#include "tests/bench/small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/mem.h"

#define ROOMY "size=2g"
#define TRIES 200 /* somebody may write between the look and the limit */

struct small_disk {
    char *folder;
    bool full;
};

static int not_here(const char *what, struct error *err)
{
    int why = errno;
    error_set_errno(err, why, "no disk can be made full here: %s", what);
    err->code = ERR_NOT_FOUND;
    return -1;
}

static int write_text(const char *path, const char *text)
{
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && dprintf(fd, "%s", text) > 0 ? 0 : -1;
}

/* The same user and group inside as outside. */
static int map_ids(uid_t uid, gid_t gid)
{
    auto_free char *users = mem_printf("%u %u 1", uid, uid);
    auto_free char *groups = mem_printf("%u %u 1", gid, gid);
    if (write_text("/proc/self/setgroups", "deny") < 0)
        return -1;
    return write_text("/proc/self/uid_map", users) < 0 ||
                   write_text("/proc/self/gid_map", groups) < 0
               ? -1
               : 0;
}

int small_disk_possible(struct error *err)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(CLONE_NEWNS) < 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            return not_here("no namespace for mounts", err);
        if (map_ids(uid, gid) < 0)
            return not_here("the namespace's user cannot be set", err);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return not_here("mounts cannot be made private", err);
    return 0;
}

struct small_disk *small_disk_new(const char *folder, struct error *err)
{
    if (mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, ROOMY ",mode=0700") < 0) {
        error_set_errno(err, errno, "cannot mount a disk on %s", folder);
        return NULL;
    }
    struct small_disk *d = mem_alloc(sizeof(*d));
    d->folder = mem_dup(folder);
    return d;
}

int small_disk_except(const char *inner, const char *outer, struct error *err)
{
    if (mount(outer, inner, NULL, MS_BIND, NULL) < 0)
        return error_set_errno(err, errno, "cannot put %s in the place of %s", outer, inner);
    return 0;
}

static int limit(const struct small_disk *d, const char *size)
{
    return mount("tmpfs", d->folder, "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, size);
}

int small_disk_fill(struct small_disk *d, struct error *err)
{
    /* The kernel refuses a limit below what is used. */
    for (int i = 0; i < TRIES; i++) {
        struct statvfs s;
        if (statvfs(d->folder, &s) < 0)
            return error_set_errno(err, errno, "%s", d->folder);
        unsigned long long used = (s.f_blocks - s.f_bfree) * s.f_frsize;
        auto_free char *size = mem_printf("size=%llu", used > s.f_frsize ? used : s.f_frsize);
        if (limit(d, size) == 0) {
            d->full = true;
            return 0;
        }
    }
    return error_set_errno(err, errno, "cannot make the disk of %s full", d->folder);
}

int small_disk_room(struct small_disk *d, struct error *err)
{
    if (limit(d, ROOMY) < 0)
        return error_set_errno(err, errno, "cannot make room on the disk of %s", d->folder);
    d->full = false;
    return 0;
}

bool small_disk_full(const struct small_disk *d)
{
    return d && d->full;
}

static int copy(const char *from, const char *to, struct error *err)
{
    pid_t pid;
    int status = 0;
    char *const argv[] = { mem_dup("cp"), mem_dup("-a"), mem_dup(from), mem_dup(to), NULL };
    int rc = posix_spawnp(&pid, "cp", NULL, NULL, argv, environ);
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
    if (rc != 0)
        return error_set_errno(err, rc, "cannot run cp");
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "cp");
    return status == 0 ? 0 : error_set(err, ERR_IO, status, "cannot copy %s to %s", from, to);
}

int small_disk_free(struct small_disk *d, bool keep, struct error *err)
{
    if (!d)
        return 0;
    auto_free char *kept = mem_printf("%s.kept", d->folder);
    int rc = keep ? copy(d->folder, kept, err) : 0;
    if (umount2(d->folder, MNT_DETACH) < 0 && rc == 0)
        rc = error_set_errno(err, errno, "cannot take the disk from %s", d->folder);
    if (keep && rc == 0 && (rmdir(d->folder) < 0 || rename(kept, d->folder) < 0))
        rc = error_set_errno(err, errno, "cannot keep %s", d->folder);
    free(d->folder);
    free(d);
    return rc;
}
