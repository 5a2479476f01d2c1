/* Everything that a real callback-receiver says, in a run that goes through all of its errors, held
 * against every secret that it was given: none is in its log, its answers, its metrics, its lists
 * or what its commands print. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/mem.h"
#include "tests/integration/rig.h"

#define JSON      "application/json"
#define OPS_TOKEN "ops-token-0123456789"
#define AWS_KEY   "aws-secret-key-0123456789"
#define SESSION   "aws-session-token-0123456789"
#define PASSWORD  "redis-password-0123456789"

struct said {
    struct buf all;
    struct buf secrets; /* one a line */
};

static void secret(struct said *s, const char *text)
{
    buf_add_str(&s->secrets, text);
    buf_add_char(&s->secrets, '\n');
}

static struct rig_answer heard(struct said *s, struct rig_answer a)
{
    buf_add_str(&s->all, a.body);
    buf_add_str(&s->all, a.challenge);
    buf_add_char(&s->all, '\n');
    return a;
}

static void command(struct said *s, struct rig *r, const char *a, const char *b, const char *env)
{
    auto_free char *out = NULL;
    const char *const arguments[] = { a, b, NULL };
    (void)rig_command(r, arguments, (const char *const[]){ env, NULL }, NULL, &out);
    buf_add_str(&s->all, out);
}

static void none_is_told(struct said *s)
{
    size_t secrets = 0;
    cr_assert_gt(s->all.len, 20000, "it has said too little to judge: %zu", s->all.len);
    cr_assert(!buf_overflowed(&s->all));
    for (char *line = strtok(s->secrets.data, "\n"); line; line = strtok(NULL, "\n"), secrets++) {
        const char *at = strstr(buf_str(&s->all), line);
        cr_assert_null(at, "a secret is told: ...%.200s", at - 100 < s->all.data ? at : at - 100);
    }
    cr_assert_gt(secrets, 20);
    cr_assert_null(strstr(buf_str(&s->all), "v1.k1."), "a token, or a part of one");
}

/* A callback, whose tokens and id are secrets from now on. */
static void tokens(struct said *s, const char *id, char **job, char **launcher)
{
    auto_buf struct buf encoded = BUF_INIT(4096);
    encode_percent(&encoded, id, strlen(id));
    *job = rig_token(id, TOKEN_SCOPE_JOB, 3600);
    *launcher = rig_token(id, TOKEN_SCOPE_LAUNCHER, 3600);
    secret(s, id);
    secret(s, buf_str(&encoded));
    secret(s, *job);
    secret(s, *launcher);
    /* The sealed part alone is as secret. */
    secret(s, strrchr(*job, '.') + 1);
    secret(s, strrchr(*launcher, '.') + 1);
}

static struct rig_answer ask(struct said *s, struct rig *r, const char *method, const char *id,
                             const char *what, const char *token, const char *type,
                             const char *body)
{
    return heard(s, rig_ask(r, &(struct rig_ask){ .method = method,
                                                  .callback_id = id,
                                                  .what = what,
                                                  .token = token,
                                                  .type = type,
                                                  .body = body }));
}

/* Each kind of answer of each kind of engine. */
static void speak(struct said *s, struct rig *r)
{
    static const enum rig_lambda engines[] = { RIG_TELLS,  RIG_FAILS,     RIG_THROTTLES,
                                               RIG_DENIES, RIG_ELSEWHERE, RIG_UNKNOWN,
                                               RIG_CUTS,   RIG_REFUSES,   RIG_CLOSED };
    for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
        auto_free char *id = mem_printf(
            "Y2FsbGJhY2staWQt%c+/secret+/0123456789/%c==", (char)('A' + i), (char)('A' + i));
        auto_free char *job = NULL, *launcher = NULL;
        tokens(s, id, &job, &launcher);
        rig_lambda(r, engines[i], 2, RIG_TELLS);
        rig_lambda_beats(r, engines[i]);
        ask(s, r, "PUT", id, "", launcher, JSON, "{\"input\":1,\"engineHeartbeatSeconds\":3}");
        ask(s, r, "PUT", id, "", launcher, JSON, "{\"input\":2}");
        ask(s, r, "PUT", id, "", launcher, JSON, "{\"unknown\":2}");
        ask(s, r, "PUT", id, "", job, JSON, "{}");
        ask(s, r, "GET", id, "/input", launcher, NULL, NULL);
        ask(s, r, "POST", id, "/heartbeat", job, JSON, "{\"progress\":7}");
        ask(s, r, "POST", id, "/heartbeat", job, JSON, "{\"progress\":0.5}");
        ask(s, r, "POST", id, "/nonsense", job, JSON, "1");
        ask(s, r, "PATCH", id, "", job, JSON, "1");
        cr_assert_eq(ask(s, r, "POST", id, "/success", job, JSON, "{\"ok\":1}").status, 202);
        ask(s, r, "POST", id, "/success", job, JSON, "{\"ok\":2}");
        rig_await_calls(r, rig_calls(r) + (engines[i] < RIG_REFUSES ? 2 : 0));
        ask(s, r, "GET", id, "", job, NULL, NULL);
        ask(s, r, "GET", id, "", launcher, NULL, NULL);
        char *forged = mem_dup(job);
        forged[strlen(forged) - 5] ^= 1;
        ask(s, r, "POST", id, "/success", forged, JSON, "1");
        free(forged);
        /* Where no token belongs. */
        auto_free char *path = mem_printf("/v1/callbacks/%s/success?token=%s", job, job);
        heard(s, rig_get(r, false, "GET", path, NULL));
        heard(s, rig_get(r, true, "GET", path, NULL));
        auto_free char *query = mem_printf("/pending?after=%s", job);
        heard(s, rig_get(r, true, "GET", query, NULL));
    }
}

