/* Much of everything: bytes, processes; and streams that are closed or have no room. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/integration/fake_receiver.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define PATIENCE  300000
#define MANY      100000000

Test(callback_run_load, a_hundred_megabytes_pass_unchanged)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    /* Random bytes, and behind them lines: none is lost, none is changed. */
    job_start(&j, &(struct job_setup){ .port = fake_port(f) },
              "head -c 90000000 /dev/urandom >$FOLDER/bytes; seq 1000000 1999999 | head -c "
              "10000000 >>$FOLDER/bytes; cat $FOLDER/bytes; echo; echo '\"end\"'");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 0);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "\"end\"");
    auto_free char *bytes = job_file(&j, "bytes");
    struct stat st;
    auto_free char *path = mem_printf("%s/bytes", j.folder);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_geq(st.st_size, 97000000);
    cr_assert_eq(j.out_len, (size_t)st.st_size + 7);
    cr_assert_eq(memcmp(j.out, bytes, (size_t)st.st_size), 0);
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_load, a_hundred_megabytes_through_a_pipe_to_a_slow_reader)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    job_start(&j,
              &(struct job_setup){ .port = fake_port(f),
                                   .shell = "\"$@\" | { sleep 0.5; cksum; }; exit 0" },
              "yes 0123456789abcde | head -c 100000000; echo end");
    job_wait(&j, PATIENCE);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "end");
    struct job direct;
    job_start(&direct,
              &(struct job_setup){ .port = fake_port(f), .options = LIST("--result=none") },
              "{ yes 0123456789abcde | head -c 100000000; echo end; } | cksum");
    job_wait(&direct, PATIENCE);
    cr_assert_str_eq(j.out, direct.out, "the same bytes as without it");
    job_release(&direct);
    job_release(&j);
    fake_stop(f);
}

/* Ten thousand processes that end as orphans: their parents have ended before. */
Test(callback_run_load, ten_thousand_grandchildren_leave_no_zombie)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = fake_port(f) },
              "i=0; while [ $i -lt 10000 ]; do (: &); i=$((i+1)); done; "
              "n=1; while [ $n -gt 0 ]; do n=$(cat /proc/[0-9]*/stat 2>/dev/null | "
              "grep -c \") Z $PPID \"); sleep 0.05; done; echo $n");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "0");
    cr_assert_eq(fake_count(f, NULL), 1);
    job_release(&j);
    fake_stop(f);
}

/* A tree of processes that each have left the group and heed no signal. */
Test(callback_run_load, nothing_is_left_behind)
{
    struct fake *f = fake_start(0, NULL, NULL);
    struct job j;
    job_start(
        &j, &(struct job_setup){ .port = fake_port(f) },
        "for i in 1 2 3 4 5 6 7 8; do setsid sh -c 'trap \"\" TERM; (setsid sh -c \"trap : "
        "TERM HUP; echo \\$\\$ >>$FOLDER/pids; while :; do sleep 0.2; done\" & wait)' & done; "
        "while [ $(cat $FOLDER/pids 2>/dev/null | wc -l) -lt 8 ]; do sleep 0.05; done; echo "
        "started");
    job_wait(&j, PATIENCE);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "started");
    auto_free char *pids = job_file(&j, "pids");
    int n = 0;
    for (char *rest = pids, *line; (line = strsep(&rest, "\n")) != NULL && *line; n++)
        cr_assert_not(alive((pid_t)strtol(line, NULL, 10)), "%s is alive", line);
    cr_assert_eq(n, 8);
    job_release(&j);
    fake_stop(f);
}

Test(callback_run_load, closed_streams)
{
    static const char *const shells[] = { "\"$@\" <&-", "\"$@\" <&- 2>&-", "\"$@\" </dev/null" };
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        job_start(&j, &(struct job_setup){ .port = fake_port(f), .shell = shells[i] },
                  "read line; echo \"<$line>\"; seq 100000; echo end");
        job_wait(&j, PATIENCE);
        cr_assert_eq(j.status, 0, "%s: %s", shells[i], j.err);
        cr_assert_str_eq(fake_get(f, "success", 0)->body, "end");
        cr_assert_eq(j.out_len, 3 + 588895 + 4, "%zu", j.out_len);
        job_release(&j);
        fake_stop(f);
    }
}

/* ---- a full disk ----------------------------------------------------------------------------- */

