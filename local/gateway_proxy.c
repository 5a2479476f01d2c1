#include "local/gateway_proxy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct gateway_proxy *proxy;
    struct http_request request; /* points into what follows */
    char *method, *url, *body;
    struct http_header *headers;
    size_t header_count;
    gateway_proxy_fn *done;
    void *arg;
    struct http_response response;
    struct error error;
    bool failed;
    struct job *next_waiting;
    struct job *prev, *next; /* among all jobs: the loop's */
};

struct gateway_proxy {
    struct loop *loop;
    struct job *jobs; /* the loop's */
    pthread_t *threads;
    unsigned thread_count;
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *waiting, **waiting_end; /* under lock */
    size_t waiting_count;               /* under lock */
};

static void job_free(struct job *j)
{
    for (size_t i = 0; i < j->header_count; i++) {
        free((void *)(uintptr_t)j->headers[i].name);
        mem_free_secret((char *)(uintptr_t)j->headers[i].value);
    }
    free(j->headers);
    free(j->method);
    free(j->url);
    free(j->body);
    http_response_release(&j->response);
    free(j);
}

static void unlink_job(struct job *j)
{
    if (j->prev)
        j->prev->next = j->next;
    else
        j->proxy->jobs = j->next;
    if (j->next)
        j->next->prev = j->prev;
}

/* On the loop. */
static void finished(void *arg)
{
    struct job *j = arg;
    unlink_job(j);
    j->done(j->arg, j->failed ? NULL : &j->response, &j->error);
    job_free(j);
}

static struct job *take(struct gateway_proxy *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->waiting && !atomic_load(&p->stopping))
        pthread_cond_wait(&p->wake, &p->lock);
    struct job *j = atomic_load(&p->stopping) ? NULL : p->waiting;
    if (j) {
        p->waiting = j->next_waiting;
        p->waiting_count--;
        if (!p->waiting)
            p->waiting_end = &p->waiting;
    }
    pthread_mutex_unlock(&p->lock);
    return j;
}

static void *work(void *arg)
{
    struct gateway_proxy *p = arg;
    struct error err = { 0 };
    struct http_client *client = http_client_new(&err);
    for (struct job *j = take(p); j; j = take(p)) {
        if (client) {
            j->failed = http_send(client, &j->request, &j->response, &j->error) < 0;
        } else {
            j->failed = true;
            j->error = err;
        }
        loop_post(p->loop, finished, j);
    }
    http_client_free(client);
    return NULL;
}

struct gateway_proxy *gateway_proxy_new(struct loop *loop, unsigned threads, struct error *err)
{
    struct gateway_proxy *p = mem_alloc(sizeof(*p));
    p->loop = loop;
    p->waiting_end = &p->waiting;
    p->threads = mem_array(threads, sizeof(*p->threads));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    while (p->thread_count < threads) {
        int rc = pthread_create(&p->threads[p->thread_count], NULL, work, p);
        if (rc != 0) {
            error_set_errno(err, rc, "start a thread");
            gateway_proxy_free(p);
            return NULL;
        }
        p->thread_count++;
    }
    return p;
}

void gateway_proxy_free(struct gateway_proxy *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stopping, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    while (p->jobs) {
        struct job *j = p->jobs;
        p->jobs = j->next;
        job_free(j);
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
}

static void copy_request(struct job *j, const struct http_request *req)
{
    size_t n = 0;
    while (req->headers && req->headers[n].name)
        n++;
    j->request = *req;
    j->request.method = j->method = mem_dup(req->method);
    j->request.url = j->url = mem_dup(req->url);
    j->request.body = j->body = mem_dup_len(req->body_len ? req->body : "", req->body_len);
    j->headers = mem_array(n + 1, sizeof(*j->headers));
    j->header_count = n;
    for (size_t i = 0; i < n; i++)
        j->headers[i] =
            (struct http_header){ mem_dup(req->headers[i].name), mem_dup(req->headers[i].value) };
    j->request.headers = j->headers;
    j->request.cancel = &j->proxy->stopping;
}

int gateway_proxy_send(struct gateway_proxy *p, const struct http_request *req,
                       gateway_proxy_fn *done, void *arg, struct error *err)
{
    pthread_mutex_lock(&p->lock);
    bool full = p->waiting_count >= GATEWAY_PROXY_WAITING;
    pthread_mutex_unlock(&p->lock);
    if (full) /* only this thread adds, so that it cannot become full in between */
        return error_set(err, ERR_THROTTLED, 0, "too many requests wait");
    struct job *j = mem_alloc(sizeof(*j));
    j->proxy = p;
    j->done = done;
    j->arg = arg;
    copy_request(j, req);
    j->next = p->jobs;
    if (p->jobs)
        p->jobs->prev = j;
    p->jobs = j;
    pthread_mutex_lock(&p->lock);
    *p->waiting_end = j;
    p->waiting_end = &j->next_waiting;
    p->waiting_count++;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    return 0;
}
