/* The real callback-receiver as a process: how it ends, whom it runs as, what it may write, what it
 * does with more than it can take, how it was built, and what its metrics say of it all. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define ID    RIG_ID
#define OTHER "T3RoZXI="
#define JSON  "application/json"

static void await(bool (*is)(struct rig *r), struct rig *r, const char *what)
{
    int64_t until = clock_mono_ms(clock_system()) + 30000;
    while (!is(r)) {
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s", what);
        clock_sleep_ms(clock_system(), 10);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool unready(struct rig *r)
{
    return rig_get(r, true, "GET", "/readyz", NULL).status == 503;
}

static bool closed(struct rig *r)
{
    int fd = rig_connect(r);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

/* The head of a report and the first byte of its body `[1]`. */
static int half_sent(struct rig *r, const char *id, const char *token)
{
    auto_free char *url = rig_url(r, id, "/success");
    auto_free char *head = mem_printf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                                      "Content-Length: 3\r\n\r\n[",
                                      strchr(url + strlen("http://"), '/'), token);
    int fd = rig_connect(r);
    cr_assert_geq(fd, 0);
    rig_send(fd, head, strlen(head));
    return fd;
}

RIG_TEST(process, sigterm_drains_it_and_keeps_what_waits)
{
    struct rig *r = rig_start((const char *const[]){ "DRAIN_SECONDS=600", NULL });
    auto_free char *job = rig_register(r, ID, NULL);
    auto_free char *other = rig_register(r, OTHER, NULL);
    rig_lambda(r, RIG_FAILS, 0, RIG_FAILS);
    int fd = half_sent(r, OTHER, other);
    cr_assert_eq(rig_get(r, true, "GET", "/readyz", NULL).status, 200);
    cr_assert_eq(kill(rig_pid(r), SIGTERM), 0);
    await(unready, r, "it is still ready");
    rig_expect(rig_say(r, "POST", "/success", job, NULL, "1"), 202, "accepted"); /* served still */
    cr_assert_eq(rig_get(r, true, "GET", "/healthz", NULL).status, 200);
    cr_assert_eq(kill(rig_pid(r), SIGTERM), 0); /* no more waiting */
    await(closed, r, "it still takes connections");
    rig_send(fd, "1]", 2);
    auto_free char *answer = rig_receive(fd, NULL);
    close(fd);
    cr_assert_not_null(strstr(answer, "HTTP/1.1 202"), "in flight is answered: %s", answer);
    cr_assert_not_null(strstr(answer, "Connection: close"), "%s", answer);
    cr_assert_eq(rig_terminate(r), 0);
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    rig_restart(r);
    free(rig_await_state(r, ID, "delivered"));
    free(rig_await_state(r, OTHER, "delivered"));
    cr_assert_eq(kill(rig_pid(r), SIGTERM), 0); /* rig_stop sends the second */
    await(unready, r, "it is still ready");
    rig_stop(r);
}

/* ---- too much -------------------------------------------------------------------------------- */

static char *large_registration(struct rig *r, int i, size_t *len)
{
    char id[] = "QUFBAAA=";
    id[4] = (char)('A' + i / 20);
    id[5] = (char)('A' + i % 20);
    auto_free char *url = rig_url(r, id, "");
    auto_free char *token = rig_token(id, TOKEN_SCOPE_LAUNCHER, 3600);
    size_t body = 1000000;
    auto_free char *head =
        mem_printf("PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"
                   "Content-Length: %zu\r\n\r\n{\"input\":\"",
                   strchr(url + strlen("http://"), '/'), token, JSON, body);
    size_t head_len = strlen(head) - strlen("{\"input\":\"");
    char *all = mem_alloc(head_len + body + 1);
    memset(all, 'x', head_len + body);
    memcpy(all, head, strlen(head));
    memcpy(all + head_len + body - 2, "\"}", 2);
    *len = head_len + body;
    return all;
}

/* A Redis that hangs: what waits for it is bounded, the rest is refused at once, and what was not
 * refused is done when it goes on. */
