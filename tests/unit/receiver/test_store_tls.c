/* rediss:// against a real redis-server with TLS; skipped where hiredis has none. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/redis_tls.h"
#include "callback-receiver/store.h"
#include "tests/redis_server.h"

static struct redis_server redis;
static char *folder, *url;

/* A certificate for 127.0.0.1 alone that is its own authority. */
static bool make_certificate(void)
{
    auto_free char *command = mem_printf(
        "cd '%s' && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=redis -addext "
        "subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem >openssl.log 2>&1",
        folder);
    return system(command) == 0; /* NOLINT(cert-env33-c): the test's own words */
}

static void setup(void)
{
    struct error err;
    signal(SIGPIPE, SIG_IGN); /* as the receiver does */
    if (!redis_tls_available()) {
        fprintf(stderr, "skipped: hiredis has no TLS here\n");
        return;
    }
    folder = folder_new("test_redis_tls", &err);
    cr_assert_not_null(folder, "%s", err.msg);
    if (!make_certificate()) {
        fprintf(stderr, "skipped: there is no openssl command\n");
        return;
    }
    auto_free char *cert = mem_printf("%s/cert.pem", folder);
    auto_free char *key = mem_printf("%s/key.pem", folder);
    auto_free char *port = mem_printf("%d", program_free_port());
    redis_server_start(&redis, (const char *[]){ "--tls-port", port, "--tls-cert-file", cert,
                                                 "--tls-key-file", key, "--tls-auth-clients", "no",
                                                 "--requirepass", "s3cret", NULL });
    url = mem_printf("rediss://:s3cret@127.0.0.1:%s", port);
    setenv("SSL_CERT_FILE", cert, 1);
    unsetenv("SSL_CERT_DIR");
}

static void teardown(void)
{
    redis_server_stop(&redis);
    free(url);
    if (folder)
        (void)folder_remove(folder, NULL);
    free(folder);
}

TestSuite(store_tls, .init = setup, .fini = teardown);

static struct store_op register_one(void)
{
    static const struct callback_holder launcher = { "QQ==", CALLBACK_BY_LAUNCHER, 4102444800,
                                                     NULL };
    struct store_op op = { .action = STORE_REGISTER, .who = launcher, .now_ms = 1000 };
    token_public_id("QQ==", op.id);
    op.registration =
        (struct callback_registration){ .workflow = "w", .job = "j", .heartbeat_s = 60 };
    op.payload.text = mem_dup("{}");
    op.payload.len = 2;
    return op;
}

Test(store_tls, a_store_behind_tls_is_one_like_others)
{
    struct error err;
    if (!redis.program)
        return;
    struct store *s = store_open(url, &err);
    cr_assert_not_null(s, "%s", err.msg);
    struct store_op op = register_one(), *ops[] = { &op };
    cr_assert_eq(store_run(s, ops, 1, &err), 0, "%s", err.msg);
    cr_assert_eq(op.verdict, CALLBACK_CREATED);
    /* The connection is made anew where it is lost, with TLS again. */
    redis_server_restart(&redis);
    for (int i = 0; i < 1200 && store_run(s, ops, 1, &err) < 0; i++)
        clock_sleep_ms(clock_system(), 50);
    cr_assert_eq(op.verdict, CALLBACK_SAME, "%s", err.msg);
    store_op_release(&op);
    store_close(s);
}

static void refused(const char *at, const char *why)
{
    struct error err = { 0 };
    struct store *s = store_open(at, &err);
    cr_assert_null(s, "%s", at);
    cr_assert_not_null(strstr(err.msg, why), "%s", err.msg);
    cr_assert_null(strstr(err.msg, "s3cret"), "%s", err.msg);
}

Test(store_tls, nobody_else_is_believed)
{
    if (!redis.program)
        return;
    auto_free char *other_name = mem_printf("rediss://:s3cret@localhost:%s", strrchr(url, ':') + 1);
    refused(other_name, "TLS");
    auto_free char *plain = mem_printf("redis://:s3cret@127.0.0.1:%s", strrchr(url, ':') + 1);
    refused(plain, "Redis");
    auto_free char *no_tls = mem_printf("rediss://:s3cret@127.0.0.1:%d", redis.port);
    refused(no_tls, "TLS");
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    refused(url, "TLS"); /* an authority that nobody trusts */
}
