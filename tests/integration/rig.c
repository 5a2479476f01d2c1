#include "tests/integration/rig.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"

#define PATH_PREFIX "/2025-12-01/durable-execution-callbacks/"
#define WAIT_MS     15000

struct rig {
    char dir[64];
    char log[96];
    char *url;
    char *ops_url;
    struct program *program;
    struct httpd *lambda;
    struct http_client *client;
    pthread_mutex_t lock;
    /* Under lock. */
    enum rig_lambda first, then;
    unsigned first_left;
    unsigned calls;
    bool odd; /* a call that makes no sense */
    struct rig_call last;
    struct httpd_request *hanging[16];
    size_t hanging_count;
};

/* ---- Lambda -------------------------------------------------------------------------------- */

/* Not on the test's thread: nothing may be asserted here. */
static void note(struct rig *r, struct httpd_request *req)
{
    const char *path = httpd_path(req), *verb = strrchr(path, '/');
    size_t len;
    const char *body = httpd_body(req, &len);
    r->calls++;
    if (strncmp(path, PATH_PREFIX, strlen(PATH_PREFIX)) != 0 ||
        !httpd_header(req, "Authorization")) {
        r->odd = true;
        return;
    }
    const char *id = path + strlen(PATH_PREFIX);
    auto_free char *decoded = decode_percent(id, (size_t)(verb - id));
    snprintf(r->last.verb, sizeof(r->last.verb), "%s", verb + 1);
    snprintf(r->last.callback_id, sizeof(r->last.callback_id), "%s", decoded ? decoded : "?");
    free(r->last.body);
    r->last.body = mem_dup_len(body, len);
}

static void error_answer(struct httpd_request *req, int status, const char *code)
{
    struct httpd_header headers[] = { { "x-amzn-ErrorType", code }, { NULL, NULL } };
    httpd_reply_json(req, status, "{\"message\":\"as ordered\"}", headers);
}

static void on_lambda(struct httpd_request *req, void *arg)
{
    struct rig *r = arg;
    pthread_mutex_lock(&r->lock);
    note(r, req);
    enum rig_lambda what = r->first_left > 0 ? r->first : r->then;
    r->first_left -= r->first_left > 0;
    if (what == RIG_HANGS) {
        httpd_park(req);
        r->hanging[r->hanging_count++] = req;
    }
    pthread_mutex_unlock(&r->lock);
    switch (what) {
    case RIG_TAKES:
        httpd_reply_json(req, 200, "{}", NULL);
        break;
    case RIG_THROTTLES:
        error_answer(req, 429, "TooManyRequestsException");
        break;
    case RIG_FAILS:
        error_answer(req, 500, "ServiceException");
        break;
    case RIG_DENIES:
        error_answer(req, 403, "AccessDeniedException");
        break;
    case RIG_REFUSES:
        error_answer(req, 400, "InvalidParameterValueException");
        break;
    case RIG_CLOSED:
        error_answer(req, 400, "CallbackTimeoutException");
        break;
    case RIG_CUTS:
        httpd_abort(req);
        break;
    case RIG_HANGS:
        break;
    }
}

void rig_lambda(struct rig *r, enum rig_lambda first, unsigned count, enum rig_lambda then)
{
    pthread_mutex_lock(&r->lock);
    r->first = first;
    r->first_left = count;
    r->then = then;
    pthread_mutex_unlock(&r->lock);
}

void rig_release_calls(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->hanging_count; i++)
        httpd_reply_json(r->hanging[i], 200, "{}", NULL);
    r->hanging_count = 0;
    pthread_mutex_unlock(&r->lock);
}

unsigned rig_calls(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned calls = r->calls;
    pthread_mutex_unlock(&r->lock);
    return calls;
}

struct rig_call rig_last_call(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    struct rig_call call = r->last;
    call.body = mem_dup(r->last.body ? r->last.body : "");
    pthread_mutex_unlock(&r->lock);
    return call;
}

void rig_await_calls(struct rig *r, unsigned count)
{
    int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    while (rig_calls(r) < count) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "Lambda saw %u calls, not %u",
                     rig_calls(r), count);
        clock_sleep_ms(clock_system(), 5);
    }
}

