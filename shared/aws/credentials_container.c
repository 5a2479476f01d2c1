/* Credentials from the container's endpoint: ECS task roles, EKS Pod Identity. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shared/aws/credentials_source.h"
#include "shared/aws/http.h"
#include "shared/base/json.h"

#define ECS_HOST    "http://169.254.170.2"
#define TOKEN_BYTES (16U << 10)
#define ANSWER_MAX  (64U << 10)
#define TIMEOUT_MS  2000
#define AHEAD_MS    (5 * 60 * INT64_C(1000)) /* fetched anew so long before they expire */
#define AGAIN_MS    (10 * INT64_C(1000))     /* not asked more often while it fails */

struct container {
    struct credentials_source source; /* first */
    const struct clock *clock;
    struct http_client *http;
    char *url;
    char *token;
    char *token_file;
    char *access_key; /* NULL: none fetched yet */
    char *secret_key;
    char *session_token;
    int64_t expires_ms; /* wall clock; INT64_MAX: they last */
    int64_t asked_ms;   /* when the last fetch failed, monotonic; 0: it did not */
    struct error why;   /* of it */
};

/* ---- where to ask ---------------------------------------------------------------------------- */

/* Plain http only to where no other machine can listen or answer. */
static bool local_host(const char *host)
{
    static const char *const allowed[] = { "localhost", "169.254.170.2", "169.254.170.23" };
    struct in_addr v4;
    struct in6_addr v6, eks;
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (strcasecmp(host, allowed[i]) == 0)
            return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&v6) ||
            (inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1 && memcmp(&v6, &eks, sizeof(v6)) == 0));
}

static bool printable(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s == 0x7f)
            return false;
    return true;
}

