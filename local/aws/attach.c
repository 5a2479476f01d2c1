#include "local/aws/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "local/aws/runtime_api.h"

#define MAX_RUNTIMES 1000
#define PEER         64

/* One `next`: first it waits, then its invocation runs. */
struct runtime {
    struct attach *attach;
    char peer[PEER];
    struct httpd_request *next;    /* parked, or NULL */
    struct invocation *invocation; /* that runs, or NULL */
    int connection;                /* a duplicate, to notice its end; or -1 */
    struct loop_timer *timer;      /* the invocation's limit */
    struct runtime *prev_one, *next_one;
};

struct attach {
    struct function *function;
    const struct local *local;
    struct runtime_api *api;
    struct runtime *first, *last; /* in the order of their `next` */
    size_t count, busy;
    bool keeps; /* an answer came on the connection of its `next` */
};

static void forget(struct runtime *r)
{
    struct attach *a = r->attach;
    if (r->prev_one)
        r->prev_one->next_one = r->next_one;
    else
        a->first = r->next_one;
    if (r->next_one)
        /* Who was forgotten has left the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        r->next_one->prev_one = r->prev_one;
    else
        a->last = r->prev_one;
    a->count--;
    loop_cancel(a->local->loop, r->timer);
    loop_unwatch(a->local->loop, r->connection);
    mem_close_fd(&r->connection);
    free(r);
}

/* Takes the invocation from its runtime, which is done with. */
static struct invocation *take_back(struct runtime *r)
{
    struct invocation *i = MOVE(r->invocation);
    r->attach->busy--;
    forget(r);
    return i;
}

/* ---- one that runs ----------------------------------------------------------------------------
 */

static void on_timeout(void *arg)
{
    struct runtime *r = arg;
    r->timer = NULL;
    struct attach *a = r->attach;
    invocation_time_out(take_back(r));
    attach_offer(a);
}

static void on_connection(void *arg)
{
    struct runtime *r = arg;
    struct attach *a = r->attach;
    char byte;
    ssize_t n = recv(r->connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return; /* its answer is on the way */
    loop_unwatch(a->local->loop, r->connection);
    mem_close_fd(&r->connection);
    if (!a->keeps)
        return;
    invocation_crash(take_back(r), "the connection was closed");
    attach_offer(a);
}

static void run(struct runtime *r, struct invocation *i)
{
    struct attach *a = r->attach;
    struct error err;
    r->invocation = i;
    a->busy++;
    r->connection = httpd_connection(r->next);
    if (r->connection >= 0 && loop_watch(a->local->loop, r->connection, on_connection, r, &err) < 0)
        mem_close_fd(&r->connection); /* then the timeout notices */
    r->timer =
        loop_after(a->local->loop, function_config(a->function)->timeout_s * 1000, on_timeout, r);
    invocation_send(i, MOVE(r->next));
}

void attach_offer(struct attach *a)
{
    struct runtime *following;
    for (struct runtime *r = a->first; r && function_waiting(a->function) > 0 &&
                                       a->busy < function_config(a->function)->max_concurrency;
         r = following) {
        /* `following` is another one. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        following = r->next_one;
        if (r->invocation)
            continue;
        if (httpd_peer_gone(r->next)) {
            httpd_abort(r->next);
            forget(r);
            continue;
        }
        struct invocation *i = function_take(a->function);
        if (i)
            run(r, i);
    }
}

void attach_cut(struct attach *a)
{
    struct runtime *following;
    for (struct runtime *r = a->first; r; r = following) {
        following = r->next_one;
        if (r->invocation) {
            invocation_crash(take_back(r), "signal: killed");
        } else {
            httpd_abort(r->next);
            forget(r);
        }
    }
}

/* ---- what runtimes ask ------------------------------------------------------------------------
 */

/* Connections of parked requests end unnoticed: those that have ended go before the limit counts.
 */
static void sweep(struct attach *a)
{
    struct runtime *following;
    for (struct runtime *r = a->first; r; r = following) {
        following = r->next_one;
        if (r->invocation || !httpd_peer_gone(r->next))
            continue;
        httpd_abort(r->next);
        forget(r);
    }
}

static void take_next(void *arg, struct httpd_request *req)
{
    struct attach *a = arg;
    sweep(a);
    if (a->count >= MAX_RUNTIMES) {
        httpd_abort(req);
        return;
    }
    struct runtime *r = mem_alloc(sizeof(*r));
    r->attach = a;
    r->connection = -1;
    httpd_peer(req, r->peer);
    r->prev_one = a->last;
    if (a->last)
        a->last->next_one = r;
    else
        a->first = r;
    a->last = r;
    a->count++;
    httpd_park(req);
    r->next = req;
    attach_offer(a);
}

static int take_answer(void *arg, const struct runtime_answer *answer)
{
    struct attach *a = arg;
    char peer[PEER];
    struct runtime *r = a->first;
    while (r && (!r->invocation ||
                 strcmp(invocation_request_id(r->invocation), answer->request_id) != 0))
        r = r->next_one;
    if (!r)
        return -1;
    httpd_peer(answer->req, peer);
    a->keeps = strcmp(peer, r->peer) == 0;
    invocation_end(take_back(r), answer->is_error ? INVOCATION_ERROR : INVOCATION_RESPONSE,
                   answer->body, answer->len, answer->type);
    attach_offer(a);
    return 0;
}

static void take_init_error(void *arg, const char *body, size_t len, const char *type)
{
    const struct attach *a = arg;
    (void)body, (void)len; /* may hold anything */
    log_warn(a->local->log, log_event("runtime_not_initialised"),
             log_str("function", function_config(a->function)->name),
             log_str("type", type ? type : ""));
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct attach *attach_new(struct function *f, struct error *err)
{
    static const struct runtime_api_ops ops = { .next = take_next,
                                                .answer = take_answer,
                                                .init_failed = take_init_error };
    const struct config_function *c = function_config(f);
    struct attach *a = mem_alloc(sizeof(*a));
    a->function = f;
    a->local = function_local(f);
    a->api = runtime_api_start(c->runtime_api, &ops, a, a->local->log, err);
    if (!a->api || loop_serve(a->local->loop, runtime_api_httpd(a->api), err) < 0) {
        error_wrap(err, "function %s", c->name);
        runtime_api_stop(a->api);
        free(a);
        return NULL;
    }
    auto_free char *url = mem_printf("http://%s", httpd_address(runtime_api_httpd(a->api)));
    log_info(a->local->log, log_event("listening"), log_str("service", "runtime-api"),
             log_str("url", url), log_str("function", c->name));
    return a;
}

void attach_free(struct attach *a)
{
    if (!a)
        return;
    while (a->first) {
        struct runtime *r = a->first;
        /* forget() moves the head on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        if (r->next)
            httpd_abort(r->next);
        if (r->invocation)
            invocation_discard(r->invocation);
        forget(r);
    }
    loop_unserve(a->local->loop, runtime_api_httpd(a->api));
    runtime_api_stop(a->api);
    free(a);
}

void attach_describe(const struct attach *a, struct buf *out)
{
    for (const struct runtime *r = a->first; r; r = r->next_one)
        buf_printf(out, "%s{\"peer\":\"%s\",\"state\":\"%s\"}", r == a->first ? "" : ",", r->peer,
                   r->invocation ? "busy" : "idle");
}
