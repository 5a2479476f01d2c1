/* Whether a SQLite store can be written, and whether what is written there lasts. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "callback-receiver/doctor.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define FREE_MIN (UINT64_C(64) << 20)
#define SLOW_US  50000

/* statfs(2) names these by number; the headers that do are not everywhere. */
static const struct {
    unsigned long type;
    enum doctor_level level;
    const char *text;
} kinds[] = {
    { 0x01021994, DOCTOR_FAIL, "is on tmpfs, in memory: nothing survives the machine's end" },
    { 0x858458f6, DOCTOR_FAIL, "is on ramfs, in memory: nothing survives the machine's end" },
    { 0x794c7630, DOCTOR_WARN,
      "is on overlayfs, a container's own layer: it is lost with the container; use a volume" },
    { 0x6969, DOCTOR_WARN, "is on NFS: locks and fsync are only as good as the server's" },
    { 0xff534d42, DOCTOR_WARN, "is on SMB: locks and fsync are only as good as the server's" },
    { 0xfe534d42, DOCTOR_WARN, "is on SMB: locks and fsync are only as good as the server's" },
};

static void check_kind(struct doctor *d, const char *dir)
{
    struct statfs fs;
    if (statfs(dir, &fs) < 0) {
        doctor_say(d, DOCTOR_FAIL, "durability", "%s: %s", dir, strerror(errno));
        return;
    }
    uint64_t room = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    if (room < FREE_MIN)
        doctor_say(d, DOCTOR_WARN, "store", "%s has only %llu MiB left", dir,
                   (unsigned long long)(room >> 20));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].type == (unsigned long)fs.f_type) {
            doctor_say(d, kinds[i].level, "durability", "%s %s", dir, kinds[i].text);
            return;
        }
    doctor_say(d, DOCTOR_OK, "durability", "each commit is on the disk before it is answered");
}

/* SQLite makes files beside the store: writes one, to the disk, and removes it. */
static bool check_dir(struct doctor *d, const char *file, const char *dir)
{
    char block[4096] = { 0 };
    auto_free char *path = mem_printf("%s-doctor", file);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int64_t began = clock_mono_us();
    bool ok =
        fd >= 0 && write(fd, block, sizeof(block)) == (ssize_t)sizeof(block) && fdatasync(fd) == 0;
    int why = errno;
    int64_t took = clock_mono_us() - began;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    if (!ok)
        doctor_say(d, DOCTOR_FAIL, "store", "files cannot be made in %s: %s", dir, strerror(why));
    else if (took > SLOW_US)
        doctor_say(d, DOCTOR_WARN, "store", "a write to the disk takes %lld ms here",
                   (long long)(took / 1000));
    return ok;
}

/* Opens it as the receiver does, begins to write, and lets it be. */
static void check_file(struct doctor *d, const char *file, bool *busy)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db,
                          "PRAGMA busy_timeout = 500; PRAGMA locking_mode = EXCLUSIVE;"
                          "BEGIN IMMEDIATE; CREATE TABLE doctor_probe (one); ROLLBACK;",
                          NULL, NULL, NULL);
    *busy = (rc & 0xff) == SQLITE_BUSY;
    if (rc == SQLITE_OK)
        doctor_say(d, DOCTOR_OK, "store", "%s can be written", file);
    else if (!*busy)
        doctor_say(d, DOCTOR_FAIL, "store", "%s: %s", file, sqlite3_errmsg(db));
    sqlite3_close(db);
}

void doctor_sqlite(struct doctor *d, const char *file, bool *busy)
{
    const char *slash = strrchr(file, '/');
    auto_free char *dir =
        slash ? mem_dup_len(file, slash == file ? 1 : (size_t)(slash - file)) : mem_dup(".");
    struct stat st;
    *busy = false;
    if (check_dir(d, file, dir)) {
        if (stat(file, &st) < 0 && errno == ENOENT) /* not made here: its owner would be another */
            doctor_say(d, DOCTOR_OK, "store", "%s is not there yet; it can be made", file);
        else
            check_file(d, file, busy);
    }
    check_kind(d, dir);
}
