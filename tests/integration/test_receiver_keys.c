/* The real callback-receiver as it runs in ECS: keys from Secrets Manager, credentials from the
 * container's endpoint; keys are exchanged without a restart. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/stack/program.h"
#include "shared/aws/http.h"
#include "shared/base/clock.h"
#include "shared/base/httpd.h"
#include "shared/token/token.h"
#include "tests/integration/rig.h"

#define OLD "\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""
#define NEW "\"k2\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\""

struct world {
    pthread_mutex_t lock;
    const char *keys; /* under lock; NULL: the secret is away */
    char session[32]; /* the session token of the last signed call; under lock */
    unsigned credentials, delivered;
    struct httpd *aws;
    char dir[64], log[96];
    char *url;
    struct program *program;
    struct http_client *client;
};

static void answer(struct httpd_request *req, void *arg)
{
    struct world *w = arg;
    auto_buf struct buf b = BUF_INIT(4096);
    char until[CLOCK_TEXT];
    const char *path = httpd_path(req), *target = httpd_header(req, "X-Amz-Target");
    pthread_mutex_lock(&w->lock);
    if (strcmp(path, "/credentials") == 0) {
        w->credentials++;
        /* never fresh: fetched for each call */
        clock_format(clock_wall_ms(clock_system()) + 60000, until);
        buf_printf(&b,
                   "{\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"s\",\"Token\":\"token-%u\","
                   "\"Expiration\":\"%s\"}",
                   w->credentials, until);
    } else if (target && strcmp(target, "secretsmanager.GetSecretValue") == 0 && w->keys) {
        auto_free char *keys = mem_printf("{%s}", w->keys);
        const char *session = httpd_header(req, "X-Amz-Security-Token");
        snprintf(w->session, sizeof(w->session), "%s", session ? session : "");
        buf_add_str(&b, "{\"SecretString\":");
        buf_add_json_str(&b, keys);
        buf_add_char(&b, '}');
    } else if (strncmp(path, "/2025-12-01/durable-execution-callbacks/", 40) == 0) {
        w->delivered++;
        buf_add_str(&b, "{}");
    }
    pthread_mutex_unlock(&w->lock);
    if (b.len > 0)
        httpd_reply_json(req, 200, buf_str(&b), NULL);
    else
        httpd_problem(req, 503, NULL, "away");
}

static void set_keys(struct world *w, const char *keys)
{
    pthread_mutex_lock(&w->lock);
    w->keys = keys;
    pthread_mutex_unlock(&w->lock);
}

static void start(struct world *w)
{
    struct error err = { 0 };
    http_global_init();
    pthread_mutex_init(&w->lock, NULL);
    snprintf(w->dir, sizeof(w->dir), "/tmp/receiver-keys-XXXXXX");
    cr_assert_not_null(mkdtemp(w->dir));
    snprintf(w->log, sizeof(w->log), "%s/log", w->dir);
    const struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 1 << 20, .handler = answer, .arg = w
    };
    w->aws = httpd_start(&cfg, &err);
    cr_assert_not_null(w->aws, "%s", err.msg);
    auto_free char *binary = mem_printf("%s/callback-receiver", getenv("BIN_DIR"));
    auto_free char *store = mem_printf("CALLBACK_STORE=sqlite:%s/store", w->dir);
    auto_free char *endpoint = mem_printf("AWS_ENDPOINT_URL=http://%s", httpd_address(w->aws));
    auto_free char *credentials = mem_printf(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://%s/credentials", httpd_address(w->aws));
    const char *const argv[] = { binary, NULL };
    const char *const env[] = { store,
                                endpoint,
                                credentials,
                                "LISTEN=127.0.0.1:0",
                                "OPS_LISTEN=127.0.0.1:0",
                                "CALLBACK_TOKEN_KEYS_SECRET=arn:aws:secretsmanager:x:1:secret:keys",
                                "CALLBACK_TOKEN_KID=k1",
                                "KEYS_REFRESH_SECONDS=1",
                                NULL };
    w->program = program_start(argv, env, w->log, &err);
    cr_assert_not_null(w->program, "%s", err.msg);
    cr_assert_eq(program_wait_ready(w->program, 60000, &err), 0, "%s", err.msg);
    w->url = program_url(w->program, "callbacks");
    w->client = http_client_new(&err);
    cr_assert_not_null(w->client);
}

static void stop(struct world *w)
{
    cr_expect_eq(program_stop(w->program, 60000), 0);
    program_free(w->program);
    httpd_stop(w->aws);
    http_client_free(w->client);
    auto_free char *gone = mem_printf("rm -rf %s", w->dir);
    cr_expect_eq(system(gone), 0);
    free(w->url);
    http_global_cleanup();
}

static char *token_of(const char *keys, const char *callback_id)
{
    struct error err;
    auto_free char *json = mem_printf("{%s}", keys);
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    struct token_keys *k = token_keys_new(json, NULL, &err);
    struct token_content c = { .scope = TOKEN_SCOPE_JOB,
                               .expires_s = clock_wall_ms(clock_system()) / 1000 + 600 };
    memcpy(c.callback_id, callback_id, strlen(callback_id) + 1);
    cr_assert_eq(token_seal(k, &c, &token, &err), 0);
    token_keys_free(k);
    return buf_take(&token, NULL);
}

static int report(struct world *w, const char *callback_id, const char *token)
{
    char id[TOKEN_PUBLIC_ID];
    struct error err = { 0 };
    token_public_id(callback_id, id);
    auto_free char *url = mem_printf("%s/v1/callbacks/%s/success", w->url, id);
    auto_free char *bearer = mem_printf("Bearer %s", token);
    const struct http_header headers[] = { { "Authorization", bearer }, { NULL, NULL } };
    const struct http_request req = {
        .method = "POST", .url = url, .headers = headers, .body = "1", .body_len = 1
    };
    auto_response struct http_response resp = { 0 };
    cr_assert_eq(http_send(w->client, &req, &resp, &err), 0, "%s", err.msg);
    return resp.status;
}