static char *full_url(const char *url, struct error *err)
{
    size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                    : strncasecmp(url, "https://", 8) == 0 ? 8
                                                           : 0;
    const char *rest = scheme ? url + scheme : url;
    size_t authority = strcspn(rest, "/?#");
    auto_free char *host = mem_dup_len(rest, authority);
    if (scheme == 0 || authority == 0 || strchr(host, '@') || !printable(url)) {
        error_set(err, ERR_INVALID, 0, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL");
        return NULL;
    }
    char *name = host;
    if (*name == '[') {
        name++;
        name[strcspn(name, "]")] = '\0';
    } else {
        name[strcspn(name, ":")] = '\0';
    }
    if (scheme == 7 && !local_host(name)) {
        error_set(
            err, ERR_INVALID, 0,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI: http is allowed to the loopback interface and "
            "the addresses of ECS and EKS only, else https");
        return NULL;
    }
    return mem_dup(url);
}

char *credentials_container_url(const struct credentials_container *c, struct error *err)
{
    if (!c->relative_uri && c->full_uri)
        return full_url(c->full_uri, err);
    if (c->relative_uri && c->relative_uri[0] == '/' && printable(c->relative_uri))
        return mem_printf("%s%s", ECS_HOST, c->relative_uri);
    error_set(err, ERR_INVALID, 0, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path");
    return NULL;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* What goes into the Authorization header, or nothing (*out NULL). */
static int read_token(const struct container *c, char **out, struct error *err)
{
    *out = NULL;
    if (!c->token_file) {
        *out = mem_dup(c->token);
    } else {
        char text[TOKEN_BYTES + 1];
        auto_close int fd = open(c->token_file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
        if (n < 0)
            return error_set_errno(err, errno, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        if ((size_t)n == sizeof(text))
            return error_set(err, ERR_INVALID, 0,
                             "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is too large");
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        *out = mem_dup_len(text, (size_t)n);
        mem_wipe(text, sizeof(text));
    }
    if (!*out || !strpbrk(*out, "\r\n"))
        return 0;
    mem_free_secret(MOVE(*out));
    return error_set(err, ERR_INVALID, 0, "the container's authorization token has line breaks");
}

static void forget_keys(struct container *c)
{
    mem_free_secret(MOVE(c->access_key));
    mem_free_secret(MOVE(c->secret_key));
    mem_free_secret(MOVE(c->session_token));
}

/* {"AccessKeyId","SecretAccessKey","Token","Expiration"} */
static int take(struct container *c, const struct http_response *resp, struct error *err)
{
    auto_json struct json_object *o = NULL;
    struct error ignored;
    if (resp->status != 200)
        return error_set(err, ERR_DENIED, resp->status, "it answered with status %d", resp->status);
    if (json_parse(buf_str(&resp->body), resp->body.len, JSON_DEPTH, &o, &ignored) < 0)
        return error_set(err, ERR_DENIED, 0, "its answer is not JSON");
    const char *access_key = json_get_str(o, "AccessKeyId");
    const char *secret_key = json_get_str(o, "SecretAccessKey");
    const char *expiration = json_get_str(o, "Expiration");
    int64_t expires_ms = INT64_MAX;
    if (!access_key || !access_key[0] || !secret_key || !secret_key[0])
        return error_set(err, ERR_DENIED, 0, "its answer has no keys");
    if (expiration && clock_parse(expiration, &expires_ms) < 0)
        return error_set(err, ERR_DENIED, 0, "its answer's Expiration is not a time");
    forget_keys(c);
    c->access_key = mem_dup(access_key);
    c->secret_key = mem_dup(secret_key);
    c->session_token = mem_dup(json_get_str(o, "Token"));
    c->expires_ms = expires_ms;
    return 0;
}

static int fetch(struct container *c, struct error *err)
{
    auto_secret char *token = NULL;
    auto_response struct http_response resp = { 0 };
    if (read_token(c, &token, err) < 0)
        return -1;
    const struct http_header headers[] = { { "Accept", "application/json" },
                                           { token ? "Authorization" : NULL, token },
                                           { NULL, NULL } };
    const struct http_request req = { .method = "GET",
                                      .url = c->url,
                                      .headers = headers,
                                      .connect_timeout_ms = TIMEOUT_MS,
                                      .timeout_ms = TIMEOUT_MS,
                                      .max_response = ANSWER_MAX };
    const struct http_retry retry = {
        .attempts = 3, .base_ms = 100, .cap_ms = 1000, .clock = c->clock
    };
    int rc = http_send_retry(c->http, &req, &retry, &resp, err);
    if (rc == 0)
        rc = take(c, &resp, err);
    mem_wipe(resp.body.data, resp.body.len);
    return rc;
}

static int container_get(struct credentials_source *s, struct credentials *out, struct error *err)
{
    struct container *c = (struct container *)s;
    int64_t now = clock_wall_ms(c->clock), mono = clock_mono_ms(c->clock);
    bool fresh = c->access_key && (c->expires_ms == INT64_MAX || now < c->expires_ms - AHEAD_MS);
    bool soon = c->asked_ms && mono - c->asked_ms < AGAIN_MS;
    if (!fresh && !soon) {
        c->asked_ms = fetch(c, &c->why) < 0 ? mono : 0;
        soon = c->asked_ms != 0;
    }
    if (!c->access_key || (soon && now >= c->expires_ms))
        return error_set(err, ERR_DENIED, 0, "the container's endpoint gives none: %s", c->why.msg);
    *out = (struct credentials){ .access_key = c->access_key,
                                 .secret_key = c->secret_key,
                                 .session_token = c->session_token };
    return 0;
}

static void container_forget(struct credentials_source *s)
{
    struct container *c = (struct container *)s;
    c->expires_ms = 0;
}

static void container_free(struct credentials_source *s)
{
    struct container *c = (struct container *)s;
    forget_keys(c);
    http_client_free(c->http);
    mem_free_secret(c->token);
    free(c->token_file);
    free(c->url);
    free(c);
}

struct credentials_source *credentials_container_new(const struct credentials_container *cfg,
                                                     const struct clock *clock, struct error *err)
{
    char *url = credentials_container_url(cfg, err);
    if (!url)
        return NULL;
    struct container *c = mem_alloc(sizeof(*c));
    c->source = (struct credentials_source){ .get = container_get,
                                             .forget = container_forget,
                                             .free = container_free };
    c->clock = clock;
    c->url = url;
    c->token = mem_dup(cfg->token);
    c->token_file = mem_dup(cfg->token_file);
    c->http = http_client_new(err);
    if (c->http)
        return &c->source;
    container_free(&c->source);
    return NULL;
}
