#include "tests/chaos/marks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define URLS_MAX   32
#define MARK_BYTES 1024

struct reading {
    char *urls[URLS_MAX];
    size_t count;
};

static void begun(struct reading *r, struct marks *out, const char *url)
{
    out->begun++;
    if (strcmp(url, "sync") == 0)
        return; /* its attempts have no name: the history tells how many there may be */
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->urls[i], url) == 0) {
            out->doubled++;
            return;
        }
    if (r->count < URLS_MAX)
        r->urls[r->count++] = mem_dup(url);
}

static void read_line(struct reading *r, struct marks *out, char *line)
{
    char word[16] = "", first[512] = "", second[16] = "";
    if (sscanf(line, "%15s %511s %15s", word, first, second) < 1)
        return;
    if (strcmp(word, "begin") == 0)
        begun(r, out, first);
    else if (strcmp(word, "end") == 0)
        out->ended++;
    else if (strcmp(word, "reported") == 0 && second[0] == '2' && strcmp(first, "success") == 0)
        out->told_success = true;
    else if (strcmp(word, "reported") == 0 && second[0] == '2' && strcmp(first, "failure") == 0)
        out->told_failure = true;
}

int marks_read(const char *folder, const char *key, struct marks *out, struct error *err)
{
    struct reading r = { 0 };
    char line[MARK_BYTES];
    auto_free char *path = mem_printf("%s/%s", folder, key);
    *out = (struct marks){ 0 };
    FILE *f = fopen(path, "r");
    if (!f)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", path);
    while (fgets(line, sizeof(line), f))
        read_line(&r, out, line);
    fclose(f);
    for (size_t i = 0; i < r.count; i++)
        free(r.urls[i]);
    return 0;
}

/* The arguments of a process, one behind the other, each ended by a NUL. */
static bool has_argument(const char *pid, const char *wanted)
{
    char text[65536];
    auto_free char *path = mem_printf("/proc/%s/cmdline", pid);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (n <= 0)
        return false;
    text[n] = '\0';
    for (const char *p = text; p < text + n; p += strlen(p) + 1)
        if (strcmp(p, wanted) == 0)
            return true;
    return false;
}

bool marks_alive(const char *folder, const char *key)
{
    auto_free char *wanted = mem_printf("%s/%s", folder, key);
    DIR *proc = opendir("/proc");
    bool alive = false;
    for (const struct dirent *e = proc ? readdir(proc) : NULL; e && !alive; e = readdir(proc))
        alive = e->d_name[0] >= '0' && e->d_name[0] <= '9' && has_argument(e->d_name, wanted);
    if (proc)
        closedir(proc);
    return alive;
}
