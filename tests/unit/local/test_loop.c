#include "local/loop.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/aws/http.h"
#include "shared/base/clock.h"

struct trace {
    struct loop *loop;
    char text[64];
    int fd;
    struct loop_timer *victim;
    struct httpd_request *parked;
};

static struct loop *make_loop(void)
{
    struct error err;
    struct loop *l = loop_new(&err);
    cr_assert_not_null(l, "%s", err.msg);
    return l;
}

static void note(struct trace *t, char c)
{
    size_t len = strlen(t->text);
    if (len + 1 < sizeof(t->text))
        t->text[len] = c;
}

static void add_a(void *arg)
{
    note(arg, 'a');
}

static void add_b(void *arg)
{
    note(arg, 'b');
}

static void cancel_victim(void *arg)
{
    struct trace *t = arg;
    note(t, 'c');
    loop_cancel(t->loop, t->victim);
}

static void stop(void *arg)
{
    struct trace *t = arg;
    note(t, '.');
    loop_stop(t->loop);
}

Test(loop, timers_run_in_order_and_never_early, .timeout = 10)
{
    struct trace t = { .loop = make_loop() };
    int64_t begun = clock_mono_ms(clock_system());
    loop_after(t.loop, 60, stop, &t);
    loop_after(t.loop, 40, add_b, &t);
    loop_after(t.loop, 20, add_a, &t);
    loop_after(t.loop, 20, add_b, &t);
    loop_after(t.loop, -5, add_a, &t);
    loop_run(t.loop);
    cr_assert_str_eq(t.text, "aabb.");
    cr_assert_geq(clock_mono_ms(clock_system()) - begun, 60);
    loop_free(t.loop);
}

Test(loop, a_cancelled_timer_never_runs, .timeout = 10)
{
    struct trace t = { .loop = make_loop() };
    struct loop_timer *many[200];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = loop_after(t.loop, (int64_t)(i * 37 % 20), add_a, &t);
    t.victim = loop_after(t.loop, 10, add_b, &t);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        loop_cancel(t.loop, many[i]);
    loop_after(t.loop, 5, cancel_victim, &t);
    loop_after(t.loop, 30, stop, &t);
    loop_cancel(t.loop, NULL);
    loop_run(t.loop);
    cr_assert_str_eq(t.text, "c.");
    loop_free(t.loop);
}

static void read_one(void *arg)
{
    struct trace *t = arg;
    char c;
    cr_assert_eq(read(t->fd, &c, 1), 1);
    note(t, c);
    loop_unwatch(t->loop, t->fd);
    if (c == 'x') {
        struct error err;
        cr_assert_eq(loop_watch(t->loop, t->fd, read_one, t, &err), 0);
    } else {
        loop_stop(t->loop);
    }
}

Test(loop, watches_descriptors_until_told_otherwise, .timeout = 10)
{
    struct error err;
    struct trace t = { .loop = make_loop() };
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    t.fd = ends[0];
    cr_assert_eq(write(ends[1], "xyz", 3), 3);
    cr_assert_eq(loop_watch(t.loop, t.fd, read_one, &t, &err), 0);
    cr_assert_eq(loop_watch(t.loop, t.fd, read_one, &t, &err), -1, "once is enough");
    loop_run(t.loop);
    cr_assert_str_eq(t.text, "xy");
    loop_free(t.loop);
    close(ends[0]);
    close(ends[1]);
}

static void *post_some(void *arg)
{
    struct trace *t = arg;
    loop_post(t->loop, add_a, t);
    loop_post(t->loop, add_b, t);
    loop_post(t->loop, stop, t);
    return NULL;
}

Test(loop, takes_posts_of_other_threads_in_order, .timeout = 10)
{
    struct trace t = { .loop = make_loop() };
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, post_some, &t), 0);
    loop_run(t.loop);
    pthread_join(thread, NULL);
    cr_assert_str_eq(t.text, "ab.");
    loop_post(t.loop, add_a, &t); /* what nobody runs any more is freed */
    loop_free(t.loop);
}

static void answer(void *arg)
{
    struct trace *t = arg;
    httpd_reply_json(t->parked, 200, "{}", NULL);
}

static void park(struct httpd_request *req, void *arg)
{
    struct trace *t = arg;
    t->parked = req;
    httpd_park(req);
    if (strcmp(httpd_path(req), "/later") == 0)
        loop_after(t->loop, 20, answer, t);
    else
        answer(t);
}

struct asked {
    struct trace *trace;
    char url[64];
    int status;
};

static void *ask(void *arg)
{
    struct asked *a = arg;
    struct error err;
    struct http_client *c = http_client_new(&err);
    auto_response struct http_response resp = { 0 };
    const struct http_request req = { .method = "GET", .url = a->url, .timeout_ms = 5000 };
    a->status = http_send(c, &req, &resp, &err) == 0 ? resp.status : -1;
    http_client_free(c);
    loop_post(a->trace->loop, stop, a->trace);
    return NULL;
}

/* Nothing but the answer itself wakes the loop: no timer, no other connection. */
Test(loop, sends_the_answer_of_a_parked_request, .timeout = 20)
{
    static const char *const paths[] = { "/now", "/later" };
    struct error err;
    struct trace t = { .loop = make_loop() };
    const struct httpd_config cfg = {
        .listen = "127.0.0.1:0", .max_body = 100, .handler = park, .arg = &t
    };
    struct httpd *h = httpd_start(&cfg, &err);
    cr_assert_not_null(h, "%s", err.msg);
    cr_assert_eq(loop_serve(t.loop, h, &err), 0);
    http_global_init();
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct asked a = { .trace = &t };
        pthread_t thread;
        snprintf(a.url, sizeof(a.url), "http://%s%s", httpd_address(h), paths[i]);
        cr_assert_eq(pthread_create(&thread, NULL, ask, &a), 0);
        loop_run(t.loop);
        pthread_join(thread, NULL);
        cr_assert_eq(a.status, 200, "%s", paths[i]);
    }
    loop_unserve(t.loop, h);
    httpd_stop(h);
    loop_free(t.loop);
    http_global_cleanup();
}
