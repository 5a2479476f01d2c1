#include "local/aws/ecs_docker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/opts.h"

#define ASK_MS         10000
#define ANSWER_MAX     (32U << 20)
#define OWNER_BYTES    8
#define STOP_MAX       120
#define CONTAINERS_MAX 10
#define NETWORK        "bridge" /* Docker's own, where this process is in no container */

static struct docker_driver *self(struct ecs_driver *d)
{
    return (struct docker_driver *)d;
}

static struct docker_task **find(struct docker_driver *d, const char *id)
{
    struct docker_task **at = &d->tasks;
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static void task_free(struct docker_task *t)
{
    for (size_t i = 0; i < t->status.count; i++)
        docker_container_release(&t->containers[i]);
    free(t->containers);
    shim_status_release(&t->status);
    free(t->id);
    free(t);
}

static void drop(struct docker_task **at)
{
    struct docker_task *t = *at;
    *at = t->next;
    task_free(t);
}

static struct docker_task *task_new(struct docker_driver *d, const char *id, size_t count)
{
    struct docker_task *t = mem_alloc(sizeof(*t));
    t->driver = d;
    t->id = mem_dup(id);
    t->containers = mem_array(count, sizeof(*t->containers));
    t->status.containers = mem_array(count, sizeof(*t->status.containers));
    t->status.count = count;
    for (size_t i = 0; i < count; i++) {
        t->containers[i].task = t;
        t->containers[i].told = &t->status.containers[i];
        t->containers[i].name = mem_printf("local-aws-%s-%zu", id, i);
    }
    t->next = d->tasks;
    d->tasks = t;
    return t;
}

/* ---- the end of a task ------------------------------------------------------------------------*/

static void clean(struct docker_task *t)
{
    t->cleaning = true;
    for (size_t i = 0; i < t->status.count; i++) {
        struct docker_container *c = &t->containers[i];
        c->tries = 0;
        c->phase = c->told->started_ms ? DOCKER_LOGS : DOCKER_REMOVE;
        docker_container_step(c);
    }
}

void docker_task_gone(struct docker_task *t)
{
    for (size_t i = 0; i < t->status.count; i++)
        if (t->containers[i].phase != DOCKER_GONE)
            return;
    struct docker_driver *d = t->driver;
    drop(find(d, t->id));
}

static size_t count_over(const struct docker_task *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->status.count; i++)
        n += t->containers[i].phase >= DOCKER_OVER;
    return n;
}

void docker_task_changed(struct docker_task *t)
{
    if (t->cleaning)
        return;
    /* Every container of a task is essential. Stopping one may end it here and now, and so come
     * back to this function. */
    if (count_over(t) > 0 && !t->stop_wanted)
        t->driver->base.stop(&t->driver->base, t->id);
    if (t->cleaning)
        return;
    t->status.over = count_over(t) == t->status.count;
    t->driver->changed(t->driver->arg, t->id, !t->status.over);
    /* Only now: until its end is stored, the container is what knows the exit code. */
    if (t->status.over)
        clean(t);
}

/* ---- start ------------------------------------------------------------------------------------*/

static int check_spec(struct json_object *list, struct error *err)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *image = json_get_str(item, "image");
        if (!image || !*image)
            return error_set(err, ERR_INVALID, 0,
                             "the task definition names no image for container %s",
                             json_get_str(item, "name"));
    }
    return 0;
}

static int start(struct ecs_driver *base, const char *task, struct json_object *spec,
                 struct error *err)
{
    struct docker_driver *d = self(base);
    struct json_object *list = json_get_arr(spec, "containers");
    if (!list || check_spec(list, err) < 0)
        return error_wrap(err, "task %s", task);
    struct docker_task *t = task_new(d, task, json_object_array_length(list));
    t->watched = true;
    for (size_t i = 0; i < t->status.count; i++) {
        struct docker_container *c = &t->containers[i];
        struct json_object *item = json_object_array_get_idx(list, i);
        c->told->name = mem_dup(json_get_str(item, "name"));
        c->image = mem_dup(json_get_str(item, "image"));
        c->stop_timeout_s = json_get_int(item, "stopTimeoutSeconds", 30);
        c->body = docker_create_body(t, spec, i);
        docker_container_step(c);
    }
    return 0;
}

