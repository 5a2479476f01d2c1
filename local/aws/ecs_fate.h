/* ecs_fate.h - what a test may order to become of a task (faults.h, action "task"). Pure; any
 * thread. */
#ifndef LOCAL_AWS_ECS_FATE_H
#define LOCAL_AWS_ECS_FATE_H

#include <stdbool.h>

enum ecs_fate {
    ECS_FATE_NONE,
    ECS_FATE_NO_CAPACITY,  /* RunTask answers with a failure, there is no task */
    ECS_FATE_NEVER_STARTS, /* it stays in PROVISIONING until somebody stops it */
    ECS_FATE_IMAGE_PULL,   /* STOPPED without having run: its image could not be pulled */
    ECS_FATE_SPOT,         /* from here on after a while of running: capacity was taken back */
    ECS_FATE_OUT_OF_MEMORY,
    ECS_FATE_NO_CONTAINER, /* its host is lost: STOPPED, and no container is listed any more */
    ECS_FATE_STOPPED,      /* somebody stops it */
};

/* "no-capacity", "never-starts", "image-pull", "spot", "out-of-memory", "no-container",
 * "stopped-by-user"; -1 for any other word. */
int ecs_fate_parse(const char *word, enum ecs_fate *out);
/* The word, "" for ECS_FATE_NONE; static. */
const char *ecs_fate_word(enum ecs_fate fate);
/* It comes over a task that runs. */
bool ecs_fate_strikes(enum ecs_fate fate);
/* As ECS words it where the test orders nothing else; static, NULL where there is no such thing. */
const char *ecs_fate_code(enum ecs_fate fate);   /* stopCode */
const char *ecs_fate_reason(enum ecs_fate fate); /* stoppedReason, a container's or a failure's */

#endif