/* A heartbeat to Lambda that fails, and says so: sooner or later, where several receivers could be
 * there to send it. */
static void beat(struct said *s, struct rig *r)
{
    const char *id = "Y2FsbGJhY2staWQtc2VjcmV0LWJlYXQ=";
    auto_free char *job = NULL, *launcher = NULL;
    int64_t until = clock_mono_ms(clock_system()) + 60000;
    tokens(s, id, &job, &launcher);
    rig_lambda_beats(r, RIG_TELLS);
    ask(s, r, "PUT", id, "", launcher, JSON, "{\"engineHeartbeatSeconds\":3}");
    for (bool told = false; !told;) {
        auto_free char *log = rig_log(r);
        told = strstr(log, "engine_heartbeat_failed") != NULL;
        cr_assert(told || clock_mono_ms(clock_system()) < until, "no heartbeat fails");
        clock_sleep_ms(clock_system(), 50);
    }
}

static void operate(struct said *s, struct rig *r, const char *store)
{
    static const char *const paths[] = { "/metrics", "/pending", "/dead", "/healthz", "/readyz" };
    struct http_header wrong[] = { { "Authorization", "Bearer ops-token-0123456788" },
                                   { NULL, NULL } };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        auto_free char *text = rig_ops_text(r, paths[i]);
        buf_add_str(&s->all, text);
    }
    heard(s, rig_get(r, true, "GET", "/metrics", wrong));
    command(s, r, "pending", NULL, NULL);
    command(s, r, "dead", "--json", NULL);
    command(s, r, "redeliver", "--all", NULL);
    command(s, r, "doctor", NULL, NULL);
    command(s, r, "doctor", NULL, "AWS_ENDPOINT_URL=http://127.0.0.1:1");
    command(s, r, "doctor", NULL, "CALLBACK_TOKEN_KEYS=keys-that-make-no-sense-0123456789");
    command(s, r, "--nonsense", NULL, NULL);
    command(s, r, "--log-level", "loud", NULL);
    command(s, r, "--help", NULL, NULL);
    /* A second one on the same SQLite file, a wrong password, a store that is none. */
    command(s, r, "--listen", "127.0.0.1:1", store);
}

RIG_TEST(secrets, are_nowhere_in_what_a_run_says)
{
    struct said s;
    buf_init(&s.all, 16U << 20);
    buf_init(&s.secrets, 1U << 20);
    static const char *const given[] = {
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",      OPS_TOKEN, AWS_KEY, SESSION, PASSWORD,
        "keys-that-make-no-sense-0123456789"
    };
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        secret(&s, given[i]);
    struct rig *r =
        rig_start((const char *const[]){ "OPS_TOKEN=" OPS_TOKEN, "AWS_SECRET_ACCESS_KEY=" AWS_KEY,
                                         "AWS_SESSION_TOKEN=" SESSION, NULL });
    auto_free char *store =
        rig_redis(r)->program ? mem_printf("CALLBACK_STORE=redis://user:" PASSWORD "@127.0.0.1:%d",
                                           rig_redis(r)->port)
                              : mem_dup("CALLBACK_STORE=redis://user:" PASSWORD "@127.0.0.1:x");
    speak(&s, r);
    beat(&s, r);
    operate(&s, r, store);
    if (rig_redis(r)->program) { /* errors of the store */
        auto_free char *job = NULL, *launcher = NULL;
        const char *id = "YSBzdG9yZSB0aGF0IGlzIGF3YXk=";
        tokens(&s, id, &job, &launcher);
        program_kill(rig_redis(r)->program);
        ask(&s, r, "PUT", id, "", launcher, JSON, "{}");
        ask(&s, r, "POST", id, "/success", job, JSON, "1");
        redis_server_restart(rig_redis(r));
    }
    rig_lambda(r, RIG_TAKES, 0, RIG_TAKES);
    cr_assert_eq(rig_terminate(r), 0);
    auto_free char *log = rig_log(r);
    cr_assert_not_null(strstr(log, "delivery_failed"));
    cr_assert_not_null(strstr(log, "\"denied\""));
    buf_add_str(&s.all, log);
    none_is_told(&s);
    buf_release(&s.all);
    buf_release(&s.secrets);
    rig_stop(r);
}
