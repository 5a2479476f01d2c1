#include "tests/integration/fake_receiver.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/httpd.h"

#define REQUESTS_MAX 512
#define BASE         "/v1/callbacks/public-id/"
#define TOKEN        "v1.test.token-of-the-test"
#define OUTPUT_MAX   (256U << 20)

struct fake {
    struct httpd *httpd;
    const struct fake_rule *rules;
    const char *input;
    pthread_mutex_t lock;
    struct fake_request requests[REQUESTS_MAX]; /* under lock; never moved */
    int count;
};

int64_t monotonic_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* ---- the receiver ---------------------------------------------------------------------------- */

static bool to_path(const struct fake_request *req, const char *path)
{
    if (path)
        return strcmp(req->path, path) == 0;
    return strcmp(req->path, "success") == 0 || strcmp(req->path, "failure") == 0;
}

static int count_locked(const struct fake *f, const char *path)
{
    int n = 0;
    for (int i = 0; i < f->count; i++)
        n += to_path(&f->requests[i], path);
    return n;
}

/* Keeps the request; returns the how-manieth of its path it is. */
static int keep(struct fake *f, const struct httpd_request *req, const char *path)
{
    pthread_mutex_lock(&f->lock);
    int n = 0;
    if (f->count < REQUESTS_MAX) {
        struct fake_request *r = &f->requests[f->count];
        const char *type = httpd_header(req, "Content-Type");
        const char *authorization = httpd_header(req, "Authorization");
        const char *body = httpd_body(req, &r->len);
        snprintf(r->path, sizeof(r->path), "%s", path);
        snprintf(r->type, sizeof(r->type), "%s", type ? type : "");
        r->body = mem_dup_len(body, r->len);
        r->authorized = authorization && strcmp(authorization, "Bearer " TOKEN) == 0;
        r->at_ms = monotonic_ms();
        f->count++;
        n = count_locked(f, path);
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

static const struct fake_rule *rule_for(const struct fake *f, const char *path, int n)
{
    for (const struct fake_rule *r = f->rules; r && r->path; r++)
        if (strcmp(r->path, path) == 0 && n >= r->from && (r->count == 0 || n < r->from + r->count))
            return r;
    return NULL;
}

static void obey(struct httpd_request *req, const struct fake_rule *rule)
{
    if (rule->status == FAKE_ABORT) {
        httpd_abort(req);
    } else if (rule->status == FAKE_SILENT) {
        httpd_park(req);
    } else {
        const struct httpd_header headers[] = {
            { rule->retry_after ? "Retry-After" : NULL, rule->retry_after }, { NULL, NULL }
        };
        if (rule->status < 300)
            httpd_reply_json(req, rule->status, "{}", headers);
        else
            httpd_problem(req, rule->status, headers, "As the test ordered.");
    }
}

static void handle(struct httpd_request *req, void *arg)
{
    struct fake *f = arg;
    const char *path = httpd_path(req);
    if (strncmp(path, BASE, strlen(BASE)) != 0) {
        httpd_problem(req, 404, NULL, "Not a path of the test.");
        return;
    }
    path += strlen(BASE);
    const struct fake_rule *rule = rule_for(f, path, keep(f, req, path));
    if (rule)
        obey(req, rule);
    else if (strcmp(path, "input") == 0 && !f->input)
        httpd_problem(req, 404, NULL, "There is no input.");
    else if (strcmp(path, "input") == 0)
        httpd_reply_json(req, 200, f->input, NULL);
    else if (strcmp(path, "heartbeat") == 0)
        httpd_reply_json(req, 200, "{\"state\":\"pending\"}", NULL);
    else
        httpd_reply_json(req, 202, "{\"state\":\"accepted\"}", NULL);
}

struct fake *fake_start(int port, const struct fake_rule *rules, const char *input)
{
    struct error err = { 0 };
    struct fake *f = mem_alloc(sizeof(*f));
    auto_free char *listen = mem_printf("127.0.0.1:%d", port);
    const struct httpd_config cfg = {
        .listen = listen, .threads = 2, .max_body = 4U << 20, .handler = handle, .arg = f
    };
    f->rules = rules;
    f->input = input;
    pthread_mutex_init(&f->lock, NULL);
    f->httpd = httpd_start(&cfg, &err);
    cr_assert_not_null(f->httpd, "%s", err.msg);
    return f;
}

void fake_stop(struct fake *f)
{
    httpd_stop(f->httpd);
    for (int i = 0; i < f->count; i++)
        free(f->requests[i].body);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

int fake_port(const struct fake *f)
{
    return httpd_port(f->httpd);
}

int fake_count(struct fake *f, const char *path)
{
    pthread_mutex_lock(&f->lock);
    int n = count_locked(f, path);
    pthread_mutex_unlock(&f->lock);
    return n;
}

const struct fake_request *fake_get(struct fake *f, const char *path, int n)
{
    const struct fake_request *found = NULL;
    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < f->count && !found; i++)
        if (to_path(&f->requests[i], path) && n-- == 0)
            found = &f->requests[i];
    pthread_mutex_unlock(&f->lock);
    return found;
}

void fake_wait(struct fake *f, const char *path, int count, int64_t timeout_ms)
{
    int64_t until = monotonic_ms() + timeout_ms;
    while (fake_count(f, path) < count) {
        cr_assert_lt(monotonic_ms(), until, "%s: %d of %d requests came", path ? path : "report",
                     fake_count(f, path), count);
        clock_sleep_ms(clock_system(), 5);
    }
}

/* ---- callback-run ---------------------------------------------------------------------------- */

struct line {
    const char *items[64];
    size_t count;
};

static void add(struct line *l, const char *item)
{
    cr_assert_lt(l->count, ARRAY_LEN(l->items) - 1);
    l->items[l->count++] = item;
    l->items[l->count] = NULL;
}

static void add_all(struct line *l, const char *const *items)
{
    for (; items && *items; items++)
        add(l, *items);
}

/* Opened before the fork: afterwards, in a process with threads, nothing may allocate. */
static int stream(const struct job *j, const char *name)
{
    auto_free char *path = mem_printf("%s/%s", j->folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    return fd;
}

static char **copies(const struct line *l)
{
    char **out = mem_array(l->count + 1, sizeof(*out));
    for (size_t i = 0; i < l->count; i++)
        out[i] = mem_dup(l->items[i]);
    return out;
}

static void free_copies(char **list)
{
    for (size_t i = 0; list[i]; i++)
        free(list[i]);
    free(list);
}

static void start(struct job *j, const struct line *args, const struct line *env)
{
    char **argv = copies(args), **vars = copies(env);
    int streams[] = { stream(j, "stdin"), stream(j, "stdout"), stream(j, "stderr") };
    j->started_ms = monotonic_ms();
    j->pid = fork();
    if (j->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int number = 1; number < SIGRTMIN; number++)
            signal(number, SIG_DFL); /* a background job of a shell ignores SIGINT */
        for (int fd = 0; fd <= 2; fd++)
            dup2(streams[fd], fd);
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        execve(argv[0], argv, vars);
        _exit(98);
    }
    cr_assert_gt(j->pid, 0);
    for (int fd = 0; fd <= 2; fd++)
        close(streams[fd]);
    free_copies(argv);
    free_copies(vars);
}

void job_start_args(struct job *j, const struct job_setup *setup, const char *const *args)
{
    *j = (struct job){ 0 };
    snprintf(j->folder, sizeof(j->folder), "/tmp/test-callback-run-XXXXXX");
    cr_assert_not_null(mkdtemp(j->folder));
    auto_free char *binary =
        mem_printf("%s/callback-run", getenv("BIN_DIR") ? getenv("BIN_DIR") : "build/bin");
    auto_free char *url =
        mem_printf("CALLBACK_URL=http://127.0.0.1:%d/v1/callbacks/public-id", setup->port);
    auto_free char *temp = mem_printf("TMPDIR=%s", j->folder);
    auto_free char *folder = mem_printf("FOLDER=%s", j->folder);
    auto_free char *tools = mem_printf("CALLBACK_RUN=%s", binary);
    const char *asan = getenv("ASAN_OPTIONS"), *ubsan = getenv("UBSAN_OPTIONS");
    auto_free char *asan_var = mem_printf("ASAN_OPTIONS=%s", asan ? asan : "");
    auto_free char *ubsan_var = mem_printf("UBSAN_OPTIONS=%s", ubsan ? ubsan : "");

    struct line line = { 0 }, env = { 0 };
    if (setup->shell)
        add_all(&line, (const char *const[]){ "/bin/sh", "-c", setup->shell, "sh", NULL });
    add(&line, binary);
    add_all(&line, setup->options);
    add_all(&line, args);
    add_all(&env, (const char *const[]){ "PATH=/usr/local/bin:/usr/bin:/bin", temp, folder, tools,
                                         asan_var, ubsan_var, NULL });
    if (setup->port > 0)
        add_all(&env, (const char *const[]){ url, "CALLBACK_TOKEN=" TOKEN, NULL });
    add_all(&env, setup->vars);
    start(j, &line, &env);
}

void job_start(struct job *j, const struct job_setup *setup, const char *script)
{
    const char *const none[] = { "--", NULL };
    const char *const command[] = { "--", "/bin/sh", "-c", script, NULL };
    job_start_args(j, setup, script ? command : none);
}

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    struct buf b = BUF_INIT(OUTPUT_MAX);
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        buf_add(&b, chunk, n);
    fclose(file);
    return buf_take(&b, len);
}

char *job_file(const struct job *j, const char *name)
{
    auto_free char *path = mem_printf("%s/%s", j->folder, name);
    return read_file(path, NULL);
}

void job_await_file(const struct job *j, const char *name)
{
    auto_free char *path = mem_printf("%s/%s", j->folder, name);
    int64_t until = monotonic_ms() + 60000;
    while (access(path, F_OK) != 0) {
        cr_assert_lt(monotonic_ms(), until, "%s does not appear", name);
        clock_sleep_ms(clock_system(), 2);
    }
}

void job_let_go(const struct job *j)
{
    auto_free char *path = mem_printf("%s/go", j->folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fclose(file);
}

void job_wait(struct job *j, int64_t timeout_ms)
{
    int64_t until = monotonic_ms() + timeout_ms;
    int status = 0;
    pid_t got;
    while ((got = waitpid(j->pid, &status, WNOHANG)) == 0 && monotonic_ms() < until)
        clock_sleep_ms(clock_system(), 2);
    if (got == 0) {
        kill(j->pid, SIGKILL);
        waitpid(j->pid, &status, 0);
    }
    auto_free char *out = mem_printf("%s/stdout", j->folder);
    auto_free char *err = mem_printf("%s/stderr", j->folder);
    j->out = read_file(out, &j->out_len);
    j->err = read_file(err, &j->err_len);
    cr_assert_eq(got, j->pid, "it did not end in %lld ms; stderr: %s", (long long)timeout_ms,
                 j->err);
    j->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    cr_assert_null(strstr(j->err, TOKEN), "the token is on stderr: %s", j->err);
    cr_assert_null(strstr(j->err, "Sanitizer"), "%s", j->err);
}

void job_release(struct job *j)
{
    DIR *dir = opendir(j->folder);
    cr_assert_not_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            cr_assert_eq(unlinkat(dirfd(dir), e->d_name, 0), 0, "%s is left behind: %s", e->d_name,
                         strerror(errno));
    closedir(dir);
    cr_assert_eq(rmdir(j->folder), 0);
    free(j->out);
    free(j->err);
    *j = (struct job){ 0 };
}

bool alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}
