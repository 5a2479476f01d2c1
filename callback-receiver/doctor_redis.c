/* Whether a Redis can be written, and whether what is written there lasts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/doctor.h"
#include "callback-receiver/redis_conn.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "shared/base/opts.h"

#define VALUE   128
#define SLOW_US 20000

struct patient {
    struct doctor *d;
    struct redis_conn *conn;
    char *info; /* what INFO says, or NULL */
};

static redisReply *ask(struct patient *p, int argc, const char **argv, struct error *err)
{
    size_t lens[4] = { SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX };
    redisReply *reply = NULL;
    bool again;
    if (redis_conn_ready(p->conn, err) < 0)
        return NULL;
    redis_conn_send(p->conn, argc, argv, lens);
    return redis_conn_collect(p->conn, &reply, 1, &again, err) == 0 ? reply : NULL;
}

/* The value of `name` in INFO's answer; false where it says nothing of it. */
static bool informed(const struct patient *p, const char *name, char out[VALUE])
{
    size_t len = strlen(name);
    for (const char *line = p->info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        snprintf(out, VALUE, "%.*s", (int)strcspn(line + len + 1, "\r\n"), line + len + 1);
        return true;
    }
    return false;
}

/* CONFIG GET `name`. 1; 0 where there is no such setting; -1 where it is forbidden. */
static int configured(struct patient *p, const char *name, char out[VALUE], struct error *err)
{
    const char *get[] = { "CONFIG", "GET", name };
    redisReply *reply = ask(p, 3, get, err);
    if (!reply)
        return -1;
    bool found = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->str;
    if (found)
        snprintf(out, VALUE, "%s", reply->element[1]->str);
    freeReplyObject(reply);
    return found;
}

static void judge_policy(struct patient *p, const char *policy)
{
    if (strcmp(policy, "noeviction") == 0)
        doctor_say(p->d, DOCTOR_OK, "durability", "maxmemory-policy is noeviction");
    else
        doctor_say(p->d, DOCTOR_FAIL, "durability",
                   "maxmemory-policy is %s: Redis may throw callbacks away; set noeviction",
                   policy);
}

static void judge_fsync(struct patient *p, const char *appendfsync)
{
    if (strcmp(appendfsync, "always") == 0)
        doctor_say(p->d, DOCTOR_OK, "durability",
                   "appendonly yes, appendfsync always: what is answered is on the disk");
    else
        doctor_say(p->d, DOCTOR_WARN, "durability",
                   "appendfsync is %s: up to a second (everysec) or more of what was accepted can "
                   "be lost with Redis's machine; set always",
                   appendfsync);
}

static void check_config(struct patient *p)
{
    char policy[VALUE], aof[VALUE], fsync[VALUE];
    struct error err = { 0 };
    int rc = configured(p, "maxmemory-policy", policy, &err);
    if (rc > 0)
        judge_policy(p, policy);
    if (rc >= 0)
        rc = configured(p, "appendonly", aof, &err);
    if (rc > 0 && strcmp(aof, "yes") != 0)
        doctor_say(p->d, DOCTOR_FAIL, "durability",
                   "appendonly is %s: what was accepted is lost with the Redis process; set yes",
                   aof);
    else if (rc > 0 && configured(p, "appendfsync", fsync, &err) > 0)
        judge_fsync(p, fsync);
    if (rc < 0)
        doctor_say(p->d, DOCTOR_FAIL, "durability",
                   "CONFIG GET: %s. Where the service forbids it, use --managed-redis", err.msg);
}

/* The same as far as INFO tells it. */
static void check_info(struct patient *p)
{
    char value[VALUE];
    if (informed(p, "maxmemory_policy", value))
        judge_policy(p, value);
    else
        doctor_say(p->d, DOCTOR_WARN, "durability",
                   "INFO does not tell maxmemory-policy: it must be noeviction");
    if (informed(p, "aof_enabled", value) && strcmp(value, "1") == 0)
        doctor_say(p->d, DOCTOR_WARN, "durability",
                   "appendonly is on; whether appendfsync is always cannot be seen here");
    else
        doctor_say(p->d, DOCTOR_WARN, "durability",
                   "there is no append-only file: the service must make each write durable itself "
                   "(MemoryDB does, ElastiCache does not)");
}

static void check_state(struct patient *p)
{
    char value[VALUE], most[VALUE];
    int64_t major = 0, minor = 0, used = 0, max = 0;
    if (informed(p, "redis_version", value)) {
        char *dot = strchr(value, '.');
        if (dot) {
            *dot++ = '\0';
            dot[strcspn(dot, ".")] = '\0';
        }
        if (opts_int(value, 0, 1000, &major) == 0 && dot && opts_int(dot, 0, 1000, &minor) == 0 &&
            (major < 6 || (major == 6 && minor < 2)))
            doctor_say(p->d, DOCTOR_FAIL, "store", "Redis %lld.%lld is too old: 6.2 is needed",
                       (long long)major, (long long)minor);
    }
    if (informed(p, "role", value) && strcmp(value, "master") != 0)
        doctor_say(p->d, DOCTOR_FAIL, "store", "it is a replica (role %s)", value);
    if (informed(p, "aof_last_write_status", value) && strcmp(value, "ok") != 0)
        doctor_say(p->d, DOCTOR_FAIL, "durability", "the last write of the append-only file: %s",
                   value);
    if (informed(p, "used_memory", value) && informed(p, "maxmemory", most) &&
        opts_int(value, 0, INT64_MAX, &used) == 0 && opts_int(most, 0, INT64_MAX, &max) == 0 &&
        max > 0 && used > max / 5 * 4)
        doctor_say(p->d, DOCTOR_WARN, "store", "%lld of %lld MiB of its memory are used",
                   (long long)(used >> 20), (long long)(max >> 20));
}

static bool check_write(struct patient *p)
{
    const char *set[] = { "SET", REDIS_PREFIX "probe", "0" };
    struct error err = { 0 };
    int64_t began = clock_mono_us();
    redisReply *reply = ask(p, 3, set, &err);
    int64_t took = clock_mono_us() - began;
    if (!reply)
        doctor_say(p->d, DOCTOR_FAIL, "store", "it cannot be written: %s", err.msg);
    else
        doctor_say(p->d, took > SLOW_US ? DOCTOR_WARN : DOCTOR_OK, "store",
                   "Redis can be written, a write takes %.1f ms", (double)took / 1000);
    freeReplyObject(reply);
    return reply != NULL;
}

static void read_info(struct patient *p)
{
    const char *info[] = { "INFO" };
    struct error err = { 0 };
    redisReply *reply = ask(p, 1, info, &err);
    if (reply && reply->str)
        p->info = mem_dup(reply->str);
    else
        doctor_say(p->d, DOCTOR_WARN, "store", "INFO: %s", err.msg);
    freeReplyObject(reply);
}

void doctor_redis(struct doctor *d, const char *url, bool managed)
{
    struct error err = { 0 };
    struct patient p = { .d = d, .conn = redis_conn_new(url, &err) };
    if (!p.conn || redis_conn_ready(p.conn, &err) < 0) {
        doctor_say(d, DOCTOR_FAIL, "store", "%s", err.msg);
    } else if (check_write(&p)) {
        read_info(&p);
        check_state(&p);
        if (managed)
            check_info(&p);
        else
            check_config(&p);
    }
    redis_conn_free(p.conn);
    free(p.info);
}