/* ---- the receiver -------------------------------------------------------------------------- */

static void await_ready(struct rig *r)
{
    struct error err;
    cr_assert_eq(program_wait_ready(r->program, WAIT_MS, &err), 0, "%s", err.msg);
    free(r->url);
    free(r->ops_url);
    r->url = program_url(r->program, "callbacks");
    r->ops_url = program_url(r->program, "operations");
    cr_assert(r->url && r->ops_url);
}

static const char *bin_dir(void)
{
    const char *dir = getenv("BIN_DIR");
    return dir ? dir : "build/bin";
}

static const char *text_of(const char *variable)
{
    const char *value = getenv(variable);
    return value ? value : "";
}

static void start_receiver(struct rig *r, const char *const *more)
{
    auto_free char *path = mem_printf("%s/callback-receiver", bin_dir());
    auto_free char *endpoint = mem_printf("AWS_ENDPOINT_URL=http://%s", httpd_address(r->lambda));
    auto_free char *store = mem_printf("CALLBACK_STORE=sqlite:%s/c.db", r->dir);
    const char *env[32] = { "LISTEN=127.0.0.1:0",
                            "OPS_LISTEN=127.0.0.1:0",
                            "CALLBACK_TOKEN_KEYS=" RIG_KEYS,
                            "AWS_REGION=us-east-1",
                            "AWS_ACCESS_KEY_ID=test",
                            "AWS_SECRET_ACCESS_KEY=test",
                            "RETRY_BASE_MS=20",
                            "RETRY_CAP_MS=200",
                            "LOG_LEVEL=debug",
                            endpoint,
                            store };
    size_t n = 11;
    while (more && *more && n < ARRAY_LEN(env) - 3)
        env[n++] = *more++;
    auto_free char *asan = mem_printf("ASAN_OPTIONS=%s", text_of("ASAN_OPTIONS"));
    auto_free char *ubsan = mem_printf("UBSAN_OPTIONS=%s", text_of("UBSAN_OPTIONS"));
    env[n++] = asan;
    env[n++] = ubsan;
    const char *argv[] = { path, NULL };
    struct error err;
    r->program = program_start(argv, env, r->log, &err);
    cr_assert_not_null(r->program, "%s", err.msg);
    await_ready(r);
}

struct rig *rig_start(const char *const *env)
{
    struct rig *r = mem_alloc(sizeof(*r));
    struct error err;
    strcpy(r->dir, "/tmp/test_receiver_XXXXXX");
    cr_assert_not_null(mkdtemp(r->dir));
    snprintf(r->log, sizeof(r->log), "%s/log", r->dir);
    pthread_mutex_init(&r->lock, NULL);
    http_global_init();
    r->client = http_client_new(&err);
    struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 1U << 20, .handler = on_lambda, .arg = r
    };
    r->lambda = httpd_start(&cfg, &err);
    cr_assert_not_null(r->lambda, "%s", err.msg);
    start_receiver(r, env);
    return r;
}

int rig_terminate(struct rig *r)
{
    return program_stop(r->program, 10000);
}

void rig_stop(struct rig *r)
{
    static const char *const files[] = { "c.db", "c.db-wal", "c.db-shm", "log" };
    int status = program_running(r->program) ? rig_terminate(r) : 0;
    auto_free char *text = rig_log(r);
    cr_assert_eq(status, 0, "exit status %d: %s", status, text);
    cr_assert_not(r->odd, "a call to Lambda made no sense");
    cr_assert_null(strstr(text, "v1.k1."), "a token is in the log");
    cr_assert(!r->last.callback_id[0] || !strstr(text, r->last.callback_id),
              "a callback id is in the log");
    program_free(r->program);
    rig_release_calls(r);
    httpd_stop(r->lambda);
    http_client_free(r->client);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        auto_free char *path = mem_printf("%s/%s", r->dir, files[i]);
        unlink(path);
    }
    rmdir(r->dir);
    free(r->last.body);
    free(r->url);
    free(r->ops_url);
    pthread_mutex_destroy(&r->lock);
    free(r);
    http_global_cleanup();
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    auto_buf struct buf b = BUF_INIT(4U << 20);
    char chunk[4096];
    size_t n;
    cr_assert_not_null(f);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    fclose(f);
    return buf_take(&b, NULL);
}

