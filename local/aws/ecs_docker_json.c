#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/ecs_docker.h"
#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"

#define MIB (1024 * 1024)

/* ---- what is asked for ------------------------------------------------------------------------*/

static struct json_object *environment_list(struct json_object *environment)
{
    struct json_object *list = json_object_new_array();
    if (!environment)
        return list;
    json_object_object_foreach(environment, key, value)
    {
        auto_free char *pair = mem_printf("%s=%s", key, json_object_get_string(value));
        json_push(list, json_new_str(pair));
    }
    return list;
}

static struct json_object *labels(const struct docker_task *t, size_t index)
{
    const struct docker_container *c = &t->containers[index];
    struct json_object *o = json_object_new_object();
    auto_free char *at = mem_printf("%zu", index), *count = mem_printf("%zu", t->status.count),
                   *seconds = mem_printf("%lld", (long long)c->stop_timeout_s);
    json_add_str(o, DOCKER_LABEL "owner", t->driver->owner);
    json_add_str(o, DOCKER_LABEL "task", t->id);
    json_add_str(o, DOCKER_LABEL "container", c->told->name);
    json_add_str(o, DOCKER_LABEL "index", at);
    json_add_str(o, DOCKER_LABEL "count", count);
    json_add_str(o, DOCKER_LABEL "stop-timeout", seconds);
    return o;
}

static struct json_object *host_config(const struct docker_driver *d, struct json_object *spec)
{
    struct json_object *o = json_object_new_object(), *hosts = json_object_new_array();
    int64_t memory = json_get_int(spec, "memoryMiB", 0) * MIB;
    json_add_str(o, "NetworkMode", d->network);
    if (memory > 0) {
        json_add_int(o, "Memory", memory);
        json_add_int(o, "MemorySwap", memory);
    }
    if (json_get_int(spec, "cpuUnits", 0) > 0)
        json_add_int(o, "CpuShares", json_get_int(spec, "cpuUnits", 0));
    /* For a receiver that runs on the host itself. */
    json_push(hosts, json_new_str("host.docker.internal:host-gateway"));
    json_add(o, "ExtraHosts", hosts);
    return o;
}

char *docker_create_body(const struct docker_task *t, struct json_object *spec, size_t index)
{
    struct json_object *item = json_object_array_get_idx(json_get_arr(spec, "containers"), index);
    struct json_object *entry_point = json_get_arr(item, "entryPoint"),
                       *command = json_get_arr(item, "command");
    auto_json struct json_object *o = json_object_new_object();
    json_add_str(o, "Image", json_get_str(item, "image"));
    /* What is left out is the image's own. */
    if (entry_point && json_object_array_length(entry_point) > 0)
        json_add(o, "Entrypoint", json_object_get(entry_point));
    if (command && json_object_array_length(command) > 0)
        json_add(o, "Cmd", json_object_get(command));
    json_add(o, "Env", environment_list(json_get_obj(item, "environment")));
    json_add(o, "Labels", labels(t, index));
    json_add_int(o, "StopTimeout", t->containers[index].stop_timeout_s);
    json_add(o, "HostConfig", host_config(t->driver, spec));
    return mem_dup(json_text(o, NULL));
}

char *docker_pull_path(const char *image)
{
    const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
    bool tagged = strchr(name, ':') || strchr(name, '@');
    auto_buf struct buf path = BUF_INIT(8192);
    buf_add_str(&path, "/images/create?fromImage=");
    encode_percent(&path, image, strlen(image));
    if (!tagged)
        buf_add_str(&path, "&tag=latest");
    return buf_take(&path, NULL);
}

/* ---- what is answered -------------------------------------------------------------------------*/

/* "0001-01-01T00:00:00Z" stands for never. */
static int64_t time_of(struct json_object *state, const char *key)
{
    const char *text = json_get_str(state, key);
    int64_t ms = 0;
    return text && clock_parse(text, &ms) == 0 && ms > 0 ? ms : 0;
}

int docker_read_state(const char *text, enum docker_state *state, struct shim_container *out,
                      struct error *err)
{
    auto_json struct json_object *o = NULL;
    if (json_parse_str(text, &o, err) < 0)
        return error_wrap(err, "Docker");
    struct json_object *s = json_get_obj(o, "State");
    const char *status = json_get_str(s, "Status");
    if (!status)
        return error_set(err, ERR_PROTOCOL, 0, "Docker tells no State.Status of a container");
    out->started_ms = time_of(s, "StartedAt");
    if (strcmp(status, "created") == 0) {
        *state = DOCKER_STATE_CREATED;
    } else if (strcmp(status, "exited") == 0 || strcmp(status, "dead") == 0) {
        *state = DOCKER_STATE_ENDED;
        out->ended_ms = time_of(s, "FinishedAt");
        out->exit_code = (int)json_get_int(s, "ExitCode", 0);
        out->out_of_memory = json_get_bool(s, "OOMKilled", false);
    } else { /* running, paused, restarting, removing */
        *state = DOCKER_STATE_RUNNING;
        out->pid = (pid_t)json_get_int(s, "Pid", 0);
    }
    return 0;
}

char *docker_read_network(const char *text)
{
    auto_json struct json_object *o = NULL;
    if (json_parse_str(text, &o, NULL) < 0)
        return NULL;
    struct json_object *networks = json_get_obj(json_get_obj(o, "NetworkSettings"), "Networks");
    if (!networks)
        return NULL;
    json_object_object_foreach(networks, name, unused)
    {
        (void)unused;
        if (strcmp(name, "none") != 0 && strcmp(name, "host") != 0)
            return mem_dup(name);
    }
    return NULL;
}

char *docker_pull_error(const char *text)
{
    char *last = NULL;
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\r\n");
        auto_json struct json_object *o = NULL;
        if (len > 0 && json_parse(p, len, JSON_DEPTH, &o, NULL) == 0 && json_get_str(o, "error")) {
            free(last);
            last = mem_dup(json_get_str(o, "error"));
        }
        p += len;
        p += strspn(p, "\r\n");
    }
    return last;
}

void docker_read_logs(const char *p, size_t len, struct buf *out)
{
    while (len >= 8) {
        const unsigned char *n = (const unsigned char *)p + 4;
        size_t size = (size_t)n[0] << 24 | (size_t)n[1] << 16 | (size_t)n[2] << 8 | n[3];
        p += 8;
        len -= 8;
        if (size > len)
            size = len;
        buf_add(out, p, size);
        p += size;
        len -= size;
    }
}
