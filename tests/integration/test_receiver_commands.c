/* `callback-receiver pending|dead|redeliver|doctor` and the lists of the operations port, on the
 * real program. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define ID RIG_ID

/* Runs a command with one word or none behind it; its exit status. */
static int run(struct rig *r, char **out, const char *a, const char *b, const char *c)
{
    const char *const arguments[] = { a, b, c, NULL };
    free(*out);
    return rig_command(r, arguments, NULL, NULL, out);
}

static void says(const char *out, const char *text)
{
    cr_assert_not_null(strstr(out, text), "no \"%s\" in: %s", text, out);
}

static size_t lines(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void number_id(char id[16], int i)
{
    snprintf(id, 16, "QUFB%c%c%c=", 'A' + i / 400, 'A' + i / 20 % 20, 'A' + i % 20);
}

/* `count` reports that Lambda refuses. */
static void make_dead(struct rig *r, int count)
{
    char id[16];
    rig_lambda(r, RIG_CLOSED, 0, RIG_CLOSED);
    for (int i = 0; i < count; i++) {
        number_id(id, i);
        auto_free char *job = rig_register(r, id, NULL);
        rig_expect(rig_ask(r, &(struct rig_ask){ .method = "POST",
                                                 .callback_id = id,
                                                 .what = "/success",
                                                 .token = job,
                                                 .body = "1" }),
                   202, "accepted");
    }
    for (int i = 0; i < count; i++) {
        number_id(id, i);
        free(rig_await_state(r, id, "dead"));
    }
}

RIG_TEST(commands, list_and_redeliver_one_and_all)
{
    struct rig *r = rig_start(NULL);
    auto_free char *out = NULL;
    char first[TOKEN_PUBLIC_ID];
    token_public_id("QUFBAAA=", first);
    cr_assert_eq(run(r, &out, "dead", NULL, NULL), 0, "%s", out);
    cr_assert_eq(lines(out), 1, "only its head: %s", out);
    make_dead(r, 450); /* more than two pages of the commands */
    free(rig_register(r, ID, NULL));
    cr_assert_eq(run(r, &out, "dead", NULL, NULL), 0, "%s", out);
    cr_assert_eq(lines(out), 451, "%zu", lines(out));
    says(out, first);
    says(out, "closed by the engine");
    cr_assert_eq(run(r, &out, "dead", "--limit", "7"), 0);
    cr_assert_eq(lines(out), 8);
    cr_assert_eq(run(r, &out, "dead", "--json", NULL), 0);
    cr_assert_eq(lines(out), 450);
    says(out, "\"state\":\"dead\"");
    cr_assert_eq(run(r, &out, "dead", "--state", "unconfirmed"), 0);
    cr_assert_eq(lines(out), 1);
    cr_assert_eq(run(r, &out, "dead", "--state", "pending"), 1);
    says(out, "state is none that is listed here");
    cr_assert_eq(run(r, &out, "pending", NULL, NULL), 0);
    cr_assert_eq(lines(out), 2);
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    cr_assert_eq(run(r, &out, "redeliver", first, NULL), 0, "%s", out);
    says(out, "is due again");
    free(rig_await_state(r, "QUFBAAA=", "delivered"));
    cr_assert_eq(run(r, &out, "redeliver", first, NULL), 1, "%s", out);
    says(out, "Only what is dead or unconfirmed");
    cr_assert_eq(run(r, &out, "redeliver", "AAAAAAAAAAAAAAAAAAAAAAAA", NULL), 1);
    says(out, "No such callback");
    unsigned calls = rig_calls(r);
    cr_assert_eq(run(r, &out, "redeliver", "--all", NULL), 0, "%s", out);
    says(out, "449 are due again");
    rig_await_calls(r, calls + 449);
    for (int i = 0; i < 450; i++) {
        char id[16];
        number_id(id, i);
        free(rig_await_state(r, id, "delivered"));
    }
    cr_assert_eq(run(r, &out, "redeliver", "--all", NULL), 0);
    says(out, "0 are due again");
    rig_stop(r);
}

RIG_TEST(commands, unconfirmed_ones_are_sent_again_only_where_that_is_asked_for)
{
    struct rig *r = rig_start(NULL);
    auto_free char *out = NULL;
    auto_free char *job = rig_register(r, ID, NULL);
    rig_lambda(r, RIG_CUTS, 1, RIG_CLOSED);
    rig_expect(rig_say(r, "POST", "/success", job, NULL, "1"), 202, "accepted");
    free(rig_await_state(r, ID, "unconfirmed"));
    cr_assert_eq(run(r, &out, "redeliver", "--all", NULL), 0);
    says(out, "0 are due again");
    const char *const all[] = { "redeliver", "--all", "--state", "unconfirmed", NULL };
    free(out);
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    cr_assert_eq(rig_command(r, all, NULL, NULL, &out), 0);
    says(out, "1 are due again");
    free(rig_await_state(r, ID, "delivered"));
    rig_stop(r);
}

/* Where no receiver runs, the lists come from the store. */
RIG_TEST(commands, list_a_store_whose_receiver_has_ended)
{
    struct rig *r = rig_start(NULL);
    auto_free char *out = NULL;
    char first[TOKEN_PUBLIC_ID];
    token_public_id("QUFBAAA=", first);
    make_dead(r, 250);
    free(rig_register(r, ID, NULL));
    if (!rig_redis(r)->program) { /* the file is one process's alone */
        cr_assert_eq(run(r, &out, "dead", "--offline", NULL), 1);
        says(out, "another process has it open");
    }
    rig_kill(r);
    cr_assert_eq(run(r, &out, "dead", NULL, NULL), 1);
    says(out, "no receiver answers");
    cr_assert_eq(run(r, &out, "dead", "--offline", NULL), 0, "%s", out);
    cr_assert_eq(lines(out), 251, "%zu", lines(out));
    says(out, first);
    cr_assert_eq(run(r, &out, "pending", "--offline", "--json"), 0, "%s", out);
    cr_assert_eq(lines(out), 1, "%s", out);
    const char *const none[] = { "dead", "--offline", "--state", "unconfirmed", NULL };
    free(out);
    cr_assert_eq(rig_command(r, none, NULL, NULL, &out), 0);
    cr_assert_eq(lines(out), 1, "%s", out);
    const char *const bad[] = { "dead", "--offline", "--state", "pending", NULL };
    free(out);
    cr_assert_eq(rig_command(r, bad, NULL, NULL, &out), 1);
    const char *const nowhere[] = { "dead", "--offline", "--store", "sqlite:/nowhere/c.db", NULL };
    free(out);
    cr_assert_eq(rig_command(r, nowhere, NULL, NULL, &out), 1);
    says(out, "there is no store at");
    rig_restart(r);
    cr_assert_eq(run(r, &out, "dead", "--limit", "3"), 0);
    cr_assert_eq(lines(out), 4);
    rig_stop(r);
}

RIG_TEST(commands, lists_have_pages)
{
    struct rig *r = rig_start(NULL);
    char seen[25][TOKEN_PUBLIC_ID], id[16];
    size_t n = 0;
    auto_free char *after = NULL;
    for (int i = 0; i < 25; i++) {
        number_id(id, i);
        free(rig_register(r, id, NULL));
    }
    do {
        auto_free char *path =
            mem_printf("/pending?limit=7%s%s", after ? "&after=" : "", after ? after : "");
        auto_free char *text = rig_ops_text(r, path);
        auto_json struct json_object *page = NULL;
        struct error err;
        cr_assert_eq(json_parse_str(text, &page, &err), 0, "%s", err.msg);
        struct json_object *list = json_get(page, "callbacks");
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            const char *public = json_get_str(json_object_array_get_idx(list, i), "id");
            for (size_t k = 0; k < n; k++)
                cr_assert_str_neq(seen[k], public);
            cr_assert_lt(n, 25);
            snprintf(seen[n++], TOKEN_PUBLIC_ID, "%s", public);
        }
        free(after);
        after = json_get_str(page, "next") ? mem_dup(json_get_str(page, "next")) : NULL;
    } while (after);
    cr_assert_eq(n, 25);
    static const char *const bad[] = { "/pending?limit=0",
                                       "/pending?limit=1001",
                                       "/pending?after=x",
                                       "/pending?after=9-1-AAAAAAAAAAAAAAAAAAAAAAAA",
                                       "/pending?after=1-x-AAAAAAAAAAAAAAAAAAAAAAAA",
                                       "/pending?after=1-1-AAAA",
                                       "/pending?state=dead",
                                       "/pending?state=x" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_eq(rig_get(r, true, "GET", bad[i], NULL).status, 400, "%s", bad[i]);
    cr_assert_eq(rig_get(r, true, "GET", "/redeliver", NULL).status, 405);
    cr_assert_eq(rig_get(r, true, "POST", "/redeliver?state=pending", NULL).status, 400);
    rig_stop(r);
}

Test(commands, say_what_is_wrong)
{
    static const struct {
        const char *arguments[5];
        const char *env[3];
        int status;
        const char *says;
    } cases[] = {
        { { "--help" }, { NULL }, 0, "redeliver" },
        { { "--version" }, { NULL }, 0, "callback-receiver" },
        { { "nonsense" }, { NULL }, 1, "unknown argument nonsense" },
        { { "pending", "--help" }, { NULL }, 0, "--limit" },
        { { "dead", "--help" }, { NULL }, 0, "unconfirmed" },
        { { "redeliver", "--help" }, { NULL }, 0, "--all" },
        { { "doctor", "--help" }, { NULL }, 0, "--managed-redis" },
        { { "token", "--help" }, { NULL }, 0, "--scope" },
        { { "dead", "x" }, { NULL }, 1, "unknown argument x" },
        { { "dead", "--limit", "x" }, { NULL }, 1, "--limit" },
        { { "redeliver" }, { NULL }, 1, "--all" },
        { { "redeliver", "--all", "AAAAAAAAAAAAAAAAAAAAAAAA" }, { NULL }, 1, "either" },
        { { "redeliver", "--state", "dead", "AAAAAAAAAAAAAAAAAAAAAAAA" }, { NULL }, 1, "--state" },
        { { "redeliver", "../../x" }, { NULL }, 1, "public id" },
        { { "dead" }, { "OPS_LISTEN=127.0.0.1:1" }, 1, "no receiver answers" },
        { { "dead" }, { "OPS_LISTEN=nowhere" }, 1, "HOST:PORT" },
        { { "dead" }, { "OPS_LISTEN=0.0.0.0:1" }, 1, "127.0.0.1:1" },
        { { "dead" }, { "OPS_LISTEN=[::]:1" }, 1, "[::1]:1" },
        { { "dead" }, { "OPS_TOKEN=wrong-wrong-wrong" }, 1, "OPS_TOKEN" },
        { { "redeliver", "--all" }, { "OPS_TOKEN=wrong-wrong-wrong" }, 1, "OPS_TOKEN" },
        { { "redeliver", "AAAAAAAAAAAAAAAAAAAAAAAA" },
          { "OPS_TOKEN=wrong-wrong-wrong" },
          1,
          "OPS_TOKEN" },
        { { "dead" }, { "OPS_TOKEN=0123456789abcdef" }, 0, "LAST ERROR" },
    };
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start((const char *const[]){ "OPS_TOKEN=0123456789abcdef", NULL });
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *out = NULL;
        int status = rig_command(r, cases[i].arguments, cases[i].env, NULL, &out);
        cr_assert_eq(status, cases[i].status, "case %zu: %d %s", i, status, out);
        cr_assert_not_null(strstr(out, cases[i].says), "case %zu: %s", i, out);
        cr_assert_null(strstr(out, "0123456789abcdef"), "case %zu: %s", i, out);
    }
    rig_stop(r);
}