Test(process, a_full_queue_answers_429)
{
    if (!rig_on(RIG_REDIS))
        return;
    struct rig *r = rig_start((const char *const[]){ "MAX_QUEUED_MIB=2", NULL });
    int fds[24], n = 0, refused = 0, taken = 0;
    struct pollfd any[ARRAY_LEN(fds)];
    bool answered = false;
    cr_assert_eq(kill(program_pid(rig_redis(r)->program), SIGSTOP), 0);
    /* Three transactions take what comes together, whatever its size; what comes behind them fills
     * the queue. */
    for (; n < (int)ARRAY_LEN(fds) && !answered; n++) {
        size_t len;
        auto_free char *text = large_registration(r, n, &len);
        fds[n] = rig_connect(r);
        cr_assert_geq(fds[n], 0);
        rig_send(fds[n], text, len);
        any[n] = (struct pollfd){ .fd = fds[n], .events = POLLIN };
        answered = poll(any, (nfds_t)n + 1, 200) > 0;
    }
    cr_assert_gt(poll(any, (nfds_t)n, 30000), 0, "one is refused while the store hangs");
    cr_assert_eq(kill(program_pid(rig_redis(r)->program), SIGCONT), 0);
    for (int i = 0; i < n; i++) {
        auto_free char *answer = rig_receive(fds[i], "\r\n\r\n");
        close(fds[i]);
        taken += strncmp(answer, "HTTP/1.1 201", 12) == 0;
        if (strncmp(answer, "HTTP/1.1 429", 12) == 0) {
            refused++;
            cr_assert_not_null(strstr(answer, "Retry-After: "), "%s", answer);
        }
    }
    cr_assert_gt(refused, 0, "%d taken, %d refused of %d", taken, refused, n);
    auto_free char *metrics = rig_ops_text(r, "/metrics");
    auto_free char *busy = mem_printf("callback_receiver_busy_total %d\n", refused);
    cr_assert_not_null(strstr(metrics, busy), "%s in %s", busy, metrics);
    auto_free char *registered = mem_printf("callback_receiver_registrations_total %d\n", taken);
    cr_assert_not_null(strstr(metrics, registered), "%s", registered);
    rig_stop(r);
}

