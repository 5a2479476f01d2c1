#include "local/stack/folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/clock.h"

#define TRIES    250
#define PAUSE_MS 20

char *folder_new(const char *name, struct error *err)
{
    char *path = mem_printf("/tmp/%s.XXXXXX", name);
    if (mkdtemp(path))
        return path;
    error_set_errno(err, errno, "cannot make a folder in /tmp");
    free(path);
    return NULL;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    remove(path); /* what is left is found by the next try */
    return 0;
}

int folder_remove(const char *path, struct error *err)
{
    for (int i = 0; i < TRIES; i++) {
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        if (access(path, F_OK) < 0 && errno == ENOENT)
            return 0;
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
    return error_set(err, ERR_IO, 0, "cannot remove %s", path);
}
