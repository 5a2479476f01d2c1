#include "tests/integration/rig.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "tests/integration/rig_internal.h"

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

/* Takes `text` ("NAME=value", new memory) into the environment; a NAME that is there is replaced.
 */
static void put_env(char **env, char *text)
{
    size_t i = 0, name = strcspn(text, "=") + 1;
    while (env[i] && strncmp(env[i], text, name) != 0)
        i++;
    cr_assert_lt(i, ENV_MAX - 1);
    free(env[i]);
    env[i] = text;
}

static void make_env(struct rig *r, const char *const *more)
{
    static const char *const fixed[] = { "LISTEN=127.0.0.1:0",         "OPS_LISTEN=127.0.0.1:0",
                                         "AWS_REGION=us-east-1",       "AWS_ACCESS_KEY_ID=test",
                                         "AWS_SECRET_ACCESS_KEY=test", "RETRY_BASE_MS=20",
                                         "RETRY_CAP_MS=200",           "LOG_LEVEL=debug" };
    put_env(r->env, mem_printf("CALLBACK_TOKEN_KEYS=%s", RIG_KEYS));
    const struct rig *shared = r->shared ? r->shared : r;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        put_env(r->env, mem_dup(fixed[i]));
    put_env(r->env, mem_printf("AWS_ENDPOINT_URL=http://%s", httpd_address(shared->lambda)));
    put_env(r->env, shared->redis.program ? mem_printf("CALLBACK_STORE=%s", shared->redis.url)
                                          : mem_printf("CALLBACK_STORE=sqlite:%s/c.db", r->dir));
    put_env(r->env, mem_printf("ASAN_OPTIONS=%s", text_of("ASAN_OPTIONS")));
    put_env(r->env, mem_printf("UBSAN_OPTIONS=%s", text_of("UBSAN_OPTIONS")));
    for (; more && *more; more++)
        put_env(r->env, mem_dup(*more));
}

static enum rig_store chosen;
static const char *const *run_as;

void rig_run_as(const char *const *argv)
{
    run_as = argv;
}

bool rig_on(enum rig_store store)
{
    chosen = store;
    if (store == RIG_REDIS && !redis_server_path()) {
        fprintf(stderr, "skipped: redis-server is not installed\n");
        return false;
    }
    return true;
}

static struct rig *start(struct rig *first, const char *const *env)
{
    struct rig *r = mem_alloc(sizeof(*r));
    struct error err;
    strcpy(r->dir, "/tmp/test_receiver_XXXXXX");
    cr_assert_not_null(mkdtemp(r->dir));
    snprintf(r->log, sizeof(r->log), "%s/log", r->dir);
    pthread_mutex_init(&r->lock, NULL);
    http_global_init();
    r->client = http_client_new(&err);
    r->shared = first;
    struct httpd_config cfg = { .listen = "127.0.0.1:0",
                                .threads = 1,
                                .max_body = 1U << 20,
                                .handler = rig_on_lambda,
                                .arg = r };
    if (!first) {
        r->lambda = httpd_start(&cfg, &err);
        cr_assert_not_null(r->lambda, "%s", err.msg);
        if (chosen == RIG_REDIS)
            redis_server_start(&r->redis, NULL);
    }
    make_env(r, env);
    auto_free char *path = mem_printf("%s/callback-receiver", bin_dir());
    const char *argv[] = { path, NULL };
    r->program = program_start(run_as ? run_as : argv, (const char *const *)r->env, r->log, &err);
    run_as = NULL;
    cr_assert_not_null(r->program, "%s", err.msg);
    await_ready(r);
    return r;
}

struct rig *rig_start(const char *const *env)
{
    return start(NULL, env);
}

struct rig *rig_join(struct rig *first, const char *const *env)
{
    return start(first, env);
}

pid_t rig_pid(const struct rig *r)
{
    return program_pid(r->program);
}

const char *rig_dir(const struct rig *r)
{
    return r->dir;
}

struct redis_server *rig_redis(struct rig *r)
{
    return &r->redis;
}

