#include "local/aws/ecs_tasks.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/aws/ecs_driver.h"
#include "local/aws/outbox.h"

#define HOUR_MS   (3600 * 1000LL)
#define DAY_MS    (24 * HOUR_MS)
#define PURGE_MS  60000
#define LOST_TEXT "the process that hosts the task ended before the command was started"

static const char SCHEMA[] =
    "CREATE TABLE ecs_tasks(id TEXT PRIMARY KEY, number INTEGER NOT NULL, body TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE ecs_tokens(cluster TEXT NOT NULL, token TEXT NOT NULL,"
    " fingerprint TEXT NOT NULL, tasks TEXT NOT NULL, made_ms INTEGER NOT NULL,"
    " PRIMARY KEY(cluster, token)) WITHOUT ROWID;";

struct ecs_tasks {
    const struct local *local;
    char *folder;
    struct ecs_driver *driver;
    struct ecs_task *first, **end;
    int64_t last_number;
    struct loop_timer *begin, *purge, *fates;
    sqlite3_stmt *save, *drop, *token_add, *token_get, *token_purge;
};

static int64_t now(const struct ecs_tasks *s)
{
    return clock_wall_ms(s->local->clock);
}

static struct ecs_task *find(const struct ecs_tasks *s, const char *id)
{
    struct ecs_task *t = s->first;
    while (t && strcmp(t->id, id) != 0)
        t = t->next;
    return t;
}

const struct ecs_task *ecs_tasks_find(const struct ecs_tasks *s, const char *id)
{
    return find(s, id);
}

const struct ecs_task *ecs_tasks_first(const struct ecs_tasks *s)
{
    return s->first;
}

const char *ecs_tasks_folder(const struct ecs_tasks *s)
{
    return s->folder;
}

size_t ecs_tasks_live(const struct ecs_tasks *s)
{
    size_t n = 0;
    for (const struct ecs_task *t = s->first; t; t = t->next)
        n += t->state != ECS_STOPPED;
    return n;
}

static void save(struct ecs_tasks *s, const struct ecs_task *t)
{
    auto_free char *body = ecs_task_save(t);
    store_bind_text(s->save, 1, t->id);
    store_bind_int(s->save, 2, t->number);
    store_bind_text(s->save, 3, body);
    store_exec(s->local->store, s->save);
}

/* Its state, or what is wanted of it, has changed: stored, and told. */
static void save_change(struct ecs_tasks *s, const struct ecs_task *t)
{
    save(s, t);
    outbox_task(s->local->outbox, t);
}

/* ---- what becomes of a task -------------------------------------------------------------------*/

static void log_state(const struct ecs_tasks *s, const struct ecs_task *t)
{
    if (t->state == ECS_STOPPED && t->container_count > 0 && t->containers[0].ended)
        log_info(s->local->log, log_event("task_state"), log_str("task", t->id),
                 log_str("state", ecs_state_name(t->state)), log_str("stopCode", t->stop_code),
                 log_int("exitCode", t->containers[0].exit_code));
    else
        log_info(s->local->log, log_event("task_state"), log_str("task", t->id),
                 log_str("state", ecs_state_name(t->state)),
                 log_str("stopCode", t->stop_code ? t->stop_code : ""));
}

static void look_at_fates(struct ecs_tasks *s);

/* Goes as far as the facts allow. */
static void advance(struct ecs_tasks *s, struct ecs_task *t, const struct ecs_facts *facts)
{
    enum ecs_state before = t->state;
    store_begin(s->local->store);
    while (ecs_task_step(t, facts, now(s)))
        save_change(s, t);
    store_commit(s->local->store);
    if (t->state != before)
        log_state(s, t);
    if (t->state == ECS_RUNNING && ecs_fate_strikes(t->fate))
        look_at_fates(s);
}

/* Asks the driver what has become of a task that was begun. */
static void observe(struct ecs_tasks *s, struct ecs_task *t, bool lives)
{
    struct shim_status status = { 0 };
    struct error err = { 0 };
    int rc = s->driver->status(s->driver, t->id, &status, &err);
    if (rc < 0)
        log_warn(s->local->log, log_event("task_status_unreadable"), log_str("task", t->id),
                 log_err(&err));
    bool over = !lives || (rc == 1 && status.over);
    bool tried =
        t->state > ECS_PENDING || (rc == 1 && status.count > 0 &&
                                   (status.containers[0].pid || status.containers[0].started_ms ||
                                    status.containers[0].error));
    const struct ecs_facts facts = { .begun = true,
                                     .over = over,
                                     .status = rc == 1 ? &status : NULL,
                                     .failure =
                                         over && !tried && !t->stop_wanted ? LOST_TEXT : NULL };
    advance(s, t, &facts);
    shim_status_release(&status);
}

