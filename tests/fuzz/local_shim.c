/* status.json in a task's folder, which the task can write to: a status or an error, and what was
 * read is written and read again as the same. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "local/shim.h"
#include "shared/base/mem.h"
#include "tests/fuzz/fuzz.h"

static char folder[64];

static void leave(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/status.json", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_again(const struct shim_status *s)
{
    struct shim_status back = { 0 };
    struct error err = { 0 };
    FUZZ_MUST(shim_status_write(folder, s, &err) == 0);
    FUZZ_MUST(shim_status_read(folder, &back, &err) == 1);
    FUZZ_MUST(back.count == s->count && back.over == s->over);
    for (size_t i = 0; i < s->count; i++) {
        const struct shim_container *a = &s->containers[i], *b = &back.containers[i];
        FUZZ_MUST(same(a->name, b->name) && same(a->error, b->error) && a->pid == b->pid);
    }
    shim_status_release(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shim_status s = { 0 };
    struct error err = { 0 };
    if (!folder[0]) {
        memcpy(folder, "/tmp/fuzz-shim-XXXXXX", sizeof("/tmp/fuzz-shim-XXXXXX"));
        FUZZ_MUST(mkdtemp(folder) && atexit(leave) == 0);
    }
    FUZZ_MUST(shim_file_write(folder, "status.json", data, size, &err) == 0);
    int rc = shim_status_read(folder, &s, &err);
    FUZZ_MUST(rc == 1 || (rc == -1 && err.msg[0]));
    if (rc == 1)
        check_again(&s);
    shim_status_release(&s);
    return 0;
}
