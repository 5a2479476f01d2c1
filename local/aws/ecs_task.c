#include "local/aws/ecs_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"

static const char *const STATES[] = { "PROVISIONING", "PENDING",        "RUNNING", "DEACTIVATING",
                                      "STOPPING",     "DEPROVISIONING", "STOPPED" };

const char *ecs_state_name(enum ecs_state state)
{
    return STATES[state];
}

struct ecs_task *ecs_task_new(int64_t now_ms)
{
    struct ecs_task *t = mem_alloc(sizeof(*t));
    uint8_t bytes[(ECS_TASK_ID - 1) / 2];
    random_bytes(bytes, sizeof(bytes));
    encode_hex(t->id, bytes, sizeof(bytes));
    t->created_ms = now_ms;
    t->version = 1;
    return t;
}

void ecs_task_free(struct ecs_task *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->container_count; i++) {
        free(t->containers[i].name);
        free(t->containers[i].reason);
    }
    free(t->containers);
    free(t->cluster);
    free(t->family);
    free(t->started_by);
    free(t->group);
    free(t->launch_type);
    free(t->capacity_provider);
    free(t->cpu);
    free(t->memory);
    free(t->stop_code);
    free(t->stopped_reason);
    free(t->fate_code);
    free(t->fate_reason);
    json_object_put(t->overrides);
    json_object_put(t->tags);
    json_object_put(t->spec);
    free(t);
}

const char *ecs_task_fate_reason(const struct ecs_task *t)
{
    return t->fate_reason ? t->fate_reason : ecs_fate_reason(t->fate);
}

const char *ecs_task_fate_code(const struct ecs_task *t)
{
    return t->fate_code ? t->fate_code : ecs_fate_code(t->fate);
}

/* ---- states -----------------------------------------------------------------------------------*/

static void move(struct ecs_task *t, enum ecs_state state)
{
    t->state = state;
    t->version++;
}

static void end_by(struct ecs_task *t, const char *code, const char *reason, int64_t now_ms)
{
    if (!t->stop_code) {
        t->stop_code = mem_dup(code);
        t->stopped_reason = mem_dup(reason);
    }
    if (!t->stopping_ms)
        t->stopping_ms = now_ms;
    t->stop_wanted = true;
}

bool ecs_task_want_stop(struct ecs_task *t, const char *code, const char *reason, int64_t now_ms)
{
    if (t->stop_wanted)
        return false;
    end_by(t, code, reason, now_ms);
    t->version++;
    return true;
}

/* Where a container was started, when the first of them was; else 0. */
static int64_t note_started(struct ecs_task *t, const struct shim_status *s)
{
    int64_t first = 0;
    for (size_t i = 0; s && i < s->count && i < t->container_count; i++) {
        const struct shim_container *c = &s->containers[i];
        t->containers[i].pid = c->pid;
        if (c->started_ms && (!first || c->started_ms < first))
            first = c->started_ms;
    }
    return first;
}

/* "CannotPullContainerError: ...": the driver has told it with its type. */
static bool has_type(const char *error)
{
    size_t len = strcspn(error, ": ");
    return len > 5 && strncmp(error + len - 5, "Error: ", 7) == 0;
}

/* How each container has ended; true where one could not be started. */
static bool note_ended(struct ecs_task *t, const struct shim_status *s)
{
    bool failed = false;
    for (size_t i = 0; s && i < s->count && i < t->container_count; i++) {
        const struct shim_container *told = &s->containers[i];
        struct ecs_container *c = &t->containers[i];
        if (told->error) {
            c->reason = has_type(told->error)
                            ? mem_dup(told->error)
                            : mem_printf("CannotStartContainerError: %s", told->error);
            failed = true;
        } else if (told->ended_ms) {
            c->pid = told->pid;
            c->ended = true;
            c->exit_code = told->exit_code;
            if (told->out_of_memory && !c->reason)
                c->reason = mem_dup(ecs_fate_reason(ECS_FATE_OUT_OF_MEMORY));
            if (told->ended_ms > t->execution_stopped_ms)
                t->execution_stopped_ms = told->ended_ms;
        }
    }
    if (t->fate == ECS_FATE_OUT_OF_MEMORY && t->fate_struck && t->container_count > 0 &&
        !t->containers[0].reason)
        t->containers[0].reason = mem_dup(ecs_task_fate_reason(t));
    /* Without an end of its own it was lost with its shim, which took it along (SIGKILL). */
    for (size_t i = 0; i < t->container_count; i++)
        if (t->containers[i].pid && !t->containers[i].ended) {
            t->containers[i].ended = true;
            t->containers[i].exit_code = 128 + 9;
        }
    return failed;
}

/* The whole of ECS's reason where an image could not be had, or NULL. */
static const char *image_failure(const struct ecs_task *t, const struct ecs_facts *f)
{
    static const char type[] = "CannotPullContainerError: ";
    if (f->failure && t->fate == ECS_FATE_IMAGE_PULL)
        return f->failure;
    for (size_t i = 0; i < t->container_count; i++)
        if (t->containers[i].reason &&
            strncmp(t->containers[i].reason, type, sizeof(type) - 1) == 0)
            return t->containers[i].reason;
    return NULL;
}

/* Nothing runs any more: why, and on to the end. */
static void conclude(struct ecs_task *t, const struct ecs_facts *f, int64_t now_ms)
{
    bool failed = note_ended(t, f->status) || f->failure;
    const char *no_image = image_failure(t, f);
    if (f->failure && t->container_count > 0 && !t->containers[0].reason)
        t->containers[0].reason =
            no_image ? mem_dup(no_image) : mem_printf("CannotStartContainerError: %s", f->failure);
    if (no_image)
        end_by(t, t->fate == ECS_FATE_IMAGE_PULL ? ecs_task_fate_code(t) : "TaskFailedToStart",
               no_image, now_ms);
    else if (failed || !t->started_ms)
        end_by(t, "TaskFailedToStart", "Task failed to start", now_ms);
    else
        end_by(t, "EssentialContainerExited", "Essential container in task exited", now_ms);
    move(t, ECS_DEPROVISIONING);
}

bool ecs_task_step(struct ecs_task *t, const struct ecs_facts *f, int64_t now_ms)
{
    int64_t started_ms;
    switch (t->state) {
    case ECS_PROVISIONING:
        if (f->begun)
            move(t, ECS_PENDING);
        else if (f->over)
            conclude(t, f, now_ms);
        else
            return false;
        return true;
    case ECS_PENDING:
        started_ms = note_started(t, f->status);
        if (started_ms) {
            t->started_ms = started_ms;
            move(t, ECS_RUNNING);
        } else if (f->over) {
            conclude(t, f, now_ms);
        } else {
            return false;
        }
        return true;
    case ECS_RUNNING:
    case ECS_DEACTIVATING:
    case ECS_STOPPING:
        if (t->stop_wanted && t->state != ECS_STOPPING)
            move(t, t->state == ECS_RUNNING ? ECS_DEACTIVATING : ECS_STOPPING);
        else if (f->over)
            conclude(t, f, now_ms);
        else
            return false;
        return true;
    case ECS_DEPROVISIONING:
        t->stopped_ms = now_ms;
        move(t, ECS_STOPPED);
        return true;
    case ECS_STOPPED:
    default:
        return false;
    }
}