static void on_changed(void *arg, const char *id, bool lives)
{
    struct ecs_tasks *s = arg;
    struct ecs_task *t = find(s, id);
    if (t)
        observe(s, t, lives);
}

static void begin(struct ecs_tasks *s, struct ecs_task *t)
{
    struct error err = { 0 };
    struct ecs_facts facts = { .begun = false };
    /* RunTask has not answered: it will be asked again, and this task would be one too many. */
    if (store_failed(s->local->store))
        return;
    if (t->stop_wanted) {
        facts.over = true;
    } else if (t->fate == ECS_FATE_NEVER_STARTS) {
        return;
    } else if (t->fate == ECS_FATE_IMAGE_PULL) {
        facts.over = true;
        facts.failure = ecs_task_fate_reason(t);
    } else if (s->driver->start(s->driver, t->id, t->spec, &err) < 0) {
        log_error(s->local->log, log_event("task_not_started"), log_str("task", t->id),
                  log_err(&err));
        facts.over = true;
        facts.failure = err.msg;
    } else {
        facts.begun = true;
    }
    advance(s, t, &facts);
}

/* Brings a task of whatever state under the driver: one that is new, and one that an earlier
 * local-aws left. Without a shim and without a status no command has ever been started, so that
 * starting it is safe. */
static void take_up(struct ecs_tasks *s, struct ecs_task *t)
{
    struct error err = { 0 };
    struct shim_status status = { 0 };
    int lives = s->driver->attach(s->driver, t->id, &err);
    if (lives < 0)
        log_error(s->local->log, log_event("task_not_watched"), log_str("task", t->id),
                  log_err(&err));
    if (lives > 0) {
        observe(s, t, true);
        if (t->stop_wanted)
            s->driver->stop(s->driver, t->id);
        return;
    }
    int rc = s->driver->status(s->driver, t->id, &status, NULL);
    shim_status_release(&status);
    if (rc == 0 && lives == 0 && t->state <= ECS_PENDING)
        begin(s, t);
    else
        observe(s, t, false);
}

static void begin_new(void *arg)
{
    struct ecs_tasks *s = arg;
    s->begin = NULL;
    for (struct ecs_task *t = s->first; t; t = t->next)
        if (t->state == ECS_PROVISIONING)
            take_up(s, t);
}

static void begin_soon(struct ecs_tasks *s)
{
    if (!s->begin)
        s->begin = loop_after(s->local->loop, 0, begin_new, s);
}

void ecs_tasks_stop(struct ecs_tasks *s, const struct ecs_task *which, const char *code,
                    const char *reason)
{
    static const struct ecs_facts nothing_new = { .begun = true };
    struct ecs_task *t = find(s, which->id);
    if (!t || t->state == ECS_STOPPED || !ecs_task_want_stop(t, code, reason, now(s)))
        return;
    store_begin(s->local->store);
    save_change(s, t);
    store_commit(s->local->store);
    if (t->state == ECS_PROVISIONING) {
        begin_soon(s);
        return;
    }
    s->driver->stop(s->driver, t->id);
    if (t->state != ECS_PENDING)
        advance(s, t, &nothing_new);
}

void ecs_tasks_shut_down(struct ecs_tasks *s)
{
    for (struct ecs_task *t = s->first; t; t = t->next)
        ecs_tasks_stop(s, t, "TerminationNotice", "The host of the task was switched off");
}

/* ---- what a test has ordered ------------------------------------------------------------------*/

static void strike(struct ecs_tasks *s, struct ecs_task *t)
{
    log_info(s->local->log, log_event("task_fate"), log_str("task", t->id),
             log_str("fate", ecs_fate_word(t->fate)));
    t->fate_struck = true;
    save(s, t);
    if (t->fate != ECS_FATE_OUT_OF_MEMORY && t->fate != ECS_FATE_NO_CONTAINER) {
        ecs_tasks_stop(s, t, ecs_task_fate_code(t), ecs_task_fate_reason(t));
        return;
    }
    /* Killed first: what is stopped would have time for a last word. */
    s->driver->kill(s->driver, t->id);
    if (t->fate == ECS_FATE_NO_CONTAINER)
        ecs_tasks_stop(s, t, ecs_task_fate_code(t), ecs_task_fate_reason(t));
}