/* The callback id comes by standard input, with or without the end of its line. */
Test(commands, token_takes_an_id_of_any_length_that_there_is)
{
    static const struct {
        const char *scope;
        size_t len;
        const char *end;
        int status;
        const char *says; /* NULL: the token */
    } cases[] = {
        { "job", 32, "", 0, NULL },          { "launcher", 32, "\n", 0, NULL },
        { "job", 1024, "\r\n", 0, NULL },    { "job", 1025, "", 1, "at most 1024 bytes" },
        { "job", 5000, "\n", 1, "at most" }, { "boss", 32, "", 1, "--scope" },
    };
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *id = mem_alloc(cases[i].len + 1);
        memset(id, 'Q', cases[i].len);
        auto_free char *input = mem_printf("%s%s", id, cases[i].end);
        auto_free char *out = NULL;
        const char *const arguments[] = { "token", "--callback-id-stdin", "--scope", cases[i].scope,
                                          NULL };
        int status = rig_command(r, arguments, NULL, input, &out);
        cr_assert_eq(status, cases[i].status, "case %zu: %d %s", i, status, out);
        if (cases[i].says) {
            cr_assert_not_null(strstr(out, cases[i].says), "case %zu: %s", i, out);
            continue;
        }
        struct error err;
        struct token_content content;
        struct token_keys *keys = token_keys_new(RIG_KEYS, NULL, &err);
        cr_assert_not_null(keys, "%s", err.msg);
        out[strcspn(out, "\n")] = '\0';
        cr_assert_eq(token_open(keys, out, strlen(out), clock_wall_ms(clock_system()) / 1000,
                                &content, &err),
                     0, "case %zu: %s", i, err.msg);
        cr_assert_str_eq(content.callback_id, id);
        cr_assert_eq(content.scope,
                     strcmp(cases[i].scope, "job") == 0 ? TOKEN_SCOPE_JOB : TOKEN_SCOPE_LAUNCHER);
        token_keys_free(keys);
    }
    rig_stop(r);
}

