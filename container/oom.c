#include "container/oom.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/base/opts.h"

#define TEXT_MAX 8192

/* All that fits; "" where there is nothing to read. */
static void read_text(const char *path, char out[TEXT_MAX])
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, TEXT_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
}

/* The number of the line "oom_kill N", or -1. */
static int64_t count_in(const char *path)
{
    char text[TEXT_MAX], *rest = text;
    int64_t count = -1;
    read_text(path, text);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (strncmp(line, "oom_kill ", 9) == 0 && opts_int(line + 9, 0, INT64_MAX, &count) < 0)
            count = -1;
    return count;
}

/* Takes the file where it has a count. */
static bool take(struct oom *o, const char *root, const char *controller, const char *cgroup,
                 const char *file)
{
    auto_free char *path = mem_printf("%s%s%s/%s", root, controller, cgroup, file);
    int64_t count = count_in(path);
    if (count < 0)
        return false;
    o->path = MOVE(path);
    o->before = count;
    return true;
}

/* In a container the list may name the cgroup as the host sees it, while what is mounted is the
 * container's own: then the file is at the mount's top. */
static bool take_either(struct oom *o, const char *root, const char *controller, const char *cgroup,
                        const char *file)
{
    if (strcmp(cgroup, "/") == 0)
        cgroup = "";
    return take(o, root, controller, cgroup, file) || take(o, root, controller, "", file);
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; *p; p += strcspn(p, ",")) {
        p += *p == ',';
        if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
            return true;
    }
    return false;
}

/* A line is ID:CONTROLLERS:PATH (cgroups(7)); version 2 has ID 0 and no controllers. */
void oom_open(struct oom *o, const char *list, const char *root)
{
    char text[TEXT_MAX], *rest = text;
    const char *v2 = NULL;
    *o = (struct oom){ .path = NULL };
    read_text(list, text);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *id = strsep(&line, ":"), *controllers = strsep(&line, ":");
        if (!id || !controllers || !line)
            continue;
        if (has_word(controllers, "memory") &&
            take_either(o, root, "/memory", line, "memory.oom_control"))
            return;
        if (strcmp(id, "0") == 0 && !*controllers)
            v2 = line;
    }
    if (v2)
        (void)take_either(o, root, "", v2, "memory.events");
}

int64_t oom_kills(const struct oom *o)
{
    int64_t now = o->path ? count_in(o->path) : -1;
    return now > o->before ? now - o->before : 0;
}

void oom_release(struct oom *o)
{
    free(o->path);
    *o = (struct oom){ .path = NULL };
}
