#include "local/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/json.h"

#define STATUS_MAX (1U << 20)

char *shim_file_read(const char *folder, const char *name, size_t max, size_t *len,
                     struct error *err)
{
    auto_free char *path = mem_printf("%s/%s", folder, name);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int why = errno;
        error_set_errno(err, why, "open %s", name);
        if (err && why == ENOENT)
            err->code = ERR_NOT_FOUND;
        return NULL;
    }
    auto_buf struct buf b = BUF_INIT(max);
    for (;;) {
        char chunk[8192];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_set_errno(err, errno, "read %s", name);
            return NULL;
        }
        if (n == 0)
            return buf_take(&b, len);
        if (buf_add(&b, chunk, (size_t)n) < 0) {
            error_set(err, ERR_TOO_LARGE, 0, "%s has more than %zu bytes", name, max);
            return NULL;
        }
    }
}

static int write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int shim_file_write(const char *folder, const char *name, const void *p, size_t len,
                    struct error *err)
{
    auto_free char *path = mem_printf("%s/%s", folder, name);
    auto_free char *beside = mem_printf("%s/%s.new", folder, name);
    auto_close int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write_all(fd, p, len) < 0 || rename(beside, path) < 0)
        return error_set_errno(err, errno, "write %s", name);
    return 0;
}

static void read_container(struct json_object *o, struct shim_container *c)
{
    const char *name = json_get_str(o, "name");
    c->name = mem_dup(name ? name : "");
    c->pid = (pid_t)json_get_int(o, "pid", 0);
    c->started_ms = json_get_int(o, "startedAt", 0);
    c->ended_ms = json_get_int(o, "endedAt", 0);
    c->exit_code = (int)json_get_int(o, "exitCode", 0);
    c->error = mem_dup(json_get_str(o, "error"));
}

int shim_status_read(const char *folder, struct shim_status *out, struct error *err)
{
    struct error why = { 0 };
    size_t len = 0;
    auto_free char *text = shim_file_read(folder, "status.json", STATUS_MAX, &len, &why);
    if (!text) {
        if (why.code == ERR_NOT_FOUND)
            return 0;
        if (err)
            *err = why;
        return -1;
    }
    auto_json struct json_object *o = NULL;
    if (json_parse(text, len, JSON_DEPTH, &o, err) < 0)
        return error_wrap(err, "status.json");
    struct json_object *list = json_get_arr(o, "containers");
    if (!list)
        return error_set(err, ERR_INVALID, 0, "status.json: names no containers");
    out->count = json_object_array_length(list);
    out->containers = mem_array(out->count + 1, sizeof(*out->containers));
    out->over = json_get_bool(o, "over", false);
    for (size_t i = 0; i < out->count; i++)
        read_container(json_object_array_get_idx(list, i), &out->containers[i]);
    return 1;
}

int shim_status_write(const char *folder, const struct shim_status *s, struct error *err)
{
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *list = json_object_new_array();
    json_add_bool(o, "over", s->over);
    json_add(o, "containers", list);
    for (size_t i = 0; i < s->count; i++) {
        const struct shim_container *c = &s->containers[i];
        struct json_object *item = json_object_new_object();
        json_add_str(item, "name", c->name);
        if (c->pid)
            json_add_int(item, "pid", c->pid);
        if (c->started_ms)
            json_add_int(item, "startedAt", c->started_ms);
        if (c->ended_ms) {
            json_add_int(item, "endedAt", c->ended_ms);
            json_add_int(item, "exitCode", c->exit_code);
        }
        json_add_str(item, "error", c->error);
        json_push(list, item);
    }
    size_t len = 0;
    const char *text = json_text(o, &len);
    return shim_file_write(folder, "status.json", text, len, err);
}

void shim_status_release(struct shim_status *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->containers[i].name);
        free(s->containers[i].error);
    }
    free(s->containers);
    *s = (struct shim_status){ 0 };
}
