/* ECS of the real local-aws with tasks as containers of a real Docker engine. Skipped where there
 * is none, or no image with a shell. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/local_rig.h"

/* Debian's, since its shell is known; the tests pull nothing. */
#define IMAGE "debian:trixie-slim"

/* What a shell command prints, without the last newline; the caller's. */
static char *said(const char *command)
{
    char text[4096] = "";
    FILE *f = popen(command, "r");
    cr_assert_not_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    cr_assert(pclose(f) != -1);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    return mem_dup(text);
}

static bool skipped(void)
{
    auto_free char *id = said("docker image inspect -f '{{.Id}}' " IMAGE " 2>/dev/null");
    if (*id)
        return false;
    printf("skipped: no Docker engine with an image " IMAGE "\n");
    return true;
}

/* The container of a task. */
static char *name_of(const char *arn)
{
    return mem_printf("local-aws-%s-0", strrchr(arn, '/') + 1);
}

static bool exists(const char *arn)
{
    auto_free char *name = name_of(arn);
    auto_free char *command =
        mem_printf("docker inspect -f '{{.State.Status}}' %s 2>/dev/null", name);
    auto_free char *text = said(command);
    return *text;
}

/* Waits until its command has made the file /ready. */
static void await_ready(const char *arn)
{
    auto_free char *name = name_of(arn);
    auto_free char *command = mem_printf("docker exec %s ls /ready 2>/dev/null", name);
    for (int i = 0; i < SOON_MS / 100; i++) {
        auto_free char *text = said(command);
        if (*text)
            return;
        usleep(100000);
    }
    cr_assert_fail("the container of %s is not ready", arn);
}

static void expect_removed(const char *arn)
{
    for (int i = 0; i < SOON_MS / 100 && exists(arn); i++)
        usleep(100000);
    cr_assert_not(exists(arn), "the container of %s is still there", arn);
}

static void docker(const char *words, const char *arn)
{
    auto_free char *name = name_of(arn);
    auto_free char *command = mem_printf("docker %s %s >/dev/null", words, name);
    cr_assert_eq(system(command), 0, "%s", command);
}

Test(local_docker, runs_a_container_keeps_its_output_and_removes_it)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, IMAGE);
    auto_free char *arn = local_rig_run(
        &r, "cat /etc/debian_version; echo $FROM $WORD $HOME; echo e >&2; exit 3", "");
    auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
    cr_assert_eq(json_get_int(local_rig_container(task), "exitCode", -1), 3);
    cr_assert_str_eq(json_get_str(task, "stopCode"), "EssentialContainerExited");
    double created = json_get_double(task, "createdAt", 0),
           started = json_get_double(task, "startedAt", 0),
           stopped = json_get_double(task, "stoppedAt", 0);
    /* Its clock is the engine's. */
    cr_assert(created > 1e9 && started > created - 5 && stopped + 5 > started);
    auto_free char *text = local_rig_output(&r, arn, "definition w o r d");
    cr_assert_not_null(strstr(text, "13"), "%s", text);
    cr_assert_null(strstr(text, "/state/tasks"), "HOME is the image's: %s", text);
    expect_removed(arn);
    local_rig_end(&r);
}

Test(local_docker, stops_with_sigterm_then_sigkill)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, IMAGE);
    auto_free char *soft = local_rig_run(
                       &r, "trap 'exit 7' TERM; : >/ready; while :; do sleep 0.1; done", ""),
                   *hard = local_rig_run(&r, "trap '' TERM; : >/ready; while :; do sleep 0.1; done",
                                         "");
    json_object_put(local_rig_until(&r, soft, "RUNNING"));
    json_object_put(local_rig_until(&r, hard, "RUNNING"));
    await_ready(
        soft); /* the first process of a container knows no signal that it has no trap for */
    await_ready(hard);
    local_rig_stop(&r, soft);
    local_rig_stop(&r, hard);
    local_rig_expect_exit(&r, soft, 7, "UserInitiated");
    local_rig_expect_exit(&r, hard, 137, "UserInitiated");
    expect_removed(soft);
    expect_removed(hard);
    local_rig_end(&r);
}

Test(local_docker, notices_containers_that_others_kill_or_remove)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, IMAGE);
    auto_free char *killed = local_rig_run(&r, "exec sleep 300", ""),
                   *removed = local_rig_run(&r, "exec sleep 300", "");
    json_object_put(local_rig_until(&r, killed, "RUNNING"));
    json_object_put(local_rig_until(&r, removed, "RUNNING"));
    docker("kill", killed);
    docker("rm -f", removed);
    local_rig_expect_exit(&r, killed, 137, "EssentialContainerExited");
    local_rig_expect_exit(&r, removed, 137, "EssentialContainerExited");
    local_rig_end(&r);
}

