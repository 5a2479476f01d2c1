#include "launcher/reason.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/json.h"

#define JOB(members)  "\"containers\":[{\"name\":\"job\"," members "}]"
#define STOPPED(code) "{\"lastStatus\":\"STOPPED\",\"stopCode\":\"" code "\","
#define EXITED                                                                                     \
    STOPPED("EssentialContainerExited")                                                            \
    "\"stoppedReason\":\"Essential container in task exited\","

static const struct {
    const char *task;
    enum reason_state state;
    const char *type;
    int exit_code;
    int signal;
} tasks[] = {
    /* not ended */
    { "{\"lastStatus\":\"PENDING\",\"containers\":[]}", REASON_RUNNING, NULL, -1, 0 },
    { "{\"lastStatus\":\"PROVISIONING\"}", REASON_RUNNING, NULL, -1, 0 },
    { "{\"lastStatus\":\"RUNNING\"," JOB("\"lastStatus\":\"RUNNING\"") "}", REASON_RUNNING, NULL,
      -1, 0 },
    { "{}", REASON_RUNNING, NULL, -1, 0 },
    { "{\"lastStatus\":\"RUNNING\",\"desiredStatus\":\"STOPPED\"}", REASON_ENDING, NULL, -1, 0 },
    { "{\"lastStatus\":\"DEACTIVATING\",\"containers\":[]}", REASON_ENDING, NULL, -1, 0 },
    /* ended, although the task's own state lags */
    { "{\"lastStatus\":\"DEPROVISIONING\"," JOB("\"exitCode\":3") "}", REASON_ENDED,
      "Task.ExitCode", 3, 0 },
    /* exit codes and signals */
    { EXITED JOB("\"exitCode\":0") "}", REASON_ENDED, "Task.NoReport", 0, 0 },
    { EXITED JOB("\"exitCode\":1") "}", REASON_ENDED, "Task.ExitCode", 1, 0 },
    { EXITED JOB("\"exitCode\":128") "}", REASON_ENDED, "Task.ExitCode", 128, 0 },
    { EXITED JOB("\"exitCode\":137") "}", REASON_ENDED, "Task.Signal", 137, 9 },
    { EXITED JOB("\"exitCode\":139") "}", REASON_ENDED, "Task.Signal", 139, 11 },
    { EXITED JOB("\"exitCode\":192") "}", REASON_ENDED, "Task.Signal", 192, 64 },
    { EXITED JOB("\"exitCode\":255") "}", REASON_ENDED, "Task.ExitCode", 255, 0 },
    /* out of memory comes as 137 too: the reason tells */
    { EXITED JOB("\"exitCode\":137,\"reason\":\"OutOfMemoryError: Container killed due to memory "
                 "usage\"") "}",
      REASON_ENDED, "Task.OutOfMemory", 137, 9 },
    { STOPPED(
          "EssentialContainerExited") "\"stoppedReason\":\"OutOfMemoryError: container killed\","
                                      "\"containers\":[]}",
      REASON_ENDED, "Task.OutOfMemory", -1, 0 },
    /* only the named container counts */
    { EXITED
      "\"containers\":[{\"name\":\"proxy\",\"exitCode\":1},{\"name\":\"job\",\"exitCode\":0}]"
      "}",
      REASON_ENDED, "Task.NoReport", 0, 0 },
    { EXITED "\"containers\":[{\"name\":\"proxy\",\"exitCode\":1,\"reason\":\"OutOfMemoryError\"},"
             "{\"name\":\"job\",\"exitCode\":143}]}",
      REASON_ENDED, "Task.Signal", 143, 15 },
    { "{\"lastStatus\":\"RUNNING\",\"containers\":[{\"name\":\"proxy\",\"exitCode\":1},{\"name\":"
      "\"job\"}]}",
      REASON_RUNNING, NULL, -1, 0 },
    /* nothing known of containers */
    { EXITED "\"containers\":[]}", REASON_ENDED, "Task.NoReport", -1, 0 },
    { EXITED "\"containers\":null}", REASON_ENDED, "Task.NoReport", -1, 0 },
    { "{\"lastStatus\":\"STOPPED\"}", REASON_ENDED, "Task.NoReport", -1, 0 },
    { "{\"lastStatus\":\"DELETED\"}", REASON_ENDED, "Task.NoReport", -1, 0 },
    /* never started */
    { STOPPED("TaskFailedToStart") "\"stoppedReason\":\"CannotPullContainerError: pull image "
                                   "manifest has been retried 1 time(s)\"}",
      REASON_ENDED, "Task.ImagePull", -1, 0 },
    { STOPPED("TaskFailedToStart") "\"stoppedReason\":\"Task failed to start\"," JOB(
          "\"reason\":\"CannotPullImageManifestError: no such manifest\"") "}",
      REASON_ENDED, "Task.ImagePull", -1, 0 },
    { STOPPED("TaskFailedToStart") "\"stoppedReason\":\"RESOURCE:MEMORY\",\"containers\":[]}",
      REASON_ENDED, "Task.Capacity", -1, 0 },
    { STOPPED("TaskFailedToStart") "\"stoppedReason\":\"AGENT\"}", REASON_ENDED, "Task.Capacity",
      -1, 0 },
    { STOPPED(
          "TaskFailedToStart") "\"stoppedReason\":\"Capacity is unavailable at this time. Please "
                               "try again later\"}",
      REASON_ENDED, "Task.Capacity", -1, 0 },
    { STOPPED(
          "TaskFailedToStart") "\"stoppedReason\":\"ResourceInitializationError: unable to pull "
                               "secrets: the agent\"}",
      REASON_ENDED, "Task.StartFailed", -1, 0 },
    { STOPPED("EssentialContainerExited") JOB("\"reason\":\"CannotStartContainerError: exec "
                                              "format\"") "}",
      REASON_ENDED, "Task.StartFailed", -1, 0 },
    /* a stop from outside, whatever the exit code says */
    { STOPPED("UserInitiated") "\"stoppedReason\":\"by hand\"," JOB("\"exitCode\":143") "}",
      REASON_ENDED, "Task.StoppedByUser", 143, 15 },
    { STOPPED("SpotInterruption") JOB("\"exitCode\":137") "}", REASON_ENDED,
      "Task.SpotInterruption", 137, 9 },
    { STOPPED("TerminationNotice") "\"containers\":[]}", REASON_ENDED, "Task.SpotInterruption", -1,
      0 },
    { STOPPED("InfrastructureHealth") "\"containers\":[]}", REASON_ENDED, "Task.Infrastructure", -1,
      0 },
    /* wrong types are unknown values */
    { "{\"lastStatus\":7,\"stopCode\":[],\"containers\":{\"name\":\"job\"}}", REASON_RUNNING, NULL,
      -1, 0 },
    { EXITED "\"containers\":[7,null,{\"name\":\"job\",\"exitCode\":\"3\"}]}", REASON_ENDED,
      "Task.NoReport", -1, 0 },
    { EXITED JOB("\"exitCode\":-5") "}", REASON_ENDED, "Task.NoReport", -1, 0 },
};