static void on_fates(void *arg)
{
    struct ecs_tasks *s = arg;
    s->fates = NULL;
    for (struct ecs_task *t = s->first; t; t = t->next)
        if (ecs_fate_strikes(t->fate) && !t->fate_struck && t->state == ECS_RUNNING &&
            t->started_ms + t->fate_ms <= now(s))
            strike(s, t);
    look_at_fates(s);
}

/* Sets the timer for the next of them. */
static void look_at_fates(struct ecs_tasks *s)
{
    int64_t next = INT64_MAX;
    for (const struct ecs_task *t = s->first; t; t = t->next)
        if (ecs_fate_strikes(t->fate) && !t->fate_struck && t->state == ECS_RUNNING &&
            t->started_ms + t->fate_ms < next)
            next = t->started_ms + t->fate_ms;
    loop_cancel(s->local->loop, MOVE(s->fates));
    if (next == INT64_MAX)
        return;
    int64_t wait_ms = next - now(s);
    s->fates = loop_after(s->local->loop, wait_ms > 0 ? wait_ms : 0, on_fates, s);
}

/* ---- adding -----------------------------------------------------------------------------------*/

static void append(struct ecs_tasks *s, struct ecs_task *t)
{
    t->next = NULL;
    *s->end = t;
    s->end = &t->next;
}

static void save_token(struct ecs_tasks *s, const struct ecs_token *k,
                       struct ecs_task *const *tasks, size_t count)
{
    auto_json struct json_object *ids = json_object_new_array();
    for (size_t i = 0; i < count; i++)
        json_push(ids, json_new_str(tasks[i]->id));
    store_bind_text(s->token_add, 1, k->cluster);
    store_bind_text(s->token_add, 2, k->token);
    store_bind_text(s->token_add, 3, k->fingerprint);
    store_bind_text(s->token_add, 4, json_text(ids, NULL));
    store_bind_int(s->token_add, 5, now(s));
    store_exec(s->local->store, s->token_add);
}

void ecs_tasks_add(struct ecs_tasks *s, struct ecs_task *const *tasks, size_t count,
                   const struct ecs_token *token)
{
    store_begin(s->local->store);
    for (size_t i = 0; i < count; i++) {
        tasks[i]->number = ++s->last_number;
        append(s, tasks[i]);
        save_change(s, tasks[i]);
    }
    if (token)
        save_token(s, token, tasks, count);
    store_commit(s->local->store);
    begin_soon(s);
}

/* A task that is not here any more has stopped more than an hour ago. */
static bool lived_within_the_hour(const struct ecs_tasks *s, struct json_object *ids)
{
    for (size_t i = 0; i < json_object_array_length(ids); i++) {
        const struct ecs_task *t =
            find(s, json_object_get_string(json_object_array_get_idx(ids, i)));
        if (t && (t->state != ECS_STOPPED || t->stopped_ms + HOUR_MS > now(s)))
            return true;
    }
    return false;
}

struct json_object *ecs_tasks_of_token(struct ecs_tasks *s, const struct ecs_token *k, bool *same)
{
    struct json_object *ids = NULL;
    store_bind_text(s->token_get, 1, k->cluster);
    store_bind_text(s->token_get, 2, k->token);
    store_bind_int(s->token_get, 3, now(s) - DAY_MS);
    if (!store_step(s->local->store, s->token_get))
        return NULL;
    const char *text = store_text(s->token_get, 1);
    *same = strcmp(store_text(s->token_get, 0), k->fingerprint) == 0;
    if (json_parse_str(text, &ids, NULL) < 0 || !json_object_is_type(ids, json_type_array) ||
        !lived_within_the_hour(s, ids)) {
        json_object_put(ids);
        ids = NULL;
    }
    store_reset(s->token_get);
    return ids;
}

/* ---- cleaning up ------------------------------------------------------------------------------*/

static void drop(struct ecs_tasks *s, struct ecs_task **at)
{
    struct ecs_task *t = *at;
    *at = t->next;
    if (!*at)
        s->end = at;
    store_bind_text(s->drop, 1, t->id);
    store_exec(s->local->store, s->drop);
    ecs_task_free(t);
}

/* A task may have made folders of its own; they go too. Symbolic links are not followed. */
static void remove_tree(const char *path, int depth)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    DIR *d = S_ISDIR(st.st_mode) && depth > 0 ? opendir(path) : NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        auto_free char *below = mem_printf("%s/%s", path, e->d_name);
        remove_tree(below, depth - 1);
    }
    if (d)
        closedir(d);
    if (S_ISDIR(st.st_mode))
        rmdir(path);
    else
        unlink(path);
}