Test(process, bodies_that_do_not_fit_together_are_answered_503)
{
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start((const char *const[]){ "MAX_BUFFERED_MIB=2", NULL });
    int fds[3];
    for (int i = 0; i < 3; i++) {
        size_t len;
        auto_free char *text = large_registration(r, i, &len);
        fds[i] = rig_connect(r);
        rig_send(fds[i], text, len - 10); /* not yet all of it */
    }
    size_t len;
    auto_free char *text = large_registration(r, 3, &len);
    auto_free char *answer = NULL;
    int64_t until = clock_mono_ms(clock_system()) + 30000;
    do { /* until the server has read the others */
        int fd = rig_connect(r);
        cr_assert_lt(clock_mono_ms(clock_system()), until, "%s", answer);
        rig_send(fd, text, len);
        free(answer);
        answer = rig_receive(fd, "\r\n\r\n");
        close(fd);
    } while (strncmp(answer, "HTTP/1.1 503", 12) != 0);
    cr_assert_not_null(strstr(answer, "Retry-After: "), "%s", answer);
    auto_free char *job = rig_token(ID, TOKEN_SCOPE_JOB, 60);
    rig_expect(rig_say(r, "POST", "/heartbeat", job, NULL, NULL), 200, "pending");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    rig_stop(r);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static bool delivered_all(struct rig *r)
{
    auto_free char *m = rig_ops_text(r, "/metrics");
    return strstr(m, "callback_receiver_callbacks{state=\"accepted\"} 1\n") &&
           strstr(m, "callback_receiver_ended_total{state=\"delivered\"} 1\n");
}

static bool waits_for_some_time(struct rig *r)
{
    auto_free char *m = rig_ops_text(r, "/metrics");
    const char *at = strstr(m, "\ncallback_receiver_oldest_seconds ");
    return at && strtod(strchr(at + 1, ' '), NULL) > 0.2 &&
           strstr(m, "deliveries_total{outcome=\"throttled\"} 0\n") == NULL;
}

/* One delivered, one dead, one closed, one that waits; a repeat, a conflict, a late one, a forged
 * token, a wrong path. */
static void go_through_all(struct rig *r)
{
    auto_free char *first = rig_register(r, "QUFB", NULL), *launcher = NULL;
    rig_lambda(r, RIG_FAILS, 1, RIG_TAKES);
    struct rig_ask report = {
        .method = "POST", .callback_id = "QUFB", .what = "/success", .token = first, .body = "1"
    };
    rig_expect(rig_ask(r, &report), 202, "");
    free(rig_await_state(r, "QUFB", "delivered"));
    rig_lambda(r, RIG_REFUSES, 1, RIG_THROTTLES);
    auto_free char *dead = rig_register(r, "QUJB", NULL);
    report.callback_id = "QUJB";
    report.token = dead;
    rig_expect(rig_ask(r, &report), 202, "");
    free(rig_await_state(r, "QUJB", "dead"));
    auto_free char *over = rig_register(r, "QUNB", NULL);
    launcher = rig_token("QUNB", TOKEN_SCOPE_LAUNCHER, 60);
    report.callback_id = "QUNB";
    report.token = over;
    rig_expect(rig_ask(r, &report), 202, "");
    struct rig_ask close_it = {
        .method = "DELETE", .callback_id = "QUNB", .what = "", .token = launcher
    };
    rig_expect(rig_ask(r, &close_it), 200, "closed");
    rig_expect(rig_ask(r, &report), 410, "closed");
    auto_free char *waiting = rig_register(r, ID, NULL);
    rig_expect(rig_say(r, "POST", "/heartbeat", waiting, NULL, NULL), 200, "");
    rig_expect(rig_say(r, "POST", "/success", waiting, NULL, "1"), 202, "");
    rig_expect(rig_say(r, "POST", "/success", waiting, NULL, "1"), 202, "");
    rig_expect(rig_say(r, "POST", "/success", waiting, NULL, "2"), 409, "");
    rig_expect(rig_say(r, "POST", "/success", "v1.k1.AAAA", NULL, "2"), 401, "");
    cr_assert_eq(rig_get(r, false, "GET", "/nowhere", NULL).status, 404);
}

RIG_TEST(process, metrics_tell_everything)
{
    static const char *const lines[] = {
        "requests_total{route=\"register\",status=\"201\"} 4",
        "requests_total{route=\"success\",status=\"202\"} 5",
        "requests_total{route=\"success\",status=\"409\"} 1",
        "requests_total{route=\"success\",status=\"410\"} 1",
        "requests_total{route=\"success\",status=\"401\"} 1",
        "requests_total{route=\"heartbeat\",status=\"200\"} 1",
        "requests_total{route=\"close\",status=\"200\"} 1",
        "requests_total{route=\"other\",status=\"404\"} 1",
        "request_seconds_count{route=\"success\"} 8",
        "registrations_total 4",
        "heartbeats_total 1",
        "closes_total 1",
        "denied_total 1",
        "busy_total 0",
        "judged_total 0",
        "reports_total{outcome=\"taken\"} 4", /* accepted */
        "reports_total{outcome=\"same\"} 1",  /* duplicates */
        "reports_total{outcome=\"other\"} 1", /* conflicts */
        "reports_total{outcome=\"over\"} 1",  /* late */
        "deliveries_total{outcome=\"ok\"} 1",
        "deliveries_total{outcome=\"refused\"} 1",
        "deliveries_total{outcome=\"retry\"} 1", /* retries */
        "ended_total{state=\"delivered\"} 1",
        "ended_total{state=\"dead\"} 1",
        "callbacks{state=\"pending\"} 0",
        "callbacks{state=\"accepted\"} 1", /* depth of the queue */
        "callbacks{state=\"delivered\"} 1",
        "callbacks{state=\"dead\"} 1",
        "callbacks{state=\"closed\"} 1",
        "delivery_seconds_count 1",
        "store_up 1",
        "ready 1",
    };
    struct rig *r = rig_start(NULL);
    go_through_all(r);
    await(delivered_all, r, "the counts never came");
    await(waits_for_some_time, r, "the age of the oldest never came");
    auto_free char *metrics = rig_ops_text(r, "/metrics");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        auto_free char *line = mem_printf("\ncallback_receiver_%s\n", lines[i]);
        cr_assert_not_null(strstr(metrics, line), "%s is not in %s", lines[i], metrics);
    }
    static const char *const there[] = { "call_seconds_bucket{le=",
                                         "store_commit_seconds_bucket",
                                         "store_queue ",
                                         "store_commits_total ",
                                         "delivery_rate_limit ",
                                         "request_seconds_bucket{route=\"input\"" };
    for (size_t i = 0; i < ARRAY_LEN(there); i++)
        cr_assert_not_null(strstr(metrics, there[i]), "%s", there[i]);
    rig_stop(r);
}