Test(local_docker, tells_an_image_that_cannot_be_had)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, "localhost:1/no/such-image:1");
    auto_free char *arn = local_rig_run(&r, "true", "");
    auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
    cr_assert_str_eq(json_get_str(task, "stopCode"), "TaskFailedToStart");
    const char *reason = json_get_str(task, "stoppedReason");
    cr_assert_eq(strncmp(reason, "CannotPullContainerError: ", 26), 0, "%s", reason);
    cr_assert_str_eq(json_get_str(local_rig_container(task), "reason"), reason);
    cr_assert_null(json_get(local_rig_container(task), "exitCode"));
    expect_removed(arn);
    local_rig_end(&r);
}

Test(local_docker, tells_a_command_that_cannot_be_started)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, IMAGE);
    auto_json struct json_object *o = local_rig_must(
        &r, "RunTask",
        "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"overrides\":{"
        "\"containerOverrides\":[{\"name\":\"job\",\"command\":[\"/no/such/command\"]}]}}");
    const char *arn =
        json_get_str(json_object_array_get_idx(json_get_arr(o, "tasks"), 0), "taskArn");
    auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
    cr_assert_str_eq(json_get_str(task, "stopCode"), "TaskFailedToStart");
    const char *reason = json_get_str(local_rig_container(task), "reason");
    cr_assert_eq(strncmp(reason, "CannotStartContainerError: ", 27), 0, "%s", reason);
    cr_assert_not_null(strstr(reason, "/no/such/command"), "%s", reason);
    expect_removed(arn);
    local_rig_end(&r);
}

Test(local_docker, tells_a_container_that_was_out_of_memory)
{
    struct local_rig r;
    if (skipped())
        return;
    auto_free char *limits = said("docker info -f '{{.MemoryLimit}}' 2>/dev/null");
    if (strcmp(limits, "true") != 0) {
        printf("skipped: this Docker engine cannot limit memory\n");
        return;
    }
    local_rig_begin_docker(&r, IMAGE);
    auto_json struct json_object *o = local_rig_must(
        &r, "RunTask",
        "{\"cluster\":\"local\",\"taskDefinition\":\"job\",\"overrides\":{\"memory\":\"32\","
        "\"containerOverrides\":[{\"name\":\"job\",\"command\":[\"sh\",\"-c\","
        "\"x=a; while :; do x=$x$x; done\"]}]}}");
    const char *arn =
        json_get_str(json_object_array_get_idx(json_get_arr(o, "tasks"), 0), "taskArn");
    auto_json struct json_object *task = local_rig_until(&r, arn, "STOPPED");
    cr_assert_eq(json_get_int(local_rig_container(task), "exitCode", -1), 137);
    const char *reason = json_get_str(local_rig_container(task), "reason");
    cr_assert(reason && strncmp(reason, "OutOfMemoryError: ", 18) == 0, "%s",
              reason ? reason : "no reason");
    local_rig_end(&r);
}

Test(local_docker, finds_its_containers_after_kill_9)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, IMAGE);
    auto_free char *runs = local_rig_run(&r, "trap 'exit 6' TERM; while :; do sleep 0.1; done", ""),
                   *ends = local_rig_run(&r, "sleep 1; exit 5", ""),
                   *vanishes = local_rig_run(&r, "exec sleep 300", "");
    json_object_put(local_rig_until(&r, runs, "RUNNING"));
    json_object_put(local_rig_until(&r, ends, "RUNNING"));
    json_object_put(local_rig_until(&r, vanishes, "RUNNING"));
    program_kill(r.program);
    docker("wait", ends);
    docker("rm -f", vanishes);
    local_rig_restart(&r);
    local_rig_expect_exit(&r, ends, 5, "EssentialContainerExited");
    local_rig_expect_exit(&r, vanishes, 137, "EssentialContainerExited");
    auto_json struct json_object *task = local_rig_describe(&r, runs);
    cr_assert_str_eq(json_get_str(task, "lastStatus"), "RUNNING");
    local_rig_stop(&r, runs);
    local_rig_expect_exit(&r, runs, 6, "UserInitiated");
    expect_removed(runs);
    local_rig_end(&r);
}

Test(local_docker, begins_what_was_asked_for_just_before_kill_9)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, IMAGE);
    char *arns[8];
    /* Killed while they are made and started: each runs once all the same. */
    for (int i = 0; i < 8; i++)
        arns[i] = local_rig_run(&r, "echo once; exec sleep 0.2", "");
    program_kill(r.program);
    local_rig_restart(&r);
    for (int i = 0; i < 8; i++) {
        local_rig_expect_exit(&r, arns[i], 0, "EssentialContainerExited");
        auto_free char *text = local_rig_output(&r, arns[i], "once");
        cr_assert_str_eq(text, "once\n");
        free(arns[i]);
    }
    local_rig_end(&r);
}

Test(local_docker, takes_its_containers_along_when_it_is_told_to_stop)
{
    struct local_rig r;
    if (skipped())
        return;
    local_rig_begin_docker(&r, IMAGE);
    auto_free char *arn = local_rig_run(&r, "exec sleep 300", "");
    json_object_put(local_rig_until(&r, arn, "RUNNING"));
    local_rig_end(&r);
    expect_removed(arn);
}
