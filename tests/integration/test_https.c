/* The HTTP client and the pool against a real TLS server (the command openssl): whom they believe,
 * and that what they do not believe is no matter of trying again. Everything that speaks to AWS
 * goes this way. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "local/stack/program.h"
#include "shared/aws/http_pool.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define WAIT_MS 60000

static char *folder;
static struct program *server;
static int port;

/* NAME.pem and NAME.key: for 127.0.0.1 alone, its own authority. */
static bool make_certificate(const char *name)
{
    auto_free char *command = mem_printf(
        "cd '%s' && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=%s -addext "
        "subjectAltName=IP:127.0.0.1 -keyout %s.key -out %s.pem >openssl.log 2>&1",
        folder, name, name, name);
    return system(command) == 0; /* NOLINT(cert-env33-c): the test's own words */
}

static char *file(const char *name)
{
    return mem_printf("%s/%s", folder, name);
}

static const char *openssl(void)
{
    static const char *const paths[] = { "/usr/bin/openssl", "/usr/local/bin/openssl" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (access(paths[i], X_OK) == 0)
            return paths[i];
    return NULL;
}

static void setup(void)
{
    struct error err;
    http_global_init();
    folder = folder_new("test_https", &err);
    cr_assert_not_null(folder, "%s", err.msg);
    if (!openssl()) {
        puts("skipped: there is no openssl command");
        return;
    }
    cr_assert(make_certificate("server") && make_certificate("other"));
    auto_free char *cert = file("server.pem");
    auto_free char *key = file("server.key");
    auto_free char *log = file("log");
    port = program_free_port();
    auto_free char *at = mem_printf("127.0.0.1:%d", port);
    const char *argv[] = { openssl(), "s_server", "-accept", at,       "-cert", cert,
                           "-key",    key,        "-www",    "-quiet", NULL };
    server = program_start(argv, (const char *[]){ NULL }, log, &err);
    cr_assert_not_null(server, "%s", err.msg);
}

static void teardown(void)
{
    program_free(server);
    cr_assert_eq(folder_remove(folder, NULL), 0);
    free(folder);
    http_global_cleanup();
}

TestSuite(https, .init = setup, .fini = teardown);

static void trust(const char *certificate, const char *dir)
{
    auto_free char *path = file(certificate ? certificate : dir);
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    if (certificate || dir)
        setenv(certificate ? "SSL_CERT_FILE" : "SSL_CERT_DIR", path, 1);
}

/* One of both ways. */
struct asker {
    struct http_client *client;
    struct http_pool *pool;
};

enum way {
    BY_CLIENT,
    BY_POOL,
    WAYS
};

static struct asker asker(enum way way)
{
    struct error err = { 0 };
    struct asker a = { .client = way == BY_CLIENT ? http_client_new(&err) : NULL,
                       .pool = way == BY_POOL ? http_pool_new(4, &err) : NULL };
    cr_assert(a.client || a.pool, "%s", err.msg);
    return a;
}

static void asker_free(struct asker *a)
{
    http_client_free(a->client);
    http_pool_free(a->pool);
}

struct end {
    int rc;
    int status;
    struct error *err;
};

static void on_end(void *arg, int rc, struct http_response *resp, struct error *err)
{
    struct end *e = arg;
    e->rc = rc;
    e->status = resp->status;
    *e->err = *err;
}

static int send_once(struct asker *a, const struct http_request *req, int *status,
                     struct error *err)
{
    if (a->client) {
        auto_response struct http_response resp = { 0 };
        int rc = http_send(a->client, req, &resp, err);
        *status = resp.status;
        return rc;
    }
    struct end e = { .err = err };
    *status = 0;
    if (http_pool_start(a->pool, req, on_end, &e, err) < 0)
        return -1;
    while (http_pool_running(a->pool) > 0)
        http_pool_drive(a->pool, 1000);
    *status = e.status;
    return e.rc;
}

/* 0 with a status, or -1. A server that does not listen yet is asked again. */
static int ask(struct asker *a, const char *host, int *status, struct error *err)
{
    auto_free char *url = mem_printf("https://%s:%d/", host, port);
    const struct http_request req = {
        .method = "GET", .url = url, .timeout_ms = 30000, .max_response = 1U << 16
    };
    int64_t until_ms = clock_mono_ms(clock_system()) + WAIT_MS;
    for (;;) {
        int rc = send_once(a, &req, status, err);
        if (rc == 0 || !err->retryable || clock_mono_ms(clock_system()) > until_ms)
            return rc;
        clock_sleep_ms(clock_system(), 10);
    }
}

Test(https, believes_whom_it_is_told_to)
{
    if (!server)
        return;
    auto_free char *rehash = mem_printf("mkdir '%s/dir' && cp '%s/server.pem' '%s/dir' && "
                                        "openssl rehash '%s/dir' >/dev/null",
                                        folder, folder, folder, folder);
    cr_assert_eq(system(rehash), 0); /* NOLINT(cert-env33-c): the test's own words */
    for (int i = 0; i < 2 * WAYS; i++) {
        bool by_dir = i % 2;
        trust(by_dir ? NULL : "server.pem", "dir");
        struct asker c = asker((enum way)(i / 2));
        struct error err = { 0 };
        int status = 0;
        cr_assert_eq(ask(&c, "127.0.0.1", &status, &err), 0, "%d: %s", i, err.msg);
        cr_assert_eq(status, 200);
        cr_assert_eq(ask(&c, "127.0.0.1", &status, &err), 0, "again: %s", err.msg);
        asker_free(&c);
    }
}

/* Another authority, another name, and the system's own authorities, which know nothing of it. */
Test(https, believes_nobody_else_and_does_not_try_again)
{
    static const struct {
        const char *trusted;
        const char *host;
    } table[] = { { "other.pem", "127.0.0.1" },
                  { "server.pem", "localhost" },
                  { NULL, "127.0.0.1" } };
    if (!server)
        return;
    trust("server.pem", NULL);
    struct asker first = asker(BY_CLIENT);
    struct error err = { 0 };
    int status;
    cr_assert_eq(ask(&first, "127.0.0.1", &status, &err), 0, "%s", err.msg);
    asker_free(&first);
    for (size_t i = 0; i < WAYS * ARRAY_LEN(table); i++) {
        size_t row = i / WAYS;
        if (table[row].trusted)
            trust(table[row].trusted, NULL);
        else
            unsetenv("SSL_CERT_FILE");
        struct asker c = asker(i % WAYS);
        err = (struct error){ 0 };
        cr_assert_eq(ask(&c, table[row].host, &status, &err), -1, "case %zu: %d", i, status);
        cr_assert_not(err.retryable, "case %zu: %s", i, err.msg);
        cr_assert(err.code == ERR_NET || err.code == ERR_INVALID, "case %zu: %s", i, err.msg);
        cr_assert(strstr(err.msg, "certificate"), "case %zu: %s", i, err.msg);
        asker_free(&c);
    }
}

Test(https, a_bundle_that_cannot_be_read_is_named)
{
    if (!server)
        return;
    trust("nothing.pem", NULL);
    for (enum way way = 0; way < WAYS; way++) {
        struct asker c = asker(way);
        struct error err = { 0 };
        int status;
        cr_assert_eq(ask(&c, "127.0.0.1", &status, &err), -1);
        cr_assert_not(err.retryable, "%s", err.msg);
        cr_assert(strstr(err.msg, "nothing.pem"), "%s", err.msg);
        asker_free(&c);
    }
}
