/* The HTTP client against a real TLS server (the command openssl): whom it believes, and that what
 * it does not believe is no matter of trying again. Everything that speaks to AWS goes this way. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "local/stack/program.h"
#include "shared/aws/http.h"
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

/* 0 with a status, or -1. A server that does not listen yet is asked again. */
static int ask(struct http_client *c, const char *host, int *status, struct error *err)
{
    auto_free char *url = mem_printf("https://%s:%d/", host, port);
    const struct http_request req = {
        .method = "GET", .url = url, .timeout_ms = 30000, .max_response = 1U << 16
    };
    int64_t until_ms = clock_mono_ms(clock_system()) + WAIT_MS;
    for (;;) {
        auto_response struct http_response resp = { 0 };
        int rc = http_send(c, &req, &resp, err);
        *status = resp.status;
        if (rc == 0 || !err->retryable || clock_mono_ms(clock_system()) > until_ms)
            return rc;
        clock_sleep_ms(clock_system(), 10);
    }
}

static struct http_client *client(void)
{
    struct error err = { 0 };
    struct http_client *c = http_client_new(&err);
    cr_assert_not_null(c, "%s", err.msg);
    return c;
}

Test(https, believes_whom_it_is_told_to)
{
    if (!server)
        return;
    auto_free char *rehash = mem_printf("mkdir '%s/dir' && cp '%s/server.pem' '%s/dir' && "
                                        "openssl rehash '%s/dir' >/dev/null",
                                        folder, folder, folder, folder);
    cr_assert_eq(system(rehash), 0); /* NOLINT(cert-env33-c): the test's own words */
    for (int by_dir = 0; by_dir < 2; by_dir++) {
        trust(by_dir ? NULL : "server.pem", "dir");
        struct http_client *c = client();
        struct error err = { 0 };
        int status = 0;
        cr_assert_eq(ask(c, "127.0.0.1", &status, &err), 0, "%d: %s", by_dir, err.msg);
        cr_assert_eq(status, 200);
        cr_assert_eq(ask(c, "127.0.0.1", &status, &err), 0, "again: %s", err.msg);
        http_client_free(c);
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
    struct http_client *first = client();
    struct error err = { 0 };
    int status;
    cr_assert_eq(ask(first, "127.0.0.1", &status, &err), 0, "%s", err.msg);
    http_client_free(first);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].trusted)
            trust(table[i].trusted, NULL);
        else
            unsetenv("SSL_CERT_FILE");
        struct http_client *c = client();
        err = (struct error){ 0 };
        cr_assert_eq(ask(c, table[i].host, &status, &err), -1, "case %zu: %d", i, status);
        cr_assert_not(err.retryable, "case %zu: %s", i, err.msg);
        cr_assert(err.code == ERR_NET || err.code == ERR_INVALID, "case %zu: %s", i, err.msg);
        cr_assert(strstr(err.msg, "certificate"), "case %zu: %s", i, err.msg);
        http_client_free(c);
    }
}

Test(https, a_bundle_that_cannot_be_read_is_named)
{
    if (!server)
        return;
    trust("nothing.pem", NULL);
    struct http_client *c = client();
    struct error err = { 0 };
    int status;
    cr_assert_eq(ask(c, "127.0.0.1", &status, &err), -1);
    cr_assert_not(err.retryable, "%s", err.msg);
    cr_assert(strstr(err.msg, "nothing.pem"), "%s", err.msg);
    http_client_free(c);
}