char *rig_refused(const char *const *more)
{
    char dir[] = "/tmp/test_receiver_XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    auto_free char *path = mem_printf("%s/callback-receiver", bin_dir());
    auto_free char *log = mem_printf("%s/log", dir);
    auto_free char *db = mem_printf("%s/c.db", dir);
    auto_free char *store = mem_printf("CALLBACK_STORE=sqlite:%s", db);
    const char *argv[] = { path, NULL };
    const char *env[16] = { store, "OPS_LISTEN=127.0.0.1:0", "AWS_ACCESS_KEY_ID=test" };
    size_t n = 3;
    bool secret = false;
    for (; *more; more++) {
        secret |= strncmp(*more, "AWS_SECRET", 10) == 0;
        for (size_t i = 0; i < n; i++) /* the first of a name counts */
            if (strncmp(env[i], *more, strcspn(*more, "=") + 1) == 0)
                env[i] = "REPLACED=";
        env[n++] = *more;
    }
    if (!secret)
        env[n] = "AWS_SECRET_ACCESS_KEY=test";
    struct error err;
    struct program *p = program_start(argv, env, log, &err);
    cr_assert_not_null(p, "%s", err.msg);
    cr_assert_eq(program_wait_ready(p, WAIT_MS, &err), -1, "it started");
    cr_assert_not(program_running(p));
    cr_assert_eq(program_stop(p, WAIT_MS), 1);
    program_free(p);
    char *said = read_file(log);
    unlink(log);
    unlink(db);
    rmdir(dir);
    return said;
}

void rig_kill(struct rig *r)
{
    program_kill(r->program);
}

void rig_restart(struct rig *r)
{
    struct error err;
    cr_assert_eq(program_restart(r->program, &err), 0, "%s", err.msg);
    await_ready(r);
}

char *rig_log(struct rig *r)
{
    return read_file(r->log);
}

/* ---- requests ------------------------------------------------------------------------------ */

static struct rig_answer send_request(struct rig *r, const struct http_request *req)
{
    struct rig_answer a = { 0 };
    auto_response struct http_response resp = { 0 };
    struct error err;
    cr_assert_eq(http_send(r->client, req, &resp, &err), 0, "%s %s: %s", req->method, req->url,
                 err.msg);
    a.status = resp.status;
    a.body_len = resp.body.len;
    snprintf(a.body, sizeof(a.body), "%s", buf_str(&resp.body));
    http_response_header(&resp, "Content-Type", a.type, sizeof(a.type));
    http_response_header(&resp, "Allow", a.allow, sizeof(a.allow));
    http_response_header(&resp, "Retry-After", a.retry_after, sizeof(a.retry_after));
    http_response_header(&resp, "WWW-Authenticate", a.challenge, sizeof(a.challenge));
    http_response_header(&resp, "Preference-Applied", a.applied, sizeof(a.applied));
    http_response_header(&resp, "Access-Control-Allow-Origin", a.cors, sizeof(a.cors));
    if (a.status >= 400) {
        auto_json struct json_object *o = NULL;
        cr_assert_str_eq(a.type, "application/problem+json", "%d: %s", a.status, a.body);
        if (strcmp(req->method, "HEAD") != 0) {
            cr_assert_eq(json_parse_str(a.body, &o, &err), 0, "%s", a.body);
            cr_assert_eq(json_get_int(o, "status", 0), a.status);
        }
    }
    cr_assert_str_eq(a.cors, "", "no page may read the answers");
    return a;
}

char *rig_url(const struct rig *r, const char *callback_id, const char *what)
{
    char id[TOKEN_PUBLIC_ID];
    token_public_id(callback_id, id);
    return mem_printf("%s/v1/callbacks/%s%s", r->url, id, what);
}

