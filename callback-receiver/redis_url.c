#include "callback-receiver/redis_url.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/encode.h"
#include "shared/base/opts.h"

#define PORT   6379
#define DB_MAX 65535

void redis_url_release(struct redis_url *u)
{
    free(u->host);
    mem_free_secret(u->user);
    mem_free_secret(u->password);
    memset(u, 0, sizeof(*u));
}

static int bad(struct error *err, const char *what)
{
    return error_set(err, ERR_INVALID, 0, "%s: redis://USER:PASSWORD@HOST:PORT/DB", what);
}

/* "USER:PASSWORD", ":PASSWORD", or "PASSWORD"-less "USER". */
static int parse_user(const char *s, size_t len, struct redis_url *u, struct error *err)
{
    const char *colon = memchr(s, ':', len);
    size_t user_len = colon ? (size_t)(colon - s) : len;
    auto_secret char *user = mem_dup_len(s, user_len);
    auto_secret char *password = colon ? mem_dup_len(colon + 1, len - user_len - 1) : NULL;
    if (!password || !*password)
        return bad(err, "a user needs a password");
    u->password = decode_percent(password, strlen(password));
    if (*user)
        u->user = decode_percent(user, strlen(user));
    if (!u->password || (*user && !u->user))
        return bad(err, "user or password is not percent-encoded");
    return 0;
}

static int parse_host(const char *s, size_t len, struct redis_url *u, struct error *err)
{
    const char *end = s + len, *host = s, *host_end, *port;
    if (len > 0 && *s == '[') {
        host++;
        host_end = memchr(s, ']', len);
        if (!host_end)
            return bad(err, "a bracket is not closed");
        port = host_end + 1;
    } else {
        host_end = memchr(s, ':', len);
        host_end = host_end ? host_end : end;
        port = host_end;
    }
    if (host_end == host)
        return bad(err, "the host is missing");
    u->host = mem_dup_len(host, (size_t)(host_end - host));
    u->port = PORT;
    if (port == end)
        return 0;
    auto_free char *digits = mem_dup_len(port + 1, (size_t)(end - port - 1));
    int64_t number;
    if (*port != ':' || opts_int(digits, 1, 65535, &number) < 0)
        return bad(err, "the port must be 1 to 65535");
    u->port = (int)number;
    return 0;
}

int redis_url_parse(const char *url, struct redis_url *out, struct error *err)
{
    memset(out, 0, sizeof(*out));
    out->tls = strncmp(url, "rediss://", 9) == 0;
    if (!out->tls && strncmp(url, "redis://", 8) != 0)
        return bad(err, "not a Redis URL");
    const char *s = url + (out->tls ? 9 : 8);
    size_t len = strcspn(s, "/?#");
    const char *path = s + len;
    const char *at = NULL;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '@')
            at = s + i;
    int64_t db = 0;
    int rc = at ? parse_user(s, (size_t)(at - s), out, err) : 0;
    const char *host = at ? at + 1 : s;
    if (rc == 0)
        rc = parse_host(host, (size_t)(path - host), out, err);
    if (rc == 0 && *path && strcmp(path, "/") != 0 &&
        (*path != '/' || opts_int(path + 1, 0, DB_MAX, &db) < 0))
        rc = bad(err, "the database must be a number");
    out->db = (int)db;
    if (rc < 0)
        redis_url_release(out);
    return rc;
}