/* A file system of 256 KiB, or NULL with the reason printed. */
static char *small_disk(void)
{
    char path[] = "/tmp/test-callback-run-disk-XXXXXX";
    cr_assert_not_null(mkdtemp(path));
    if (mount("none", path, "tmpfs", 0, "size=256k,mode=0777") == 0)
        return mem_dup(path);
    rmdir(path);
    fprintf(stderr, "skipped: a full disk: a tmpfs cannot be mounted here\n");
    return NULL;
}

static void remove_disk(char *path)
{
    cr_assert_eq(umount2(path, MNT_DETACH), 0);
    rmdir(path);
}

Test(callback_run_load, a_full_disk_under_the_output_loses_no_result)
{
    static const char *const shells[] = { "\"$@\" >/dev/full", "\"$@\" >/dev/full 2>/dev/full",
                                          "\"$@\" >$DISK/out" };
    auto_free char *disk = small_disk();
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (strstr(shells[i], "DISK") && !disk)
            continue;
        struct fake *f = fake_start(0, NULL, NULL);
        struct job j;
        auto_free char *var = mem_printf("DISK=%s", disk ? disk : "");
        job_start(
            &j, &(struct job_setup){ .port = fake_port(f), .shell = shells[i], .vars = LIST(var) },
            "seq 1 200000; echo '\"the result\"'");
        job_wait(&j, PATIENCE);
        cr_assert_eq(j.status, 0, "%s: %d %s", shells[i], j.status, j.err);
        cr_assert_str_eq(fake_get(f, "success", 0)->body, "\"the result\"");
        if (!strstr(shells[i], "2>"))
            cr_assert(strstr(j.err, "output_lost"), "%s", j.err);
        job_release(&j);
        fake_stop(f);
    }
    if (disk)
        remove_disk(disk);
}

Test(callback_run_load, a_full_disk_under_the_temporary_folder)
{
    auto_free char *disk = small_disk();
    if (!disk)
        return;
    auto_free char *input = mem_alloc(500003);
    memset(input, 'x', 500002);
    input[0] = input[500001] = '"';
    struct fake *f = fake_start(0, NULL, input);
    auto_free char *shell = mem_printf("TMPDIR=%s \"$@\"", disk);
    struct job j;
    /* The input does not fit: without it, and said so; required, it is a failure. */
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .shell = shell },
              "echo \"<$CALLBACK_INPUT_FILE>\"");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 0, "%s", j.err);
    cr_assert_str_eq(fake_get(f, "success", 0)->body, "<>");
    cr_assert(strstr(j.err, "started_without_input") && strstr(j.err, "No space left"), "%s",
              j.err);
    job_release(&j);
    job_start(&j,
              &(struct job_setup){
                  .port = fake_port(f), .shell = shell, .options = LIST("--require-input") },
              "echo never");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 74, "%s", j.err);
    cr_assert(strstr(fake_get(f, "failure", 0)->body, "No space left"));
    job_release(&j);
    fake_stop(f);
    remove_disk(disk);
}

Test(callback_run_load, a_report_is_kept_where_there_is_room)
{
    auto_free char *disk = small_disk();
    if (!disk)
        return;
    const struct fake_rule away[] = { { "success", 1, 0, 400, NULL }, { NULL, 0, 0, 0, NULL } };
    struct fake *f = fake_start(0, away, NULL);
    auto_free char *shell = mem_printf("TMPDIR=%s \"$@\"", disk);
    struct job j;
    job_start(&j, &(struct job_setup){ .port = fake_port(f), .shell = shell },
              "head -c 1000000 /dev/zero >$TMPDIR/full; head -c 100000 /dev/zero | tr '\\0' y");
    job_wait(&j, PATIENCE);
    cr_assert_eq(j.status, 74, "%s", j.err);
    const char *saved = strstr(j.err, "\"savedTo\":\"");
    cr_assert_not_null(saved, "%s", j.err);
    saved += strlen("\"savedTo\":\"");
    auto_free char *path = mem_dup_len(saved, strcspn(saved, "\""));
    struct stat st;
    cr_assert(strncmp(path, disk, strlen(disk)) != 0, "%s", path);
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    cr_assert_gt(st.st_size, 100000);
    cr_assert_eq(st.st_mode & 0777, 0600);
    unlink(path);
    job_release(&j);
    fake_stop(f);
    remove_disk(disk);
}