struct rig_answer rig_ask(struct rig *r, const struct rig_ask *ask)
{
    auto_free char *url = rig_url(r, ask->callback_id, ask->what);
    auto_free char *authorization = mem_printf("Bearer %s", ask->token ? ask->token : "");
    struct http_header headers[4] = { { NULL, NULL } };
    size_t n = 0;
    if (ask->token)
        headers[n++] = (struct http_header){ "Authorization", authorization };
    if (ask->type)
        headers[n++] = (struct http_header){ "Content-Type", ask->type };
    if (ask->prefer)
        headers[n++] = (struct http_header){ "Prefer", ask->prefer };
    struct http_request req = { .method = ask->method,
                                .url = url,
                                .headers = headers,
                                .body = ask->body,
                                .body_len = ask->body_len ? ask->body_len
                                            : ask->body   ? strlen(ask->body)
                                                          : 0,
                                .timeout_ms = WAIT_MS * 3 };
    return send_request(r, &req);
}

struct rig_answer rig_say(struct rig *r, const char *method, const char *what, const char *token,
                          const char *type, const char *body)
{
    return rig_ask(r, &(struct rig_ask){ .method = method,
                                         .callback_id = RIG_ID,
                                         .what = what,
                                         .token = token,
                                         .type = type,
                                         .body = body });
}

void rig_expect(struct rig_answer a, int status, const char *text)
{
    cr_assert_eq(a.status, status, "%d: %s", a.status, a.body);
    cr_assert_not_null(strstr(a.body, text), "%s lacks %s", a.body, text);
}

struct rig_answer rig_get(struct rig *r, bool ops, const char *method, const char *path,
                          const struct http_header *headers)
{
    auto_free char *url = mem_printf("%s%s", ops ? r->ops_url : r->url, path);
    struct http_request req = {
        .method = method, .url = url, .headers = headers, .timeout_ms = WAIT_MS
    };
    return send_request(r, &req);
}

char *rig_token(const char *callback_id, enum token_scope scope, int64_t lifetime_s)
{
    struct error err;
    struct token_keys *keys = token_keys_new(RIG_KEYS, NULL, &err);
    struct token_content c = { .scope = scope,
                               .expires_s = clock_wall_ms(clock_system()) / 1000 + lifetime_s };
    auto_buf struct buf b = BUF_INIT(TOKEN_MAX);
    snprintf(c.callback_id, sizeof(c.callback_id), "%s", callback_id);
    cr_assert_eq(token_seal(keys, &c, &b, &err), 0, "%s", err.msg);
    token_keys_free(keys);
    return buf_take(&b, NULL);
}

char *rig_register(struct rig *r, const char *callback_id, const char *more)
{
    auto_free char *launcher = rig_token(callback_id, TOKEN_SCOPE_LAUNCHER, 3600);
    auto_free char *body = mem_printf("{\"input\":{\"n\":1},\"workflow\":\"w\",\"job\":\"j\"%s%s}",
                                      more ? "," : "", more ? more : "");
    struct rig_answer a = rig_ask(r, &(struct rig_ask){ .method = "PUT",
                                                        .callback_id = callback_id,
                                                        .what = "",
                                                        .token = launcher,
                                                        .type = "application/json",
                                                        .body = body });
    cr_assert_eq(a.status, 201, "%s", a.body);
    return rig_token(callback_id, TOKEN_SCOPE_JOB, 3600);
}

char *rig_await_state(struct rig *r, const char *callback_id, const char *state)
{
    auto_free char *launcher = rig_token(callback_id, TOKEN_SCOPE_LAUNCHER, 3600);
    auto_free char *wanted = mem_printf("\"state\":\"%s\"", state);
    int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    for (;;) {
        struct rig_answer a = rig_ask(
            r, &(struct rig_ask){
                   .method = "GET", .callback_id = callback_id, .what = "", .token = launcher });
        if (strstr(a.body, wanted))
            return mem_dup(a.body);
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s never came: %s", state, a.body);
        clock_sleep_ms(clock_system(), 10);
    }
}
