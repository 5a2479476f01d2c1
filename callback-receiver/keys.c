#include "callback-receiver/keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/aws/secrets_client.h"
#include "shared/base/clock.h"

struct keys {
    struct keys_config cfg;
    pthread_rwlock_t lock;
    struct token_keys *now; /* under lock */
    struct aws *aws;        /* the refreshing thread's, after the start */
    char *text;             /* what `now` was made of; the same */
    atomic_bool cancel;
    bool started;
    pthread_t thread;
    pthread_mutex_t stop_lock;
    pthread_cond_t stop;
    bool stopping; /* under stop_lock */
};

/* Reads the secret. 0; *changed says whether it differs from what is there. */
static int refresh(struct keys *k, bool *changed, struct error *err)
{
    auto_secret char *text = NULL;
    if (secrets_get_string(k->aws, k->cfg.secret, &text, err) < 0)
        return -1;
    *changed = !k->text || strcmp(text, k->text) != 0;
    if (!*changed)
        return 0;
    struct token_keys *now = token_keys_opener(text, err);
    if (!now)
        return -1;
    pthread_rwlock_wrlock(&k->lock);
    struct token_keys *before = k->now;
    k->now = now;
    pthread_rwlock_unlock(&k->lock);
    token_keys_free(before);
    mem_free_secret(k->text);
    k->text = MOVE(text);
    return 0;
}

static bool wait_stop(struct keys *k)
{
    int64_t until = clock_mono_ms(clock_system()) + k->cfg.refresh_s * 1000;
    struct timespec at = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
    pthread_mutex_lock(&k->stop_lock);
    while (!k->stopping && clock_mono_ms(clock_system()) < until)
        pthread_cond_timedwait(&k->stop, &k->stop_lock, &at);
    bool stop = k->stopping;
    pthread_mutex_unlock(&k->stop_lock);
    return stop;
}

static void *loop(void *arg)
{
    struct keys *k = arg;
    while (!wait_stop(k)) {
        bool changed = false;
        struct error err = { 0 };
        int rc = refresh(k, &changed, &err);
        metrics_add(k->cfg.metrics, rc < 0 ? METRIC_KEYS_FAILED : METRIC_KEYS_READ);
        if (rc < 0)
            log_error(k->cfg.log, log_event("keys_not_read"), log_err(&err));
        else if (changed)
            log_info(k->cfg.log, log_event("keys_changed"));
    }
    return NULL;
}

static int start_refreshing(struct keys *k, struct error *err)
{
    bool changed;
    k->aws = aws_new(k->cfg.aws, clock_system(), err);
    if (!k->aws)
        return -1;
    aws_set_cancel(k->aws, &k->cancel);
    if (refresh(k, &changed, err) < 0)
        return error_wrap(err, "CALLBACK_TOKEN_KEYS_SECRET");
    metrics_add(k->cfg.metrics, METRIC_KEYS_READ);
    int rc = pthread_create(&k->thread, NULL, loop, k);
    if (rc != 0)
        return error_set_errno(err, rc, "cannot start a thread");
    k->started = true;
    return 0;
}

struct keys *keys_start(const struct keys_config *cfg, struct error *err)
{
    struct keys *k = mem_alloc(sizeof(*k));
    pthread_condattr_t attr;
    k->cfg = *cfg;
    pthread_rwlock_init(&k->lock, NULL);
    pthread_mutex_init(&k->stop_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->stop, &attr);
    pthread_condattr_destroy(&attr);
    int rc = 0;
    if (cfg->json && !(k->now = token_keys_opener(cfg->json, err)))
        rc = error_wrap(err, "CALLBACK_TOKEN_KEYS");
    if (!cfg->json)
        rc = start_refreshing(k, err);
    if (rc == 0)
        return k;
    keys_stop(k);
    return NULL;
}

void keys_stop(struct keys *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->stop_lock);
    k->stopping = true;
    pthread_cond_signal(&k->stop);
    pthread_mutex_unlock(&k->stop_lock);
    atomic_store(&k->cancel, true);
    if (k->started)
        pthread_join(k->thread, NULL);
    aws_free(k->aws);
    token_keys_free(k->now);
    mem_free_secret(k->text);
    pthread_cond_destroy(&k->stop);
    pthread_mutex_destroy(&k->stop_lock);
    pthread_rwlock_destroy(&k->lock);
    free(k);
}

enum auth keys_check(struct keys *k, const char *authorization, const char *id, unsigned scopes,
                     int64_t now_s, struct token_content *out)
{
    pthread_rwlock_rdlock(&k->lock);
    enum auth verdict = auth_check(k->now, authorization, id, scopes, now_s, out);
    pthread_rwlock_unlock(&k->lock);
    return verdict;
}

struct token_keys *keys_read(const struct keys_config *cfg, struct error *err)
{
    auto_secret char *text = NULL;
    struct token_keys *keys = NULL;
    if (cfg->json) {
        text = mem_dup(cfg->json);
    } else {
        struct aws *aws = aws_new(cfg->aws, clock_system(), err);
        if (aws && secrets_get_string(aws, cfg->secret, &text, err) < 0)
            text = NULL;
        aws_free(aws);
    }
    if (text)
        keys = token_keys_new(text, cfg->kid, err);
    if (!keys)
        error_wrap(err, cfg->json ? "CALLBACK_TOKEN_KEYS" : "CALLBACK_TOKEN_KEYS_SECRET");
    return keys;
}