/* What a job calls itself, and what an engine says, does not steer the terminal. */
Test(commands, print_no_control_characters)
{
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start(NULL);
    auto_free char *out = NULL, *launcher = rig_token(ID, TOKEN_SCOPE_LAUNCHER, 60);
    rig_expect(rig_say(r, "PUT", "", launcher, "application/json",
                       "{\"job\":\"\\u001b[2Jevil\\r\\nline\"}"),
               201, "");
    cr_assert_eq(run(r, &out, "pending", NULL, NULL), 0);
    says(out, "?[2Jevil??line");
    cr_assert_eq(lines(out), 2);
    rig_stop(r);
}

/* ---- doctor ---------------------------------------------------------------------------------- */

static void diagnose(struct rig *r, const char *env, int status, const char *text)
{
    auto_free char *out = NULL;
    const char *const doctor[] = { "doctor", NULL };
    int got = rig_command(r, doctor, (const char *const[]){ env, NULL }, NULL, &out);
    cr_assert_eq(got, status, "%s: %d\n%s", env ? env : "-", got, out);
    says(out, text);
    cr_assert_null(strstr(out, "aaaaaaaa"), "no key is shown: %s", out);
    cr_assert_null(strstr(out, "s3cret"), "no password is shown: %s", out);
}

Test(doctor, of_a_store_on_sqlite)
{
    cr_assert(rig_on(RIG_SQLITE));
    struct rig *r = rig_start(NULL);
    struct statfs fs;
    cr_assert_eq(statfs(rig_dir(r), &fs), 0);
    bool in_memory = fs.f_type == 0x01021994;
    int well = in_memory ? 1 : 0;
    diagnose(r, NULL, well, "the file is in use by that receiver");
    diagnose(r, "OPS_LISTEN=127.0.0.1:1", 1, "no receiver answers");
    cr_assert_eq(rig_terminate(r), 0);
    diagnose(r, NULL, well, "/c.db can be written");
    auto_free char *fresh = mem_printf("CALLBACK_STORE=sqlite:%s/new.db", rig_dir(r));
    diagnose(r, fresh, well, "is not there yet");
    diagnose(r, fresh, well, "is not there yet"); /* nor is it after the first look */
    diagnose(r, "CALLBACK_STORE=sqlite:/nowhere/c.db", 1, "files cannot be made in /nowhere");
    diagnose(r, "CALLBACK_STORE=mysql://x", 1, "CALLBACK_STORE must be");
    diagnose(r, "CALLBACK_STORE=sqlite:/dev/shm/x.db", 1, "in memory");
    rig_restart(r);
    rig_stop(r);
}

