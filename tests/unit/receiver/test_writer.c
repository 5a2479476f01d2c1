/* The writer over a store that a test holds up or breaks, alone and below the API. */
#include "callback-receiver/writer.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/api.h"
#include "shared/aws/http.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define KEYS "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"

struct fake {
    struct store base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    bool held;    /* runs wait */
    unsigned let; /* but for the first of them */
    bool broken;  /* runs fail */
    unsigned runs;
    size_t sizes[16]; /* operations of each run */
    bool closed;
};

static int fake_run(struct store *s, struct store_op *const *ops, size_t count, struct error *err)
{
    struct fake *f = (struct fake *)s;
    pthread_mutex_lock(&f->lock);
    unsigned mine = f->runs++;
    f->sizes[mine] = count;
    pthread_cond_broadcast(&f->changed);
    while (f->held && mine >= f->let)
        pthread_cond_wait(&f->changed, &f->lock);
    bool broken = f->broken;
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < count; i++)
        ops[i]->record.state = CALLBACK_PENDING;
    return broken ? error_set(err, ERR_IO, 0, "the disk is full") : 0;
}

static void fake_close(struct store *s)
{
    ((struct fake *)s)->closed = true;
}

static const struct store_driver fake_driver = { fake_run, fake_close };

static void fake_init(struct fake *f)
{
    *f = (struct fake){ .base = { &fake_driver } };
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
}

