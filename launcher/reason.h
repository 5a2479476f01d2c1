/* reason.h - why a task ended, or was never started: ECS's words turned into one failure type.
 *
 *   Task.ImagePull         the image could not be had
 *   Task.Capacity          no room, address or host for it: worth another try later
 *   Task.StartFailed       it could not start for another reason
 *   Task.SpotInterruption  AWS took the capacity back
 *   Task.StoppedByUser     somebody called StopTask
 *   Task.Infrastructure    the host failed
 *   Task.OutOfMemory       the container was ended for its use of memory
 *   Task.Signal            ended by a signal (exit code 129 to 192 is 128 + signal)
 *   Task.ExitCode          ended with another exit code than 0
 *   Task.NoReport          ended with 0, or nobody can say how, and sent no report
 *
 * Only the container that is the job is judged, never a sidecar, and an empty `containers` list is
 * no obstacle.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html Pure,
 * any thread with objects of its own. */
#ifndef LAUNCHER_REASON_H
#define LAUNCHER_REASON_H

#include <json-c/json.h>
#include <stdbool.h>

enum reason_state {
    REASON_RUNNING, /* or not running yet */
    REASON_ENDING,  /* on its way to the end; how it ended is not known yet */
    REASON_ENDED
};

struct reason {
    enum reason_state state;
    const char *type;  /* static; NULL unless REASON_ENDED */
    char message[512]; /* for people; "" unless REASON_ENDED */
    int exit_code;     /* of the container; -1: none */
    int signal;        /* 0: none */
    char status[32];   /* lastStatus */
    char stop_code[64];
    char text[256]; /* stoppedReason, and the container's own reason where it has one */
};

/* Judges an ECS Task object. `container` is the job's name. Never fails: what is missing counts as
 * unknown. */
void reason_judge(struct json_object *task, const char *container, struct reason *out);
/* The type for a start that ECS refused for `text`: Task.Capacity or Task.StartFailed. `code` is
 * the error code, or "" for an entry of failures[]. */
const char *reason_refusal(const char *code, const char *text);
/* "SIGKILL" for 9; "signal 70" for one without a name of its own, in `out`. */
void reason_signal_name(int signal, char out[32]);

#endif