Test(doctor, of_keys_credentials_and_lambda)
{
    cr_assert(rig_on(RIG_REDIS));
    if (!redis_server_path())
        return;
    struct rig *r = rig_start(NULL);
    diagnose(r, NULL, 0, "ok    lambda       it answers");
    diagnose(r, "CALLBACK_TOKEN_KEYS=", 1, "fail  keys");
    diagnose(r, "CALLBACK_TOKEN_KEYS={\"k\":\"short\"}", 1, "fail  keys");
    diagnose(r, "CALLBACK_TOKEN_KID=other", 0, "warn  keys");
    diagnose(r, "AWS_SECRET_ACCESS_KEY=", 1, "fail  credentials");
    diagnose(r, "AWS_ENDPOINT_URL=http://127.0.0.1:1", 1, "fail  lambda");
    diagnose(r, "AWS_ENDPOINT_URL=nonsense", 1, "fail  credentials");
    static const struct {
        enum rig_lambda answer;
        int status;
        const char *says;
    } cases[] = {
        { RIG_CLOSED, 0, "ok    lambda" },    { RIG_UNKNOWN, 0, "ok    lambda" },
        { RIG_REFUSES, 0, "ok    lambda" },   { RIG_DENIES, 1, "AccessDeniedException" },
        { RIG_ELSEWHERE, 1, "fail  lambda" }, { RIG_CUTS, 1, "fail  lambda" },
        { RIG_THROTTLES, 0, "warn  lambda" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        rig_lambda_beats(r, cases[i].answer);
        diagnose(r, NULL, cases[i].status, cases[i].says);
    }
    rig_stop(r);
}

Test(doctor, of_a_store_on_redis)
{
    cr_assert(rig_on(RIG_REDIS));
    if (!redis_server_path())
        return;
    struct rig *r = rig_start(NULL);
    struct redis_server *redis = rig_redis(r);
    diagnose(r, NULL, 0, "appendonly yes, appendfsync always");
    redis_server_say(redis, "CONFIG SET appendfsync everysec");
    diagnose(r, NULL, 0, "warn  durability   appendfsync is everysec");
    redis_server_say(redis, "CONFIG SET appendfsync no");
    diagnose(r, NULL, 0, "warn  durability   appendfsync is no");
    redis_server_say(redis, "CONFIG SET appendfsync always");
    static const char *const evicting[] = { "allkeys-lru", "allkeys-random", "volatile-lru",
                                            "volatile-ttl" };
    for (size_t i = 0; i < ARRAY_LEN(evicting); i++) {
        redis_server_say(redis, "CONFIG SET maxmemory-policy %s", evicting[i]);
        auto_free char *text = mem_printf("fail  durability   maxmemory-policy is %s", evicting[i]);
        diagnose(r, NULL, 1, text);
        diagnose(r, "MANAGED_REDIS=true", 1, text);
    }
    redis_server_say(redis, "CONFIG SET maxmemory-policy noeviction");
    redis_server_say(redis, "CONFIG SET appendonly no");
    diagnose(r, NULL, 1, "fail  durability   appendonly is no");
    diagnose(r, "MANAGED_REDIS=true", 0, "the service must make each write durable itself");
    redis_server_say(redis, "CONFIG SET appendonly yes");
    /* A service that forbids CONFIG. */
    redis_server_say(redis, "ACL SETUSER shop on >s3cret ~{callbacks}:* +@all -config");
    auto_free char *url =
        mem_printf("CALLBACK_STORE=redis://shop:s3cret@127.0.0.1:%d", redis->port);
    diagnose(r, url, 1, "use --managed-redis");
    auto_free char *out = NULL;
    const char *const managed[] = { "doctor", "--managed-redis", NULL };
    cr_assert_eq(rig_command(r, managed, (const char *const[]){ url, NULL }, NULL, &out), 0, "%s",
                 out);
    says(out, "warn  durability   appendonly is on");
    auto_free char *wrong =
        mem_printf("CALLBACK_STORE=redis://shop:s3cret-wrong@127.0.0.1:%d", redis->port);
    diagnose(r, wrong, 1, "fail  store");
    diagnose(r, "CALLBACK_STORE=redis://127.0.0.1:1", 1, "fail  store");
    redis_server_say(redis, "CONFIG SET maxmemory 1");
    diagnose(r, NULL, 1, "it cannot be written");
    redis_server_say(redis, "CONFIG SET maxmemory 0");
    redis_server_say(redis, "REPLICAOF 127.0.0.1 1");
    diagnose(r, NULL, 1, "it cannot be written");
    redis_server_say(redis, "REPLICAOF NO ONE");
    diagnose(r, NULL, 0, "0 failed");
    rig_stop(r);
}

RIG_TEST(queue, is_logged_with_its_dead_reports_at_the_start_for_alarms)
{
    struct rig *r = rig_start(NULL);
    make_dead(r, 3);
    /* Told at the start and every minute. */
    rig_kill(r);
    rig_restart(r);
    int64_t until = clock_mono_ms(clock_system()) + 30000;
    for (;;) {
        auto_free char *log = rig_log(r);
        const char *line =
            strstr(log, "\"event\":\"queue\",\"pending\":0,\"accepted\":0,\"dead\":3");
        if (line) {
            cr_assert_not_null(strstr(line, "\"oldestSeconds\":0}"), "%s", line);
            break;
        }
        cr_assert(clock_mono_ms(clock_system()) < until, "%s", log);
        clock_sleep_ms(clock_system(), 50);
    }
    rig_stop(r);
}