int rig_terminate(struct rig *r)
{
    return program_stop(r->program, WAIT_MS);
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
    redis_server_stop(&r->redis);
    for (size_t i = 0; i < ENV_MAX; i++)
        free(r->env[i]);
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

/* In the child: both outputs to `out`, standard input from `in`. */
static void run_command(int in, int out, const char *const *argv, char **env)
{
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execve(argv[0], (char *const *)(uintptr_t)argv, env);
    _exit(127);
}

int rig_command(struct rig *r, const char *const *arguments, const char *const *more,
                const char *input, char **out)
{
    char *env[ENV_MAX] = { NULL };
    const char *argv[24] = { NULL };
    auto_free char *path = mem_printf("%s/callback-receiver", bin_dir());
    FILE *in = tmpfile(), *said = tmpfile();
    int status = 0;
    for (size_t i = 0; r->env[i]; i++)
        put_env(env, mem_dup(r->env[i]));
    put_env(env, mem_printf("OPS_LISTEN=%s", r->ops_url + strlen("http://")));
    for (; more && *more; more++)
        put_env(env, mem_dup(*more));
    argv[0] = path;
    for (size_t n = 1; *arguments && n < ARRAY_LEN(argv) - 1; n++)
        argv[n] = *arguments++;
    cr_assert(in && said);
    if (input)
        fputs(input, in);
    rewind(in);
    pid_t pid = fork();
    if (pid == 0)
        run_command(fileno(in), fileno(said), argv, env);
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    rewind(said);
    auto_buf struct buf b = BUF_INIT(4U << 20);
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof(chunk), said)) > 0)
        buf_add(&b, chunk, got);
    fclose(in);
    fclose(said);
    for (size_t i = 0; i < ENV_MAX; i++)
        free(env[i]);
    *out = buf_take(&b, NULL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int rig_connect(const struct rig *r)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)atoi(strrchr(r->url, ':') + 1)) };
    struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

void rig_send(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        cr_assert_gt(n, 0, "send");
        text += n;
        len -= (size_t)n;
    }
}

char *rig_receive(int fd, const char *until)
{
    auto_buf struct buf b = BUF_INIT(1U << 20);
    char chunk[4096];
    ssize_t n;
    while ((!until || !strstr(buf_str(&b), until)) && (n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
        buf_add(&b, chunk, (size_t)n);
    return mem_dup(buf_str(&b));
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
    struct http_header headers[5] = { { NULL, NULL } };
    size_t n = 0;
    if (ask->token)
        headers[n++] = (struct http_header){ "Authorization", authorization };
    if (ask->type)
        headers[n++] = (struct http_header){ "Content-Type", ask->type };
    if (ask->prefer)
        headers[n++] = (struct http_header){ "Prefer", ask->prefer };
    if (ask->trace)
        headers[n++] = (struct http_header){ "traceparent", ask->trace };
    struct http_request req = { .method = ask->method,
                                .url = url,
                                .headers = headers,
                                .body = ask->body,
                                .body_len = ask->body_len ? ask->body_len
                                            : ask->body   ? strlen(ask->body)
                                                          : 0,
                                .timeout_ms = WAIT_MS * 2 };
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

char *rig_ops_text(struct rig *r, const char *path)
{
    auto_free char *url = mem_printf("%s%s", r->ops_url, path);
    struct http_request req = { .method = "GET", .url = url, .timeout_ms = WAIT_MS };
    auto_response struct http_response resp = { 0 };
    struct error err;
    cr_assert_eq(http_send(r->client, &req, &resp, &err), 0, "%s: %s", path, err.msg);
    cr_assert_eq(resp.status, 200, "%s: %d", path, resp.status);
    return mem_dup_len(buf_str(&resp.body), resp.body.len);
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

/* ---- many at once -------------------------------------------------------------------------- */

struct burst {
    char *url;
    char *token;
    size_t number;
    int status;
    pthread_t thread;
};

/* Not on the test's thread: nothing may be asserted here. */
static void *report_own_result(void *arg)
{
    struct burst *b = arg;
    struct error err;
    auto_response struct http_response resp = { 0 };
    auto_free char *authorization = mem_printf("Bearer %s", b->token);
    auto_free char *body = mem_printf("%zu", b->number);
    struct http_header headers[] = { { "Authorization", authorization }, { NULL, NULL } };
    struct http_client *client = http_client_new(&err);
    struct http_request req = { .method = "POST",
                                .url = b->url,
                                .headers = headers,
                                .body = body,
                                .body_len = strlen(body),
                                .timeout_ms = WAIT_MS };
    b->status = client && http_send(client, &req, &resp, &err) == 0 ? resp.status : 0;
    http_client_free(client);
    return NULL;
}

void rig_burst(struct rig *const *all, size_t count, size_t reports)
{
    struct burst bursts[RIG_BURST_MAX] = { 0 };
    unsigned taken = 0;
    cr_assert_leq(reports, ARRAY_LEN(bursts));
    for (size_t i = 0; i < reports; i++) {
        bursts[i] = (struct burst){ .url = rig_url(all[i % count], RIG_ID, "/success"),
                                    .token = rig_token(RIG_ID, TOKEN_SCOPE_JOB, 3600),
                                    .number = i };
        cr_assert_eq(pthread_create(&bursts[i].thread, NULL, report_own_result, &bursts[i]), 0);
    }
    for (size_t i = 0; i < reports; i++) {
        pthread_join(bursts[i].thread, NULL);
        cr_assert(bursts[i].status == 202 || bursts[i].status == 409, "%d", bursts[i].status);
        taken += bursts[i].status == 202;
        free(bursts[i].url);
        free(bursts[i].token);
    }
    cr_assert_eq(taken, 1);
}