Test(reason, judges_a_task)
{
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        struct error err;
        struct reason r;
        auto_json struct json_object *task = NULL;
        cr_assert_eq(json_parse_str(tasks[i].task, &task, &err), 0, "%s", tasks[i].task);
        reason_judge(task, "job", &r);
        cr_expect_eq(r.state, tasks[i].state, "%s: %d", tasks[i].task, (int)r.state);
        if (tasks[i].type)
            cr_expect_str_eq(r.type, tasks[i].type, "%s: %s", tasks[i].task, r.type);
        else
            cr_expect_null(r.type, "%s: %s", tasks[i].task, r.type);
        cr_expect_eq(!r.message[0], !tasks[i].type, "%s: %s", tasks[i].task, r.message);
        cr_expect_eq(r.exit_code, tasks[i].exit_code, "%s: %d", tasks[i].task, r.exit_code);
        cr_expect_eq(r.signal, tasks[i].signal, "%s: %d", tasks[i].task, r.signal);
    }
}

Test(reason, says_it_for_people)
{
    struct error err;
    struct reason r;
    auto_json struct json_object *task = NULL;
    cr_assert_eq(json_parse_str(EXITED JOB("\"exitCode\":137") "}", &task, &err), 0);
    reason_judge(task, "job", &r);
    cr_expect_str_eq(r.message,
                     "the container was ended by signal 9 (SIGKILL): Essential container "
                     "in task exited");
    cr_expect_str_eq(r.stop_code, "EssentialContainerExited");
    cr_expect_str_eq(r.status, "STOPPED");
}

Test(reason, takes_no_task_at_all)
{
    struct reason r;
    reason_judge(NULL, "job", &r);
    cr_expect_eq(r.state, REASON_RUNNING);
}

Test(reason, cuts_long_reasons_between_characters)
{
    auto_buf struct buf b = BUF_INIT(100000);
    buf_add_str(&b, "{\"lastStatus\":\"STOPPED\",\"stoppedReason\":\"x");
    for (int i = 0; i < 2000; i++)
        buf_add_str(&b, "\xc3\xa9");
    buf_add_str(&b, "\"}");
    struct error err;
    struct reason r;
    auto_json struct json_object *task = NULL;
    cr_assert_eq(json_parse_str(buf_str(&b), &task, &err), 0);
    reason_judge(task, "job", &r);
    cr_expect_eq(strlen(r.text), 255);
    cr_expect_eq((unsigned char)r.text[254], 0xa9);
}

Test(reason, tells_capacity_from_other_refusals)
{
    static const struct {
        const char *code;
        const char *text;
        const char *type;
    } table[] = {
        { "", "RESOURCE:CPU", "Task.Capacity" },
        { "", "RESOURCE:ENI", "Task.Capacity" },
        { "", "AGENT", "Task.Capacity" },
        { "",
          "Capacity is unavailable at this time. Please try again later or in a different "
          "availability zone",
          "Task.Capacity" },
        { "ClientException", "You've reached the limit on the number of vCPUs you can run",
          "Task.Capacity" },
        { "LimitExceededException", "too many tasks", "Task.Capacity" },
        { "", "ATTRIBUTE", "Task.StartFailed" },
        { "", "LOCATION", "Task.StartFailed" },
        { "ClientException", "TaskDefinition not found.", "Task.StartFailed" },
        { "InvalidParameterException", "Override for container named job is not a container",
          "Task.StartFailed" },
        { "BlockedException", "Your account is blocked: contact an agent", "Task.StartFailed" },
        { "", "", "Task.StartFailed" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        cr_expect_str_eq(reason_refusal(table[i].code, table[i].text), table[i].type, "%s %s",
                         table[i].code, table[i].text);
}

Test(reason, names_signals)
{
    char name[32];
    reason_signal_name(15, name);
    cr_expect_str_eq(name, "SIGTERM");
    reason_signal_name(64, name);
    cr_expect_str_eq(name, "signal 64");
    reason_signal_name(0, name);
    cr_expect_str_eq(name, "signal 0");
}
