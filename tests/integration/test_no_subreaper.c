/* Where the kernel does not hand orphans to whom they are due, as under an emulator of another
 * processor: jobs run all the same. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/integration/world.h"

/* For this process and all that it starts. False, with the reason printed: not to be had here. */
static bool refuse_subreapers(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_CHILD_SUBREAPER, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = { .len = ARRAY_LEN(steps), .filter = steps };
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
        printf("skipped: no seccomp filter: %s\n", strerror(errno));
        return false;
    }
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), -1);
    return true;
}

Test(no_subreaper, jobs_run_all_the_same, .timeout = 180)
{
    struct world w;
    struct facts good = { 0 }, bad = { 0 };
    if (!refuse_subreapers())
        return;
    world_start(&w, NULL);
    auto_free char *succeeds =
        world_post(&w, "{\"pattern\":\"callback\",\"task\":{\"command\":[\"echo\",\"42\"]}}");
    auto_free char *fails =
        world_post(&w, "{\"pattern\":\"callback\",\"task\":{\"command\":[\"sh\",\"-c\",\"sleep 0 & "
                       "exit 3\"]}}");
    world_expect(&w, succeeds, "SUCCEEDED", NULL, &good);
    world_expect(&w, fails, "FAILED", "Task.ExitCode", &bad);
    cr_assert_str_eq(good.result, "42");
    facts_release(&good);
    facts_release(&bad);
    world_stop(&w);
}
