#include "local/aws/ecs_tasks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000LL
#define HOUR_MS   (60 * MINUTE_MS)

/* Tasks with a store, a loop that is not run (so that nothing is started), and a clock of their
 * own. */
struct rig {
    char dir[64];
    int64_t now_ms;
    struct clock clock;
    struct local local;
    struct ecs_tasks *tasks;
};

static int64_t told_ms(void *arg)
{
    return *(int64_t *)arg;
}

static void open_rig(struct rig *r)
{
    struct error err = { 0 };
    r->clock = (struct clock){ .wall_ms = told_ms, .mono_ms = told_ms, .arg = &r->now_ms };
    r->local = (struct local){ .clock = &r->clock };
    r->local.store = store_open(r->dir, &err);
    r->local.loop = loop_new(&err);
    cr_assert(r->local.store && r->local.loop, "%s", err.msg);
    r->tasks = ecs_tasks_new(&r->local, &err);
    cr_assert_not_null(r->tasks, "%s", err.msg);
}

static void close_rig(struct rig *r)
{
    ecs_tasks_free(r->tasks);
    loop_free(r->local.loop);
    store_close(r->local.store);
}

static void begin(struct rig *r)
{
    r->now_ms = 1764700000000;
    snprintf(r->dir, sizeof(r->dir), "/tmp/ecs-tasks-XXXXXX");
    cr_assert_not_null(mkdtemp(r->dir));
    open_rig(r);
}

static void end(struct rig *r)
{
    close_rig(r);
    auto_free char *command = mem_printf("rm -rf %s", r->dir);
    cr_assert_eq(system(command), 0);
}

/* A task that has stopped at `stopped_ms`, or, with 0, one that is new. */
static struct ecs_task *task(struct rig *r, int64_t stopped_ms)
{
    struct ecs_task *t = ecs_task_new(r->now_ms);
    t->cluster = mem_dup("local");
    t->family = mem_dup("job");
    t->spec = json_object_new_object();
    t->containers = mem_array(1, sizeof(*t->containers));
    t->container_count = 1;
    t->containers[0].name = mem_dup("job");
    t->stopped_ms = stopped_ms;
    t->state = stopped_ms ? ECS_STOPPED : ECS_PROVISIONING;
    t->stop_wanted = stopped_ms != 0;
    return t;
}

static const struct ecs_token TOKEN = { "local", "token", "same" };

static bool known(struct rig *r, const struct ecs_token *k, bool *same)
{
    auto_json struct json_object *ids = ecs_tasks_of_token(r->tasks, k, same);
    return ids != NULL;
}

Test(ecs_tasks, keep_a_client_token_while_the_task_lives)
{
    struct rig r;
    bool same = false;
    begin(&r);
    struct ecs_task *t = task(&r, 0);
    ecs_tasks_add(r.tasks, &t, 1, &TOKEN);
    cr_assert(known(&r, &TOKEN, &same) && same);
    const struct ecs_token other = { "local", "token", "other" };
    cr_assert(known(&r, &other, &same) && !same);
    const struct ecs_token elsewhere = { "other", "token", "same" };
    cr_assert_not(known(&r, &elsewhere, &same), "the scope is the cluster");
    const struct ecs_token upper = { "local", "Token", "same" };
    cr_assert_not(known(&r, &upper, &same));
    r.now_ms += 24 * HOUR_MS - 1;
    cr_assert(known(&r, &TOKEN, &same));
    r.now_ms += 1;
    cr_assert_not(known(&r, &TOKEN, &same), "24 hours are the longest");
    end(&r);
}