/* ---- what an earlier driver left --------------------------------------------------------------*/

static bool begun(const struct docker_task *t)
{
    for (size_t i = 0; i < t->status.count; i++)
        if (t->containers[i].phase == DOCKER_LOOK)
            return true;
    return false;
}

static int attach(struct ecs_driver *base, const char *task, struct error *err)
{
    struct docker_task **at = find(self(base), task), *t = *at;
    (void)err;
    if (!t)
        return 0;
    /* Made but not started: it is begun again, and finds what was made. */
    if (!begun(t)) {
        drop(at);
        return 0;
    }
    t->watched = true;
    for (size_t i = 0; i < t->status.count; i++) {
        struct docker_container *c = &t->containers[i];
        if (c->phase == DOCKER_LOOK) {
            docker_container_step(c);
        } else {
            c->phase = DOCKER_OVER;
            c->told->error = mem_dup("local-aws ended before it was started");
        }
    }
    return 1;
}

static void sweep(struct ecs_driver *base)
{
    for (struct docker_task *t = self(base)->tasks; t; t = t->next)
        if (!t->watched && !t->cleaning)
            clean(t);
}

static const char *label(struct json_object *item, const char *name)
{
    return json_get_str(json_get_obj(item, "Labels"), name);
}

static int label_int(struct json_object *item, const char *name, int64_t max, int64_t *out)
{
    const char *text = label(item, name);
    return text ? opts_int(text, 0, max, out) : -1;
}

/* One container of the list. */
static void take_over(struct docker_driver *d, struct json_object *item)
{
    const char *task = label(item, DOCKER_LABEL "task"),
               *name = label(item, DOCKER_LABEL "container"), *state = json_get_str(item, "State");
    int64_t index = 0, count = 0, seconds = 0;
    if (!task || !name || !state ||
        label_int(item, DOCKER_LABEL "count", CONTAINERS_MAX, &count) < 0 ||
        label_int(item, DOCKER_LABEL "index", count - 1, &index) < 0 ||
        label_int(item, DOCKER_LABEL "stop-timeout", STOP_MAX, &seconds) < 0)
        return;
    struct docker_task *t = *find(d, task);
    if (!t)
        t = task_new(d, task, (size_t)count);
    if ((size_t)index >= t->status.count)
        return;
    struct docker_container *c = &t->containers[index];
    free(c->told->name);
    c->told->name = mem_dup(name);
    c->stop_timeout_s = seconds;
    if (strcmp(state, "created") != 0)
        c->phase = DOCKER_LOOK;
}

static int find_earlier(struct docker_driver *d, struct error *err)
{
    auto_free char *filter = mem_printf("{\"label\":[\"%sowner=%s\"]}", DOCKER_LABEL, d->owner);
    auto_buf struct buf path = BUF_INIT(1024);
    buf_add_str(&path, "/containers/json?all=1&filters=");
    encode_percent(&path, filter, strlen(filter));
    const struct docker_request r = { "GET", buf_str(&path), NULL, ASK_MS, ANSWER_MAX };
    auto_free char *body = NULL;
    auto_json struct json_object *list = NULL;
    int status = docker_ask(d->socket, &r, &body, err);
    if (status < 0)
        return -1;
    if (status != 200)
        return error_set(err, ERR_UNAVAILABLE, status, "Docker lists no containers: %.300s", body);
    if (json_parse_str(body, &list, err) < 0 || !json_object_is_type(list, json_type_array))
        return error_set(err, ERR_PROTOCOL, 0, "Docker's list of containers makes no sense");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        take_over(d, json_object_array_get_idx(list, i));
    return 0;
}

/* ---- the rest of the driver -------------------------------------------------------------------*/

