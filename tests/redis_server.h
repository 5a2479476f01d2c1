/* redis_server.h - a Redis of its own for a test: started on a free port, with a folder of its own,
 * gone with the test. A failed call fails the test. */
#ifndef TESTS_REDIS_SERVER_H
#define TESTS_REDIS_SERVER_H

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "local/stack/program.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

struct redis_server {
    struct program *program; /* NULL: there is no redis-server here */
    char *dir;
    int port;
    char url[64];
};

static inline const char *redis_server_path(void)
{
    static const char *const paths[] = { "/usr/bin/redis-server", "/usr/local/bin/redis-server" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (access(paths[i], X_OK) == 0)
            return paths[i];
    return NULL;
}

/* A connection to a server that answers, or NULL. */
static inline redisContext *redis_server_try(const struct redis_server *r)
{
    redisContext *c = redisConnect("127.0.0.1", r->port);
    redisReply *reply = c->err ? NULL : redisCommand(c, "PING");
    bool up = reply && (!reply->str || strncmp(reply->str, "LOADING", 7) != 0);
    freeReplyObject(reply);
    if (up)
        return c;
    redisFree(c);
    return NULL;
}

/* It answers; false where it has ended instead. */
static inline bool redis_server_up(const struct redis_server *r)
{
    for (int i = 0; i < 1000 && program_running(r->program); i++) {
        redisContext *c = redis_server_try(r);
        if (c) {
            redisFree(c);
            return program_running(r->program); /* and it was not another's that answered */
        }
        clock_sleep_ms(clock_system(), 10);
    }
    return false;
}

/* A connection for the test itself. */
static inline redisContext *redis_server_connect(const struct redis_server *r)
{
    for (int i = 0; i < 1000; i++) {
        redisContext *c = redis_server_try(r);
        if (c)
            return c;
        clock_sleep_ms(clock_system(), 10);
    }
    cr_assert_fail("redis-server does not answer");
    return NULL;
}

/* One command, for its effect; the answer must not be an error. Returns an integer answer. */
static inline long long redis_server_say(const struct redis_server *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline long long redis_server_say(const struct redis_server *r, const char *format, ...)
{
    redisContext *c = redis_server_connect(r);
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(c, format, args);
    va_end(args);
    cr_assert(reply && reply->type != REDIS_REPLY_ERROR, "%s: %s", format,
              reply ? reply->str : c->errstr);
    long long number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    redisFree(c);
    return number;
}

/* Every write is on the disk when it is answered. `more` (NULL-ended, may be NULL) goes to the
 * command line. Leaves program NULL, and says why, where there is no redis-server. */
static inline void redis_server_start(struct redis_server *r, const char *const *more)
{
    struct error err;
    const char *path = redis_server_path();
    *r = (struct redis_server){ .port = program_free_port() };
    if (!path) {
        fprintf(stderr, "skipped: redis-server is not installed\n");
        return;
    }
    r->dir = folder_new("test_redis", &err);
    cr_assert_not_null(r->dir, "%s", err.msg);
    auto_free char *log = mem_printf("%s/log", r->dir);
    const char *argv[32] = { path,    "--port",        NULL,     "--bind", "127.0.0.1",
                             "--dir", r->dir,          "--save", "",       "--appendonly",
                             "yes",   "--appendfsync", "always" };
    for (size_t n = 13; more && *more && n < ARRAY_LEN(argv) - 1; n++)
        argv[n] = *more++;
    const char *env[] = { "LC_ALL=C", NULL };
    /* Another test may have taken the port meanwhile, or the one that a cluster's bus has. */
    for (int tries = 0; tries < 5; tries++) {
        auto_free char *next = mem_printf("%d", r->port);
        argv[2] = next;
        r->program = program_start(argv, env, log, &err);
        cr_assert_not_null(r->program, "%s", err.msg);
        if (redis_server_up(r))
            break;
        program_free(MOVE(r->program));
        r->port = program_free_port();
    }
    cr_assert_not_null(r->program, "redis-server does not start");
    snprintf(r->url, sizeof(r->url), "redis://127.0.0.1:%d", r->port);
}

/* SIGKILL, and the same server again where it has left off. */
static inline void redis_server_restart(struct redis_server *r)
{
    struct error err;
    bool up = false;
    for (int tries = 0; tries < 5 && !up; tries++) {
        program_kill(r->program);
        cr_assert_eq(program_restart(r->program, &err), 0, "%s", err.msg);
        up = redis_server_up(r);
    }
    cr_assert(up, "redis-server does not start again");
}

static inline void redis_server_stop(struct redis_server *r)
{
    struct error err;
    if (!r->program)
        return;
    program_kill(r->program);
    program_free(r->program);
    cr_assert_eq(folder_remove(r->dir, &err), 0, "%s", err.msg);
    free(r->dir);
}

#endif
