/* local-aws on a disk that is full (tests/bench/small_disk.h says where that can be had). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "local/stack/api.h"
#include "local/stack/folder.h"
#include "local/stack/stack.h"
#include "shared/base/clock.h"
#include "tests/bench/small_disk.h"

#define LIMIT_MS 60000

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Waits until the file is there, or, without one, until the program has ended. */
static void await(const char *path, struct program *p)
{
    int64_t until = clock_mono_ms(clock_system()) + LIMIT_MS;
    while (path ? !is_there(path) : program_running(p)) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s", path ? path : "it goes on");
        clock_sleep_ms(clock_system(), 20);
    }
}

/* Its task has ended meanwhile, which is the first thing that it would write. */
Test(local_disk, one_that_starts_where_nothing_can_be_written_ends_and_goes_on_later)
{
    struct error err = { 0 };
    auto_answer struct api_answer posted = { 0 };
    struct json_object *end = NULL;
    if (small_disk_possible(&err) < 0) {
        fprintf(stderr, "skipped: %s\n", err.msg);
        return;
    }
    char *folder = folder_new("local-disk", &err);
    struct small_disk *disk = folder ? small_disk_new(folder, &err) : NULL;
    cr_assert_not_null(disk, "%s", err.msg);
    auto_free char *state = mem_printf("%s/state", folder);
    auto_free char *mark = mem_printf("%s/mark", folder);
    const char *dir = getenv("BIN_DIR");
    const struct stack_options o = { .bin_dir = dir ? dir : "build/bin", .state_dir = state };
    struct stack *stack = stack_start(&o, &err);
    cr_assert_not_null(stack, "%s", err.msg);
    struct program *p = stack_program(stack, STACK_LOCAL_AWS);
    struct api *api = api_new(stack_http_url(stack), &err);
    auto_free char *body =
        mem_printf("{\"pattern\":\"sync\",\"task\":{\"taskDefinition\":\"plain\","
                   "\"command\":[\"sh\",\"-c\",\"touch '%s-'; until [ -e '%s' ]; "
                   "do sleep 0.1; done; touch '%s+'\"]}}",
                   mark, mark, mark);
    const struct http_header json[] = { { "Content-Type", "application/json" }, { NULL, NULL } };
    cr_assert_eq(api_send(api, "POST", "/workflows", json, body, &posted, &err), 0, "%s", err.msg);
    auto_free char *begun = mem_printf("%s-", mark);
    auto_free char *over = mem_printf("%s+", mark);
    await(begun, NULL);
    stack_kill(stack, STACK_LOCAL_AWS);
    fclose(fopen(mark, "w"));
    await(over, NULL);
    cr_assert_eq(small_disk_fill(disk, &err), 0, "%s", err.msg);
    cr_assert_eq(program_restart(p, &err), 0, "%s", err.msg);
    await(NULL, p);
    cr_assert_eq(program_stop(p, 0), EXIT_FAILURE);
    cr_assert_eq(small_disk_room(disk, &err), 0, "%s", err.msg);
    cr_assert_eq(stack_revive(stack, STACK_LOCAL_AWS, &err), 0, "%s", err.msg);
    const char *id = json_get_str(posted.json, "id");
    cr_assert_eq(api_wait(api, id, LIMIT_MS, &end, &err), 0, "%s", err.msg);
    cr_assert_str_eq(json_get_str(end, "status"), "SUCCEEDED");
    json_object_put(end);
    api_free(api);
    cr_assert_eq(stack_stop(stack), 0);
    cr_assert_eq(small_disk_free(disk, false, &err), 0, "%s", err.msg);
    cr_assert_eq(folder_remove(folder, &err), 0, "%s", err.msg);
    free(folder);
}
