#include "callback-receiver/redis_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/redis_tls.h"
#include "callback-receiver/redis_url.h"
#include "shared/base/backoff.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "shared/base/opts.h"

#define CONNECT_MS      2000
#define COMMAND_MS      5000
#define BACKOFF_BASE_MS 50
#define BACKOFF_CAP_MS  2000
#define SHA1_HEX        40

struct redis_conn {
    struct redis_url url;
    redisContext *c; /* NULL: not connected */
    char sha[REDIS_SCRIPTS][SHA1_HEX + 1];
    unsigned failures;   /* to connect, one after another */
    int64_t next_try_ms; /* monotonic */
    struct error last;   /* of the last try */
};

struct redis_conn *redis_conn_new(const char *url, struct error *err)
{
    struct redis_conn *r = mem_alloc(sizeof(*r));
    if (redis_url_parse(url, &r->url, err) < 0) {
        free(r);
        return NULL;
    }
    if (r->url.tls && !redis_tls_available()) {
        error_set(err, ERR_INVALID, 0,
                  "rediss:// needs a hiredis with TLS (1.0 or later with hiredis_ssl), which this "
                  "build has not: use redis://");
        redis_conn_free(r);
        return NULL;
    }
    return r;
}

void redis_conn_free(struct redis_conn *r)
{
    if (!r)
        return;
    redis_conn_drop(r);
    redis_url_release(&r->url);
    free(r);
}

void redis_conn_drop(struct redis_conn *r)
{
    if (r->c)
        redisFree(r->c);
    r->c = NULL;
}

/* The connection itself has failed. */
static int lost(struct redis_conn *r, struct error *err)
{
    bool late = r->c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
    error_set(err, late ? ERR_TIMEOUT : ERR_NET, 0, "Redis: %s",
              late ? "no answer in time" : r->c->errstr);
    redis_conn_drop(r);
    return -1;
}

/* ---- error answers ------------------------------------------------------------------------- */

enum blame {
    OURS,     /* the same again fails again */
    LATER,    /* not the connection's fault */
    ELSEWHERE /* another connection may help */
};

static const struct {
    const char *word;
    enum error_code code;
    enum blame blame;
} answers[] = {
    { "MOVED", ERR_UNAVAILABLE, ELSEWHERE },
    { "ASK", ERR_UNAVAILABLE, ELSEWHERE },
    { "READONLY", ERR_UNAVAILABLE, ELSEWHERE },
    { "MASTERDOWN", ERR_UNAVAILABLE, ELSEWHERE },
    { "UNBLOCKED", ERR_UNAVAILABLE, ELSEWHERE },
    { "NOSCRIPT", ERR_UNAVAILABLE, ELSEWHERE }, /* to connect is to load them */
    { "NOGROUP", ERR_UNAVAILABLE, ELSEWHERE },  /* or to make it */
    { "LOADING", ERR_UNAVAILABLE, LATER },
    { "CLUSTERDOWN", ERR_UNAVAILABLE, LATER },
    { "TRYAGAIN", ERR_UNAVAILABLE, LATER },
    { "BUSY", ERR_UNAVAILABLE, LATER },
    { "NOREPLICAS", ERR_UNAVAILABLE, LATER },
    { "MISCONF", ERR_UNAVAILABLE, LATER },
    { "OOM", ERR_UNAVAILABLE, LATER },
    { "NOAUTH", ERR_DENIED, ELSEWHERE },
    { "WRONGPASS", ERR_DENIED, OURS },
    { "NOPERM", ERR_DENIED, OURS },
    { "WRONGTYPE", ERR_CONFLICT, OURS },
};

/* An error inside a script comes as "ERR Error running script ...: WORD ..." from older servers. */
static bool names(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if ((at == text || at[-1] == ' ' || at[-1] == '-') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static int refused(struct redis_conn *r, const redisReply *reply, bool *again, struct error *err)
{
    *again = false;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        if (!names(reply->str, answers[i].word))
            continue;
        *again = answers[i].blame == ELSEWHERE;
        if (answers[i].blame != OURS)
            redis_conn_drop(r);
        return error_set(err, answers[i].code, 0, "Redis: %s", reply->str);
    }
    return error_set(err, ERR_IO, 0, "Redis: %s", reply->str);
}

/* ---- commands ------------------------------------------------------------------------------ */

void redis_conn_send(struct redis_conn *r, int argc, const char **argv, size_t *lens)
{
    for (int i = 0; i < argc; i++)
        if (lens[i] == SIZE_MAX)
            lens[i] = strlen(argv[i]);
    /* It fails only where memory does or a connection has failed, which collect says. */
    if (r->c)
        (void)redisAppendCommandArgv(r->c, argc, argv, lens);
}

void redis_conn_send_script(struct redis_conn *r, enum redis_script which, int argc,
                            const char **argv, size_t *lens)
{
    argv[0] = "EVALSHA";
    argv[1] = r->sha[which];
    argv[2] = "1";
    lens[0] = lens[1] = lens[2] = SIZE_MAX;
    redis_conn_send(r, argc, argv, lens);
}

static void free_replies(redisReply **replies, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        freeReplyObject(replies[i]);
        replies[i] = NULL;
    }
}

int redis_conn_collect(struct redis_conn *r, redisReply **replies, size_t count, bool *again,
                       struct error *err)
{
    *again = true;
    if (!r->c)
        return error_set(err, ERR_UNAVAILABLE, 0, "Redis: not connected");
    const redisReply *first = NULL;
    for (size_t i = 0; i < count; i++) {
        void *reply = NULL;
        if (redisGetReply(r->c, &reply) != REDIS_OK) {
            free_replies(replies, i);
            return lost(r, err);
        }
        replies[i] = reply;
        if (replies[i]->type == REDIS_REPLY_ERROR && !first)
            first = replies[i];
    }
    if (!first)
        return 0;
    refused(r, first, again, err);
    free_replies(replies, count);
    return -1;
}