/* Each name that /metrics gives is explained to operators. */
Test(process, metrics_are_documented)
{
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start(NULL);
    auto_buf struct buf doc = BUF_INIT(1U << 20);
    char chunk[4096];
    size_t n, names = 0;
    FILE *f = fopen("docs/operation.md", "r");
    cr_assert_not_null(f, "run the tests from the project's folder");
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&doc, chunk, n);
    fclose(f);
    static const char prefix[] = "# TYPE callback_receiver_";
    auto_free char *metrics = rig_ops_text(r, "/metrics");
    for (char *line = strtok(metrics, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, prefix, strlen(prefix)) != 0)
            continue;
        line += strlen(prefix);
        auto_free char *plain = mem_printf("`%.*s`", (int)strcspn(line, " "), line);
        auto_free char *labelled = mem_printf("`%.*s{", (int)strcspn(line, " "), line);
        cr_assert(strstr(buf_str(&doc), plain) || strstr(buf_str(&doc), labelled), "%s", plain);
        names++;
    }
    cr_assert_gt(names, 20);
    rig_stop(r);
}

/* ---- rights ---------------------------------------------------------------------------------- */

/* Every file that it has open for writing is in its folder. */
static void writes_only_to(pid_t pid, const char *folder)
{
    auto_free char *fds = mem_printf("/proc/%d/fd", (int)pid);
    DIR *d = opendir(fds);
    cr_assert_not_null(d);
    unsigned seen = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char to[512] = "", line[128];
        auto_free char *path = mem_printf("%s/%s", fds, e->d_name);
        auto_free char *info = mem_printf("/proc/%d/fdinfo/%s", (int)pid, e->d_name);
        struct stat st;
        unsigned long flags = 0;
        /* The outputs, and what the test's own runner leaves open, are not the receiver's. */
        if (atoi(e->d_name) < 3 || readlink(path, to, sizeof(to) - 1) < 0 || stat(path, &st) < 0 ||
            !S_ISREG(st.st_mode) || strstr(to, "bxf_arena"))
            continue;
        FILE *f = fopen(info, "r");
        cr_assert_not_null(f);
        while (fgets(line, sizeof(line), f))
            if (strncmp(line, "flags:", 6) == 0)
                flags = strtoul(line + 6, NULL, 8);
        fclose(f);
        if ((flags & 3) == 0)
            continue;
        seen++;
        cr_assert_eq(strncmp(to, folder, strlen(folder)), 0, "%s is open for writing", to);
    }
    closedir(d);
    cr_assert_gt(seen, 0, "not even the store is open");
}

/* As a user that may write nowhere but to the store's folder, with no home and no room for
 * temporary files. The receiver is copied, since its place may be closed to that user. */
