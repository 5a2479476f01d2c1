#include "local/aws/ecs_fate.h"

#include <stddef.h>
#include <string.h>

#include "shared/base/mem.h"

/* The words of ECS: "Stopped tasks error messages" and "API failure reasons" of its developer
 * guide. */
static const struct {
    const char *word;
    const char *code;
    const char *reason;
} FATES[] = {
    [ECS_FATE_NONE] = { "", NULL, NULL },
    [ECS_FATE_NO_CAPACITY] = { "no-capacity", NULL,
                               "Capacity is unavailable at this time. Please try again later or in "
                               "a different availability zone" },
    [ECS_FATE_NEVER_STARTS] = { "never-starts", NULL, NULL },
    [ECS_FATE_IMAGE_PULL] = { "image-pull", "TaskFailedToStart",
                              "CannotPullContainerError: pull image manifest has been retried 1 "
                              "time(s): failed to resolve ref docker.io/library/job:latest: not "
                              "found" },
    [ECS_FATE_SPOT] = { "spot", "SpotInterruption", "Your Spot Task was interrupted." },
    [ECS_FATE_OUT_OF_MEMORY] = { "out-of-memory", NULL,
                                 "OutOfMemoryError: Container killed due to memory usage" },
    [ECS_FATE_NO_CONTAINER] = { "no-container", "TerminationNotice",
                                "Host EC2 (instance i-0123456789abcdef0) terminated." },
    [ECS_FATE_STOPPED] = { "stopped-by-user", "UserInitiated", "Task stopped by user" },
};

int ecs_fate_parse(const char *word, enum ecs_fate *out)
{
    for (size_t i = ECS_FATE_NONE + 1; i < ARRAY_LEN(FATES); i++)
        if (strcmp(FATES[i].word, word) == 0) {
            *out = (enum ecs_fate)i;
            return 0;
        }
    return -1;
}

const char *ecs_fate_word(enum ecs_fate fate)
{
    return FATES[fate].word;
}

bool ecs_fate_strikes(enum ecs_fate fate)
{
    return fate >= ECS_FATE_SPOT;
}

const char *ecs_fate_code(enum ecs_fate fate)
{
    return FATES[fate].code;
}

const char *ecs_fate_reason(enum ecs_fate fate)
{
    return FATES[fate].reason;
}