Test(ecs_tasks, keep_a_client_token_for_an_hour_after_the_task)
{
    struct rig r;
    bool same = false;
    begin(&r);
    struct ecs_task *both[] = { task(&r, r.now_ms + MINUTE_MS), task(&r, r.now_ms) };
    auto_free char *id = mem_dup(both[0]->id);
    ecs_tasks_add(r.tasks, both, 2, &TOKEN);
    r.now_ms += HOUR_MS + MINUTE_MS - 1;
    cr_assert(known(&r, &TOKEN, &same) && same, "the last task counts");
    auto_json struct json_object *ids = ecs_tasks_of_token(r.tasks, &TOKEN, &same);
    cr_assert_eq(json_object_array_length(ids), 2);
    cr_assert_str_eq(json_object_get_string(json_object_array_get_idx(ids, 0)), id);
    r.now_ms += 1;
    cr_assert_not(known(&r, &TOKEN, &same));
    end(&r);
}

Test(ecs_tasks, are_there_again_after_a_restart_and_gone_after_an_hour)
{
    struct rig r;
    begin(&r);
    struct ecs_task *both[] = { task(&r, r.now_ms), task(&r, r.now_ms + MINUTE_MS) };
    auto_free char *first = mem_dup(both[0]->id), *second = mem_dup(both[1]->id);
    ecs_tasks_add(r.tasks, both, 2, NULL);
    r.now_ms += HOUR_MS - 1;
    close_rig(&r);
    open_rig(&r);
    cr_assert_not_null(ecs_tasks_find(r.tasks, first));
    cr_assert_eq(ecs_tasks_first(r.tasks)->number, 1);
    cr_assert_eq(ecs_tasks_first(r.tasks)->next->number, 2);
    cr_assert_eq(ecs_tasks_live(r.tasks), 0);
    r.now_ms += 1;
    close_rig(&r);
    open_rig(&r);
    cr_assert_null(ecs_tasks_find(r.tasks, first));
    cr_assert_not_null(ecs_tasks_find(r.tasks, second));
    struct ecs_task *later = task(&r, r.now_ms);
    ecs_tasks_add(r.tasks, &later, 1, NULL);
    cr_assert_eq(later->number, 3);
    end(&r);
}

Test(ecs_tasks, stopped_before_they_begin_are_never_started)
{
    struct rig r;
    begin(&r);
    struct ecs_task *t = task(&r, 0);
    auto_free char *id = mem_dup(t->id);
    ecs_tasks_add(r.tasks, &t, 1, NULL);
    ecs_tasks_stop(r.tasks, t, "UserInitiated", "changed my mind");
    close_rig(&r);
    open_rig(&r); /* as after kill -9 */
    const struct ecs_task *found = ecs_tasks_find(r.tasks, id);
    cr_assert_eq(found->state, ECS_STOPPED);
    cr_assert_str_eq(found->stop_code, "UserInitiated");
    cr_assert_not(found->containers[0].ended);
    auto_free char *folder = mem_printf("%s/%s", ecs_tasks_folder(r.tasks), id);
    cr_assert_null(shim_file_read(folder, "spec.json", 100, NULL, NULL));
    end(&r);
}

static void stop_loop(void *arg)
{
    loop_stop(arg);
}

/* Where the disk is full RunTask gets no answer and is repeated: with a task that runs all the same
 * there would be two. */
Test(ecs_tasks, that_could_not_be_stored_are_never_started)
{
    struct rig r;
    begin(&r);
    sqlite3 *db = store_db(r.local.store);
    cr_assert_eq(sqlite3_exec(db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
    struct ecs_task *t = task(&r, 0);
    auto_free char *long_text = mem_alloc(200001);
    memset(long_text, 'x', 200000);
    json_add_str(t->spec, "text", long_text);
    auto_free char *id = mem_dup(t->id);
    ecs_tasks_add(r.tasks, &t, 1, &TOKEN);
    cr_assert_not_null(store_failed(r.local.store), "it does not fit");
    loop_after(r.local.loop, 20, stop_loop, r.local.loop);
    loop_run(r.local.loop);
    auto_free char *folder = mem_printf("%s/%s", ecs_tasks_folder(r.tasks), id);
    cr_assert_null(shim_file_read(folder, "spec.json", 1 << 20, NULL, NULL), "it was started");
    close_rig(&r);
    open_rig(&r);
    cr_assert_null(ecs_tasks_find(r.tasks, id));
    end(&r);
}