/* One stage of an exchange: which tokens are valid in it. `keys` NULL: the secret is away. Tokens
 * that are valid before and after a change must be so all the time. */
struct stage {
    const char *name;
    const char *keys;
    bool old, new;
};

/* The answers come to what the stage says; what is valid in this stage and in the one before is
 * accepted by each request on the way there. */
static void reach(struct world *w, const struct stage *before, const struct stage *now,
                  const char *old, const char *new)
{
    bool there = false;
    set_keys(w, now->keys);
    for (int i = 0; i < 600 && !there; i++) {
        int with_old = report(w, "T2xk", old), with_new = report(w, "TmV3", new);
        cr_expect(with_old == 401 || with_old == 202 || with_old == 200, "%d", with_old);
        cr_expect(with_new == 401 || with_new == 202 || with_new == 200, "%d", with_new);
        cr_assert(!before->old || !now->old || with_old != 401, "%s: the old key's token",
                  now->name);
        cr_assert(!before->new || !now->new || with_new != 401, "%s: the new key's token",
                  now->name);
        there = (with_old != 401) == now->old && (with_new != 401) == now->new &&i >= 30;
        clock_sleep_ms(clock_system(), 50);
    }
    cr_assert(there, "%s: never reached", now->name);
}

Test(receiver_keys, are_exchanged_without_a_restart)
{
    /* The receiver's CALLBACK_TOKEN_KID stays k1 all the time: it seals nothing. What is promoted
     * is promoted in the launcher, whose tokens are then the new key's. */
    static const struct stage stages[] = {
        { "before", OLD, true, false },
        { "opened", OLD "," NEW, true, true },
        { "the secret is away", NULL, true, true },
        { "the secret makes no sense", "\"k1\":\"short\"", true, true },
        { "promoted", NEW "," OLD, true, true },
        { "dropped", NEW, false, true },
    };
    struct world w = { .keys = OLD };
    start(&w);
    auto_free char *old = token_of(OLD, "T2xk"), *new = token_of(NEW, "TmV3");
    reach(&w, &stages[0], &stages[0], old, new);
    for (size_t i = 1; i < ARRAY_LEN(stages); i++)
        reach(&w, &stages[i - 1], &stages[i], old, new);
    pthread_mutex_lock(&w.lock);
    cr_expect_gt(w.credentials, 2, "credentials that expire soon are fetched again");
    cr_expect_neq(strcmp(w.session, "token-1"), 0, "%s", w.session);
    cr_expect_eq(strncmp(w.session, "token-", 6), 0, "%s", w.session);
    cr_expect_geq(w.delivered, 2);
    pthread_mutex_unlock(&w.lock);
    auto_free char *search = mem_printf("grep -qE 'aaaaaaaa|bbbbbbbb|short|AKIA' %s", w.log);
    cr_expect_neq(system(search), 0, "no key is in the log");
    stop(&w);
}

/* Keys from the environment, two receivers on one Redis, restarted one after the other: at each
 * moment one of them takes every token that is valid. */
Test(receiver_keys, are_exchanged_by_restarting_one_receiver_after_the_other)
{
    static const char *const stages[] = { "{" OLD "}", "{" OLD "," NEW "}", "{" NEW "}" };
    static const bool old_is_valid[] = { true, true, false },
                      new_is_valid[] = { false, true, true };
    if (!rig_on(RIG_REDIS))
        return;
    auto_free char *old = token_of(OLD, "T2xk"), *new = token_of(NEW, "TmV3");
    auto_free char *first = mem_printf("CALLBACK_TOKEN_KEYS=%s", stages[0]);
    /* What holds Redis and Lambda is not one of the two. */
    struct rig *home = rig_start(NULL);
    struct rig *pair[2];
    for (size_t i = 0; i < 2; i++)
        pair[i] = rig_join(home, (const char *const[]){ first, NULL });
    for (size_t stage = 1; stage < ARRAY_LEN(stages); stage++) {
        auto_free char *keys = mem_printf("CALLBACK_TOKEN_KEYS=%s", stages[stage]);
        for (size_t i = 0; i < 2; i++) {
            rig_stop(pair[i]);
            pair[i] = NULL;
            for (int up = 0; up < 2; up++) { /* while one is down, and when it is up again */
                bool taken_old = false, taken_new = false;
                for (size_t k = 0; k < 2; k++) {
                    if (!pair[k])
                        continue;
                    struct rig_ask ask = { .method = "POST",
                                           .callback_id = "T2xk",
                                           .what = "/success",
                                           .token = old,
                                           .body = "1" };
                    taken_old |= rig_ask(pair[k], &ask).status < 300;
                    ask.callback_id = "TmV3";
                    ask.token = new;
                    taken_new |= rig_ask(pair[k], &ask).status < 300;
                }
                if (old_is_valid[stage] && old_is_valid[stage - 1])
                    cr_assert(taken_old, "stage %zu, %zu", stage, i);
                if (new_is_valid[stage] && new_is_valid[stage - 1])
                    cr_assert(taken_new, "stage %zu, %zu", stage, i);
                if (!up)
                    pair[i] = rig_join(home, (const char *const[]){ keys, NULL });
            }
        }
    }
    struct rig_ask last = {
        .method = "POST", .callback_id = "T2xk", .what = "/success", .token = old, .body = "1"
    };
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(rig_ask(pair[i], &last).status, 401, "dropped is dropped");
    rig_stop(pair[1]);
    rig_stop(pair[0]);
    rig_stop(home);
}