static void remove_old_folders(struct ecs_tasks *s)
{
    DIR *d = opendir(s->folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        struct stat st;
        if (strlen(e->d_name) != ECS_TASK_ID - 1 || find(s, e->d_name))
            continue;
        auto_free char *folder = mem_printf("%s/%s", s->folder, e->d_name);
        auto_free char *status = mem_printf("%s/status.json", folder);
        if (stat(status, &st) < 0 || (int64_t)st.st_mtime * 1000 + DAY_MS < now(s))
            remove_tree(folder, PATH_MAX / 2);
    }
    if (d)
        closedir(d);
}

static void purge(void *arg)
{
    struct ecs_tasks *s = arg;
    s->purge = loop_after(s->local->loop, PURGE_MS, purge, s);
    store_begin(s->local->store);
    for (struct ecs_task **at = &s->first; *at;) {
        if ((*at)->state == ECS_STOPPED && (*at)->stopped_ms + HOUR_MS <= now(s))
            drop(s, at);
        else
            at = &(*at)->next;
    }
    store_bind_int(s->token_purge, 1, now(s) - DAY_MS);
    store_exec(s->local->store, s->token_purge);
    store_commit(s->local->store);
    remove_old_folders(s);
}

/* ---- life -------------------------------------------------------------------------------------*/

static int prepare(struct ecs_tasks *s, struct error *err)
{
    struct store *store = s->local->store;
    if (store_schema(store, "ecs", 1, SCHEMA, err) < 0)
        return -1;
    s->save = store_prepare(
        store, "INSERT OR REPLACE INTO ecs_tasks(id, number, body) VALUES(?1, ?2, ?3)", err);
    s->drop = store_prepare(store, "DELETE FROM ecs_tasks WHERE id = ?1", err);
    s->token_add = store_prepare(store,
                                 "INSERT OR REPLACE INTO ecs_tokens(cluster, token, fingerprint,"
                                 " tasks, made_ms) VALUES(?1, ?2, ?3, ?4, ?5)",
                                 err);
    s->token_get = store_prepare(store,
                                 "SELECT fingerprint, tasks FROM ecs_tokens"
                                 " WHERE cluster = ?1 AND token = ?2 AND made_ms > ?3",
                                 err);
    s->token_purge = store_prepare(store, "DELETE FROM ecs_tokens WHERE made_ms <= ?1", err);
    return s->save && s->drop && s->token_add && s->token_get && s->token_purge ? 0 : -1;
}

static int load(struct ecs_tasks *s, struct error *err)
{
    sqlite3_stmt *all =
        store_prepare(s->local->store, "SELECT body FROM ecs_tasks ORDER BY number", err);
    if (!all)
        return -1;
    while (store_step(s->local->store, all)) {
        struct ecs_task *t = ecs_task_load(store_text(all, 0), err);
        if (!t) {
            store_reset(all);
            return -1;
        }
        append(s, t);
        s->last_number = t->number;
    }
    return 0;
}

/* The folders' absolute path: it becomes HOME of the tasks. */
static int find_folder(struct ecs_tasks *s, struct error *err)
{
    auto_free char *dir = realpath(store_dir(s->local->store), NULL);
    if (!dir)
        return error_set_errno(err, errno, "%s", store_dir(s->local->store));
    s->folder = mem_printf("%s/tasks", dir);
    return 0;
}

struct ecs_tasks *ecs_tasks_new(const struct local *local, struct error *err)
{
    struct ecs_tasks *s = mem_alloc(sizeof(*s));
    s->local = local;
    s->end = &s->first;
    if (find_folder(s, err) < 0 || prepare(s, err) < 0 || load(s, err) < 0)
        goto fail;
    s->driver = local->docker
                    ? ecs_docker_new(local->loop, s->folder, local->docker, on_changed, s, err)
                    : ecs_process_new(local->loop, s->folder, "/proc/self/exe", on_changed, s, err);
    if (!s->driver)
        goto fail;
    for (struct ecs_task *t = s->first; t; t = t->next)
        if (t->state != ECS_STOPPED)
            take_up(s, t);
    if (s->driver->sweep)
        s->driver->sweep(s->driver);
    look_at_fates(s);
    purge(s);
    return s;
fail:
    ecs_tasks_free(s);
    return NULL;
}

void ecs_tasks_free(struct ecs_tasks *s)
{
    if (!s)
        return;
    loop_cancel(s->local->loop, s->begin);
    loop_cancel(s->local->loop, s->fates);
    loop_cancel(s->local->loop, s->purge);
    if (s->driver)
        s->driver->free(s->driver);
    while (s->first) {
        struct ecs_task *t = s->first;
        s->first = t->next;
        ecs_task_free(t);
    }
    free(s->folder);
    free(s);
}