static void fake_set(struct fake *f, bool held, bool broken)
{
    pthread_mutex_lock(&f->lock);
    f->held = held;
    f->broken = broken;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

/* The first `runs` go on, the others are held up. */
static void fake_let(struct fake *f, unsigned runs)
{
    pthread_mutex_lock(&f->lock);
    f->let = runs;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void await_runs(struct fake *f, unsigned runs)
{
    pthread_mutex_lock(&f->lock);
    while (f->runs < runs)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

struct told {
    int order[16];
    size_t count;
    unsigned failed;
    struct store_op ops[16];
};

static struct told *told_by; /* of the test that runs: each is a process of its own */

static void tell(struct store_op *op, const struct error *err, void *arg)
{
    (void)arg;
    told_by->order[told_by->count++] = (int)(op - told_by->ops);
    told_by->failed += err != NULL;
}

Test(writer, what_queues_up_is_one_transaction_told_in_order)
{
    struct fake f;
    struct told told = { .count = 0 };
    struct error err;
    told_by = &told;
    fake_init(&f);
    struct store *store = &f.base;
    fake_set(&f, true, false);
    struct writer *w =
        writer_start(&store, 1, &(struct writer_limits){ .max_ops = 6, .batch = 4 }, NULL, &err);
    cr_assert_not_null(w, "%s", err.msg);
    writer_submit(w, &told.ops[0], tell, NULL);
    await_runs(&f, 1);
    for (int i = 1; i <= 6; i++) {
        cr_assert(writer_has_room(w), "%d", i);
        writer_submit(w, &told.ops[i], tell, NULL);
    }
    cr_assert_not(writer_has_room(w));
    fake_set(&f, false, false);
    struct store_op own[2] = { { .action = STORE_PROBE }, { .action = STORE_PROBE } };
    struct store_op *both[] = { &own[0], &own[1] };
    cr_assert_eq(writer_call(w, both, 2, &err), 0, "the receiver's own are always taken");
    cr_assert(writer_has_room(w));
    writer_stop(w);
    cr_assert(f.closed);
    cr_assert_eq(told.count, 7);
    for (int i = 0; i < 7; i++)
        cr_assert_eq(told.order[i], i);
    cr_assert_eq(f.sizes[0], 1);
    cr_assert_eq(f.sizes[1], 4, "a full batch");
    cr_assert_eq(told.failed, 0);
}

static void tell_own(struct store_op *op, const struct error *err, void *arg)
{
    told_by->failed += arg != op;
    tell(op, err, NULL);
}

Test(writer, what_is_submitted_together_is_one_transaction_told_each_by_itself)
{
    struct fake f;
    struct told told = { .count = 0 };
    struct error err;
    struct store_op *ops[10];
    void *args[10];
    told_by = &told;
    fake_init(&f);
    struct store *store = &f.base;
    struct writer *w = writer_start(&store, 1, NULL, NULL, &err);
    cr_assert_not_null(w, "%s", err.msg);
    for (int i = 0; i < 10; i++)
        args[i] = ops[i] = &told.ops[i];
    writer_submit_all(w, ops, args, 10, tell_own);
    writer_stop(w);
    cr_assert_eq(told.count, 10);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(told.order[i], i);
    cr_assert_eq(told.failed, 0);
    cr_assert_eq(f.runs, 1, "%u", f.runs);
    cr_assert_eq(f.sizes[0], 10);
}

Test(writer, a_failed_commit_is_told_to_each)
{
    struct fake f;
    struct told told = { .count = 0 };
    struct error err;
    told_by = &told;
    fake_init(&f);
    struct store *store = &f.base;
    fake_set(&f, true, true);
    struct writer *w = writer_start(&store, 1, NULL, NULL, &err);
    for (int i = 0; i < 5; i++)
        writer_submit(w, &told.ops[i], tell, NULL);
    fake_set(&f, false, true);
    struct store_op own = { .action = STORE_PROBE }, *one = &own;
    cr_assert_eq(writer_call(w, &one, 1, &err), -1);
    cr_assert_str_eq(err.msg, "the disk is full");
    cr_assert_eq(told.failed, 5);
    fake_set(&f, false, false);
    cr_assert_eq(writer_call(w, &one, 1, &err), 0, "and it goes on");
    writer_stop(w);
}

Test(writer, payload_that_waits_is_limited)
{
    struct fake f;
    struct told told = { .count = 0 };
    struct error err;
    told_by = &told;
    fake_init(&f);
    struct store *store = &f.base;
    fake_set(&f, true, false);
    struct writer *w =
        writer_start(&store, 1, &(struct writer_limits){ .max_bytes = 100 }, NULL, &err);
    writer_submit(w, &told.ops[0], tell, NULL);
    await_runs(&f, 1);
    told.ops[1].payload.len = 100;
    writer_submit(w, &told.ops[1], tell, NULL);
    cr_assert_not(writer_has_room(w));
    fake_set(&f, false, false);
    writer_stop(w);
}

struct client {
    pthread_t thread;
    char url[128];
    char *authorization;
    atomic_int status;
    char retry_after[16];
    char body[512];
};

static void *heartbeat(void *arg)
{
    struct client *c = arg;
    struct error err;
    auto_response struct http_response resp = { 0 };
    struct http_header headers[] = { { "Authorization", c->authorization }, { NULL, NULL } };
    struct http_request req = {
        .method = "POST", .url = c->url, .headers = headers, .timeout_ms = 10000
    };
    struct http_client *http = http_client_new(&err);
    if (http_send(http, &req, &resp, &err) == 0) {
        c->status = resp.status;
        http_response_header(&resp, "Retry-After", c->retry_after, sizeof(c->retry_after));
        snprintf(c->body, sizeof(c->body), "%s", buf_str(&resp.body));
    }
    http_client_free(http);
    return NULL;
}

static void client_start(struct client *c, const struct httpd *h, const struct token_keys *keys)
{
    char id[TOKEN_PUBLIC_ID];
    struct token_content content = { "QQ==", TOKEN_SCOPE_JOB, 4102444800 };
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    struct error err;
    *c = (struct client){ .status = 0 };
    token_public_id("QQ==", id);
    cr_assert_eq(token_seal(keys, &content, &token, &err), 0, "%s", err.msg);
    snprintf(c->url, sizeof(c->url), "http://%s/v1/callbacks/%s/heartbeat", httpd_address(h), id);
    c->authorization = mem_printf("Bearer %s", buf_str(&token));
    cr_assert_eq(pthread_create(&c->thread, NULL, heartbeat, c), 0);
}

static void client_end(struct client *c)
{
    pthread_join(c->thread, NULL);
    free(c->authorization);
}

Test(writer, the_api_answers_429_when_full_and_503_when_the_store_is_away)
{
    struct fake f;
    struct error err;
    struct metrics metrics = { 0 };
    struct client first, second, third;
    http_global_init();
    fake_init(&f);
    struct store *store = &f.base;
    fake_set(&f, true, false);
    struct token_keys *keys = token_keys_new(KEYS, NULL, &err);
    struct keys *opening = keys_start(&(struct keys_config){ .json = KEYS }, &err);
    struct writer *w = writer_start(&store, 1, &(struct writer_limits){ .max_ops = 1 }, NULL, &err);
    struct api *api =
        api_new(&(struct api_config){ .keys = opening, .writer = w, .metrics = &metrics });
    struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_body = 1000, .handler = api_handle, .arg = api
    };
    struct httpd *h = httpd_start(&cfg, &err);
    cr_assert_not_null(h, "%s", err.msg);
    client_start(&first, h, keys);
    await_runs(&f, 1); /* in the store */
    client_start(&second, h, keys);
    while (writer_has_room(w)) /* in the queue */
        clock_sleep_ms(clock_system(), 1);
    client_start(&third, h, keys);
    client_end(&third);
    cr_assert_eq(third.status, 429, "%d %s", third.status, third.body);
    cr_assert_str_eq(third.retry_after, "1");
    cr_assert_eq(first.status, 0, "nothing is answered before its commit");
    cr_assert_eq(second.status, 0);
    fake_set(&f, false, true);
    client_end(&first);
    client_end(&second);
    cr_assert_eq(first.status, 503, "%d %s", first.status, first.body);
    cr_assert_str_eq(first.retry_after, "1");
    cr_assert_eq(second.status, 503);
    fake_set(&f, false, false);
    client_start(&third, h, keys);
    client_end(&third);
    cr_assert_eq(third.status, 200, "%d %s", third.status, third.body);
    api_drain(api);
    client_start(&third, h, keys);
    client_end(&third);
    cr_assert_eq(third.status, 503, "it is stopping");
    httpd_stop(h);
    api_free(api);
    writer_stop(w);
    token_keys_free(keys);
    keys_stop(opening);
    http_global_cleanup();
}

struct calling {
    struct writer *writer;
    int rc;
};

static void *call_own(void *arg)
{
    struct calling *c = arg;
    struct store_op own = { .action = STORE_PROBE }, *one = &own;
    struct error err;
    c->rc = writer_call(c->writer, &one, 1, &err);
    return NULL;
}

/* While the first store is held up, the second runs what clients ask; the receiver's own operations
 * are the first's. */
Test(writer, two_stores_take_turns)
{
    struct fake f[2];
    struct told told = { .count = 0 };
    struct error err;
    pthread_t thread;
    told_by = &told;
    fake_init(&f[0]);
    fake_init(&f[1]);
    fake_set(&f[0], true, false);
    struct store *stores[] = { &f[0].base, &f[1].base };
    struct writer *w = writer_start(stores, 2, NULL, NULL, &err);
    cr_assert_not_null(w, "%s", err.msg);
    struct calling calling = { w, -1 };
    cr_assert_eq(pthread_create(&thread, NULL, call_own, &calling), 0);
    await_runs(&f[0], 1);
    for (int i = 0; i < 4; i++) {
        writer_submit(w, &told.ops[i], tell, NULL);
        await_runs(&f[1], (unsigned)i + 1);
    }
    fake_set(&f[0], false, false);
    pthread_join(thread, NULL);
    cr_assert_eq(calling.rc, 0);
    writer_stop(w);
    cr_assert(f[0].closed && f[1].closed);
    cr_assert_eq(f[0].runs, 1);
    cr_assert_eq(told.count, 4);
}

/* Each transaction costs a flush: a small one waits for more, or for the end of the other. */
Test(writer, what_begins_beside_another_is_as_large)
{
    struct fake f[2];
    struct told told = { .count = 0 };
    struct error err;
    pthread_t thread;
    told_by = &told;
    fake_init(&f[0]);
    fake_init(&f[1]);
    fake_set(&f[0], true, false);
    fake_set(&f[1], true, false);
    struct store *stores[] = { &f[0].base, &f[1].base };
    struct writer *w = writer_start(stores, 2, NULL, NULL, &err);
    cr_assert_not_null(w, "%s", err.msg);
    struct calling calling = { w, -1 };
    cr_assert_eq(pthread_create(&thread, NULL, call_own, &calling), 0);
    await_runs(&f[0], 1);
    writer_submit(w, &told.ops[0], tell, NULL);
    await_runs(&f[1], 1);
    for (int i = 1; i <= 3; i++)
        writer_submit(w, &told.ops[i], tell, NULL);
    fake_let(&f[1], 1);
    await_runs(&f[1], 2); /* with three */
    fake_let(&f[0], 1);
    pthread_join(thread, NULL);
    for (int i = 4; i <= 6; i++)
        writer_submit(w, &told.ops[i], tell, NULL);
    await_runs(&f[0], 2);
    cr_assert_eq(f[0].sizes[1], 3, "%zu", f[0].sizes[1]);
    cr_assert_eq(f[1].sizes[1], 3, "%zu", f[1].sizes[1]);
    writer_submit(w, &told.ops[7], tell, NULL); /* waits for an end */
    fake_let(&f[0], 3);
    fake_let(&f[1], 3);
    writer_stop(w);
    cr_assert_eq(told.count, 8);
}

#define MANY 100

static unsigned runs_of(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    unsigned runs = f->runs;
    pthread_mutex_unlock(&f->lock);
    return runs;
}

static void count_told(struct store_op *op, const struct error *err, void *arg)
{
    (void)op;
    atomic_fetch_add((atomic_uint *)arg, err == NULL);
}

/* A large transaction keeps nobody waiting who could fill one that is large enough. */
Test(writer, what_begins_beside_a_large_one_is_large_enough)
{
    struct fake f[2];
    struct error err;
    static struct store_op ops[MANY + 64];
    struct store_op *all[MANY + 64];
    void *args[MANY + 64];
    atomic_uint told = 0;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        all[i] = &ops[i];
        args[i] = &told;
    }
    fake_init(&f[0]);
    fake_init(&f[1]);
    fake_set(&f[0], true, false);
    fake_set(&f[1], true, false);
    struct store *stores[] = { &f[0].base, &f[1].base };
    struct writer *w = writer_start(stores, 2, NULL, NULL, &err);
    cr_assert_not_null(w, "%s", err.msg);
    writer_submit_all(w, all, args, MANY, count_told);
    while (runs_of(&f[0]) + runs_of(&f[1]) == 0)
        clock_sleep_ms(clock_system(), 1);
    struct fake *beside = runs_of(&f[0]) ? &f[1] : &f[0];
    writer_submit_all(w, all + MANY, args, 63, count_told); /* wait */
    writer_submit_all(w, all + MANY + 63, args, 1, count_told);
    await_runs(beside, 1);
    cr_assert_eq(beside->sizes[0], 64, "%zu", beside->sizes[0]);
    fake_set(&f[0], false, false);
    fake_set(&f[1], false, false);
    writer_stop(w);
    cr_assert_eq(told, MANY + 64);
}
