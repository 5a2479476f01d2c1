/* A storm (tests/chaos) that is told to stop in its midst takes all that it has started with it,
 * tasks too, which outlive the programs that started them. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "local/stack/program.h"
#include "shared/base/clock.h"
#include "tests/redis_server.h"

#define LIMIT_MS 120000

/* How many processes have `text` in their command line. */
static int processes_with(const char *text)
{
    static char line[65536];
    int count = 0;
    DIR *proc = opendir("/proc");
    for (const struct dirent *e = proc ? readdir(proc) : NULL; e; e = readdir(proc)) {
        auto_free char *path = mem_printf("/proc/%s/cmdline", e->d_name);
        auto_close int fd =
            e->d_name[0] >= '1' && e->d_name[0] <= '9' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = fd >= 0 ? read(fd, line, sizeof(line)) : -1;
        if (n > 0)
            count += memmem(line, (size_t)n, text, strlen(text)) != NULL;
    }
    if (proc)
        closedir(proc);
    return count;
}

/* BUILD/tests/chaos/NAME, beside this program; the caller's. */
static char *program_of_storm(const char *name)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    cr_assert_gt(n, 0);
    self[n] = '\0';
    for (int i = 0; i < 2; i++)
        *strrchr(self, '/') = '\0';
    return mem_printf("%s/chaos/%s", self, name);
}

static void abort_with(int number)
{
    struct error err;
    char *folder = folder_new("chaos-aborted", &err);
    cr_assert_not_null(folder, "%s", err.msg);
    auto_free char *storm = mem_printf("%s/storm", folder);
    auto_free char *marks = mem_printf("%s/marks", storm);
    auto_free char *log = mem_printf("%s/log", folder);
    const char *dir = getenv("BIN_DIR");
    auto_free char *chaos = program_of_storm("chaos");
    auto_free char *checker = program_of_storm("chaos_check");
    const char *const argv[] = {
        chaos,       "--bin-dir", dir ? dir : "build/bin", "--checker", checker,    "--seed", "7",
        "--seconds", "600",       "--workflows",           "6000",      "--folder", storm,    NULL
    };
    const char *const env[] = { "PATH=/usr/bin:/bin:/usr/local/bin", NULL };
    struct program *p = program_start(argv, env, log, &err);
    cr_assert_not_null(p, "%s", err.msg);
    int64_t until = clock_mono_ms(clock_system()) + LIMIT_MS;
    while (processes_with(marks) == 0 && program_running(p)) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "no task runs: see %s", log);
        clock_sleep_ms(clock_system(), 20);
    }
    cr_assert(program_running(p), "it has ended: see %s", log);
    kill(program_pid(p), number);
    while (program_running(p)) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "it goes on: see %s", log);
        clock_sleep_ms(clock_system(), 20);
    }
    cr_assert_eq(program_stop(p, 0), 128 + number);
    cr_assert_eq(processes_with(storm), 0, "processes are left: pgrep -f %s", storm);
    cr_assert_neq(access(storm, F_OK), 0, "%s is left", storm);
    program_free(p);
    cr_assert_eq(folder_remove(folder, &err), 0, "%s", err.msg);
    free(folder);
}

Test(chaos_aborted, by_a_terminal_or_a_supervisor, .timeout = 300)
{
    if (!redis_server_path()) {
        fprintf(stderr, "skipped: there is no redis-server\n");
        return;
    }
    abort_with(SIGTERM);
    abort_with(SIGINT);
}