/* ---- connecting ---------------------------------------------------------------------------- */

/* One command, its answer; NULL with *err. */
static redisReply *ask(struct redis_conn *r, int argc, const char **argv, struct error *err)
{
    size_t lens[8];
    redisReply *reply = NULL;
    bool again;
    for (int i = 0; i < argc; i++)
        lens[i] = SIZE_MAX;
    redis_conn_send(r, argc, argv, lens);
    return redis_conn_collect(r, &reply, 1, &again, err) == 0 ? reply : NULL;
}

static int say(struct redis_conn *r, int argc, const char **argv, struct error *err)
{
    redisReply *reply = ask(r, argc, argv, err);
    freeReplyObject(reply);
    return reply ? 0 : -1;
}

static int log_in(struct redis_conn *r, struct error *err)
{
    const struct redis_url *u = &r->url;
    const char *auth[] = { "AUTH", u->user ? u->user : u->password, u->password };
    char db[16];
    snprintf(db, sizeof(db), "%d", u->db);
    const char *select[] = { "SELECT", db };
    if (u->password && say(r, u->user ? 3 : 2, auth, err) < 0) {
        if (err->code == ERR_IO)
            err->code = ERR_DENIED;
        return -1;
    }
    return u->db ? say(r, 2, select, err) : 0;
}

static int load_scripts(struct redis_conn *r, struct error *err)
{
    for (enum redis_script i = 0; i < REDIS_SCRIPTS; i++) {
        const char *load[] = { "SCRIPT", "LOAD", redis_script_text(i) };
        redisReply *reply = ask(r, 3, load, err);
        if (!reply)
            return -1;
        bool ok = reply->type == REDIS_REPLY_STRING && reply->len == SHA1_HEX;
        if (ok)
            memcpy(r->sha[i], reply->str, SHA1_HEX);
        freeReplyObject(reply);
        if (!ok)
            return error_set(err, ERR_PROTOCOL, 0, "Redis: no answer to SCRIPT LOAD");
    }
    return 0;
}

/* The version is written once, by the first receiver, before anything else. A later version of this
 * program that changes the layout raises it in the script that changes the data. */
static int check_layout(struct redis_conn *r, struct error *err)
{
    const char *check[] = { "EVALSHA", r->sha[REDIS_CHECK], "1", REDIS_PREFIX };
    redisReply *reply = ask(r, 4, check, err);
    if (!reply)
        return -1;
    int rc = reply->type == REDIS_REPLY_STRING && reply->len == 0
                 ? 0
                 : error_set(err, ERR_CONFLICT, 0, "Redis: the key %s is somebody else's",
                             reply->str ? reply->str : "");
    freeReplyObject(reply);
    char own[16];
    snprintf(own, sizeof(own), "%d", REDIS_SCHEMA);
    const char *set[] = { "SET", REDIS_PREFIX "schema", own, "NX" };
    const char *get[] = { "GET", REDIS_PREFIX "schema" };
    if (rc < 0 || !(reply = ask(r, 2, get, err)))
        return -1;
    if (reply->type == REDIS_REPLY_NIL) {
        freeReplyObject(reply);
        if (say(r, 4, set, err) < 0 || !(reply = ask(r, 2, get, err)))
            return -1;
    }
    int64_t version;
    if (opts_int(reply->str ? reply->str : "", 1, INT32_MAX, &version) < 0)
        rc = error_set(err, ERR_CONFLICT, 0, "Redis: %sschema is no version", REDIS_PREFIX);
    else if (version > REDIS_SCHEMA)
        rc = error_set(err, ERR_CONFLICT, 0,
                       "Redis: the callbacks there have version %d, this program knows up to %d",
                       (int)version, REDIS_SCHEMA);
    freeReplyObject(reply);
    return rc;
}

static int connect_now(struct redis_conn *r, struct error *err)
{
    struct timeval limit = { .tv_sec = CONNECT_MS / 1000, .tv_usec = CONNECT_MS % 1000 * 1000 };
    struct timeval command = { .tv_sec = COMMAND_MS / 1000 };
    r->c = redisConnectWithTimeout(r->url.host, r->url.port, limit);
    if (!r->c)
        return error_set(err, ERR_NET, 0, "Redis: out of memory");
    if (r->c->err) {
        error_set(err, ERR_NET, 0, "Redis at %s:%d: %s", r->url.host, r->url.port, r->c->errstr);
        return -1;
    }
    if (redisSetTimeout(r->c, command) != REDIS_OK || redisEnableKeepAlive(r->c) != REDIS_OK)
        return error_set(err, ERR_NET, 0, "Redis: %s", r->c->errstr);
    if (r->url.tls && redis_tls_start(r->c, r->url.host, err) < 0)
        return -1;
    return log_in(r, err) < 0 || load_scripts(r, err) < 0 ? -1 : check_layout(r, err);
}

int redis_conn_ready(struct redis_conn *r, struct error *err)
{
    int64_t now = clock_mono_ms(clock_system());
    if (r->c)
        return 0;
    if (now < r->next_try_ms) {
        if (err)
            *err = r->last;
        return -1;
    }
    if (connect_now(r, &r->last) == 0) {
        r->failures = 0;
        return 0;
    }
    redis_conn_drop(r);
    r->failures += r->failures < 30;
    r->next_try_ms = clock_mono_ms(clock_system()) +
                     backoff_full_jitter_ms(BACKOFF_BASE_MS, BACKOFF_CAP_MS, r->failures);
    if (err)
        *err = r->last;
    return -1;
}