static void stop(struct ecs_driver *base, const char *task)
{
    struct docker_task *t = *find(self(base), task);
    if (!t)
        return;
    t->stop_wanted = true;
    for (size_t i = 0; i < t->status.count && !t->cleaning; i++)
        docker_container_stop(&t->containers[i]);
}

static void kill_now(struct ecs_driver *base, const char *task)
{
    struct docker_task *t = *find(self(base), task);
    for (size_t i = 0; t && i < t->status.count; i++)
        docker_container_kill(&t->containers[i]);
}

static int status(struct ecs_driver *base, const char *task, struct shim_status *out,
                  struct error *err)
{
    const struct docker_task *t = *find(self(base), task);
    bool known = false;
    (void)err;
    for (size_t i = 0; t && i < t->status.count; i++)
        known = known || t->status.containers[i].started_ms || t->status.containers[i].error;
    if (!known)
        return 0;
    *out = (struct shim_status){ .count = t->status.count, .over = t->status.over };
    out->containers = mem_array(out->count, sizeof(*out->containers));
    for (size_t i = 0; i < out->count; i++) {
        out->containers[i] = t->status.containers[i];
        out->containers[i].name = mem_dup(t->status.containers[i].name);
        out->containers[i].error = mem_dup(t->status.containers[i].error);
    }
    return 1;
}

static void driver_free(struct ecs_driver *base)
{
    struct docker_driver *d = self(base);
    while (d->tasks)
        drop(&d->tasks);
    free(d->folder);
    free(d->socket);
    free(d->network);
    free(d->owner);
    free(d);
}

/* ---- making it --------------------------------------------------------------------------------*/

static int find_owner(struct docker_driver *d, struct error *err)
{
    uint8_t bytes[OWNER_BYTES];
    char text[2 * OWNER_BYTES + 1];
    if (mkdir(d->folder, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "make %s", d->folder);
    d->owner = shim_file_read(d->folder, "docker-owner", sizeof(text), NULL, NULL);
    if (d->owner)
        return 0;
    random_bytes(bytes, sizeof(bytes));
    encode_hex(text, bytes, sizeof(bytes));
    d->owner = mem_dup(text);
    return shim_file_write(d->folder, "docker-owner", text, strlen(text), err);
}

/* A container's host name is the beginning of its id, unless somebody has given it another. */
static int find_network(struct docker_driver *d, struct error *err)
{
    char host[256] = "";
    auto_free char *body = NULL;
    if (d->network)
        return 0;
    gethostname(host, sizeof(host) - 1);
    auto_free char *path = mem_printf("/containers/%s/json", host);
    const struct docker_request r = { "GET", path, NULL, ASK_MS, ANSWER_MAX };
    int answer = docker_ask(d->socket, &r, &body, err);
    if (answer < 0)
        return -1;
    if (answer == 200)
        d->network = docker_read_network(body);
    if (!d->network)
        d->network = mem_dup(NETWORK);
    return 0;
}

struct ecs_driver *ecs_docker_new(struct loop *loop, const char *folder,
                                  const struct ecs_docker_config *cfg, ecs_driver_fn *changed,
                                  void *arg, struct error *err)
{
    struct docker_driver *d = mem_alloc(sizeof(*d));
    d->base = (struct ecs_driver){ start, attach, stop, kill_now, status, sweep, driver_free };
    d->loop = loop;
    d->log = cfg->log;
    d->folder = mem_dup(folder);
    d->socket = mem_dup(cfg->socket);
    d->network = cfg->network && *cfg->network ? mem_dup(cfg->network) : NULL;
    d->changed = changed;
    d->arg = arg;
    if (find_owner(d, err) < 0 || find_network(d, err) < 0 || find_earlier(d, err) < 0) {
        driver_free(&d->base);
        return NULL;
    }
    log_info(d->log, log_event("ecs_driver"), log_str("driver", "docker"),
             log_str("network", d->network));
    return &d->base;
}
