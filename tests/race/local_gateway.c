/* For the thread sanitizer: what local-aws does not do on its loop, the requests that the HTTP API
 * passes on. The loop sends bursts of them to a server that answers, breaks connections or is slow;
 * each must come back to the loop once. Then the threads are stopped with requests under way. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/gateway_proxy.h"
#include "local/loop.h"
#include "shared/base/httpd.h"
#include "tests/race/must.h"

#define THREADS 8
#define BURSTS  20
#define BURST   50
#define ROUNDS  4

struct drive {
    struct loop *loop;
    struct gateway_proxy *proxy;
    char url[128];
    unsigned bursts, waiting, answered, lost;
};

/* ---- the server behind ----------------------------------------------------------------------- */

static void handle(struct httpd_request *req, void *arg)
{
    size_t len;
    const char *body = httpd_body(req, &len);
    (void)arg;
    unsigned n = body ? (unsigned)strtoul(body, NULL, 10) : 0;
    if (n % 7 == 3)
        usleep(3000);
    if (n % 11 == 5)
        httpd_abort(req);
    else
        httpd_reply(req, 200, "text/plain", body, len, NULL);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void burst(struct drive *d);

static void done(void *arg, const struct http_response *resp, const struct error *err)
{
    struct drive *d = arg;
    if (resp) {
        MUST(resp->status == 200 && resp->body.len > 0, "%d", resp->status);
        d->answered++;
    } else {
        MUST(err->msg[0], "no reason");
        d->lost++;
    }
    if (--d->waiting == BURST / 2 && d->bursts < BURSTS)
        burst(d);
    if (d->waiting == 0)
        loop_stop(d->loop);
}

static void burst(struct drive *d)
{
    struct error err = { 0 };
    for (unsigned i = 0; i < BURST; i++) {
        char body[16];
        const struct http_header headers[] = { { "X-Number", body }, { NULL, NULL } };
        snprintf(body, sizeof(body), "%u", d->bursts * BURST + i);
        const struct http_request req = { .method = "POST",
                                          .url = d->url,
                                          .headers = headers,
                                          .body = body,
                                          .body_len = strlen(body),
                                          .timeout_ms = 60000,
                                          .once = true };
        MUST(gateway_proxy_send(d->proxy, &req, done, d, &err) == 0, "%s", err.msg);
        d->waiting++;
    }
    d->bursts++;
}

static void begin(void *arg)
{
    burst(arg);
}

static void run(const char *url)
{
    struct error err = { 0 };
    struct drive d = { .loop = loop_new(&err) };
    MUST(d.loop, "%s", err.msg);
    d.proxy = gateway_proxy_new(d.loop, THREADS, &err);
    MUST(d.proxy, "%s", err.msg);
    snprintf(d.url, sizeof(d.url), "%s", url);
    loop_post(d.loop, begin, &d);
    loop_run(d.loop);
    MUST(d.answered + d.lost == BURSTS * BURST && d.lost > 0 && d.answered > d.lost,
         "%u answered, %u lost", d.answered, d.lost);
    burst(&d); /* nobody hears of these */
    usleep(2000);
    gateway_proxy_free(d.proxy);
    loop_free(d.loop);
}

int main(void)
{
    struct error err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    http_global_init();
    struct httpd *server = httpd_start(
        &(struct httpd_config){
            .listen = "127.0.0.1:0", .threads = 2, .max_body = 1024, .handler = handle },
        &err);
    MUST(server, "%s", err.msg);
    auto_free char *url = mem_printf("http://%s/x", httpd_address(server));
    for (int i = 0; i < ROUNDS; i++)
        run(url);
    httpd_stop(server);
    http_global_cleanup();
    printf("race: local-aws: %d requests passed on: ok\n", ROUNDS * BURSTS * BURST);
    return 0;
}