Test(process, runs_as_nobody_with_no_writable_place_but_its_store)
{
    const char *bin = getenv("BIN_DIR");
    if (geteuid() != 0 || access("/usr/bin/setpriv", X_OK) != 0) {
        fprintf(stderr, "skipped: needs root and setpriv\n");
        return;
    }
    char dir[] = "/tmp/test_nobody_XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chmod(dir, 0755), 0);
    auto_free char *store_dir = mem_printf("%s/store", dir);
    auto_free char *program = mem_printf("%s/callback-receiver", dir);
    auto_free char *copy =
        mem_printf("cp %s/callback-receiver %s && mkdir %s && chown 65534 %s && "
                   "chmod 700 %s",
                   bin ? bin : "build/bin", program, store_dir, store_dir, store_dir);
    cr_assert_eq(system(copy), 0);
    auto_free char *store = mem_printf("CALLBACK_STORE=sqlite:%s/c.db", store_dir);
    cr_assert(rig_on(RIG_SQLITE));
    const char *const as_nobody[] = { "/usr/bin/setpriv", "--reuid=65534",  "--regid=65534",
                                      "--clear-groups",   "--no-new-privs", "--bounding-set=-all",
                                      "--inh-caps=-all",  program,          NULL };
    rig_run_as(as_nobody);
    struct rig *r =
        rig_start((const char *const[]){ store, "TMPDIR=/nonexistent", "HOME=/nonexistent", NULL });
    auto_free char *job = rig_register(r, ID, NULL);
    auto_free char *body = mem_alloc(200003);
    memset(body, 'x', 200002);
    body[0] = body[200001] = '"';
    rig_expect(rig_say(r, "POST", "/heartbeat", job, JSON, "{\"progress\":1}"), 200, "");
    rig_expect(rig_say(r, "POST", "/success", job, JSON, body), 202, "accepted");
    free(rig_await_state(r, ID, "delivered"));
    auto_free char *status = mem_printf("/proc/%d", (int)rig_pid(r));
    struct stat st;
    cr_assert_eq(stat(status, &st), 0);
    cr_assert_eq(st.st_uid, 65534);
    writes_only_to(rig_pid(r), store_dir);
    rig_kill(r);
    rig_restart(r); /* recovery needs no more than that either */
    free(rig_await_state(r, ID, "delivered"));
    rig_stop(r);
    auto_free char *gone = mem_printf("rm -r %s", dir);
    cr_assert_eq(system(gone), 0);
}

/* Fewer open files than connections: it serves as many as there are, and says so. */
Test(process, serves_as_many_connections_as_it_may_have_files)
{
    const char *bin = getenv("BIN_DIR");
    auto_free char *script =
        mem_printf("ulimit -n 100; exec %s/callback-receiver \"$@\"", bin ? bin : "build/bin");
    cr_assert(rig_on(RIG_SQLITE));
    rig_run_as((const char *const[]){ "/bin/sh", "-c", script, "sh", NULL });
    struct rig *r = rig_start(NULL);
    auto_free char *job = rig_register(r, ID, NULL);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 202, "accepted");
    free(rig_await_state(r, ID, "delivered"));
    auto_free char *log = rig_log(r);
    cr_assert_not_null(strstr(log, "\"few_files\""), "%s", log);
    int fds[120];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) /* the listener's backlog takes what is too many */
        fds[i] = rig_connect(r);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    rig_expect(rig_say(r, "POST", "/success", job, JSON, "1"), 200, "delivered");
    rig_stop(r);
}

/* ---- how it was built ------------------------------------------------------------------------ */

Test(process, is_hardened)
{
    const char *bin = getenv("BIN_DIR");
    if (access("/usr/bin/readelf", X_OK) != 0) {
        fprintf(stderr, "skipped: readelf is not installed\n");
        return;
    }
    static const struct {
        const char *of, *text;
    } wanted[] = {
        { "-hW", "DYN (" },     /* position independent */
        { "-lW", "GNU_RELRO" }, /* relocations are read-only ... */
        { "-dW", "NOW" },       /* ... from the start */
        { "-lW", "GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 "
                 "RW " },              /* and the stack is no code */
        { "-sW", "__stack_chk_fail" }, /* canaries */
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        auto_free char *command =
            mem_printf("readelf %s %s/callback-receiver", wanted[i].of, bin ? bin : "build/bin");
        auto_buf struct buf b = BUF_INIT(16U << 20);
        char chunk[4096];
        size_t n;
        FILE *f = popen(command, "r");
        cr_assert_not_null(f);
        while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
            buf_add(&b, chunk, n);
        cr_assert_eq(pclose(f), 0);
        cr_assert_not_null(strstr(buf_str(&b), wanted[i].text), "%s: no %s", wanted[i].of,
                           wanted[i].text);
    }
}
