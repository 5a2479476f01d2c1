/* The receiver's request path: any bytes on a connection, through libmicrohttpd, httpd.c and what
 * reads bodies and headers. What is answered is HTTP, and what is accepted can be delivered. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "callback-receiver/api.h"
#include "callback-receiver/auth.h"
#include "callback-receiver/report.h"
#include "shared/base/httpd.h"
#include "shared/base/json.h"
#include "shared/base/mem.h"
#include "tests/fuzz/dial.h"

#define ROUNDS 200 /* of the server's loop for one input */

static void on_each_header(void *arg, const char *name, const char *value)
{
    (void)arg, (void)name;
    (void)api_prefer_wait(value);
    (void)report_traceparent(value);
    (void)auth_bearer(value);
}

/* What would be delivered is JSON of a size that Lambda takes. */
static void check_delivery(const char *text, size_t len, size_t max)
{
    auto_json struct json_object *o = NULL;
    struct error err;
    FUZZ_MUST(text && len <= max && strlen(text) == len);
    FUZZ_MUST(json_parse(text, len, JSON_DEPTH, &o, &err) == 0);
}

static int take_body(const char *path, const struct report_body *body, struct error *err)
{
    struct callback_report r;
    struct report_registration registration = { 0 };
    char outcome[CALLBACK_OUTCOME + 1];
    auto_free char *out = NULL;
    size_t len = 0;
    int rc;
    if (strstr(path, "/failure")) {
        rc = report_failure(body, &r, &out, &len, err);
        if (rc == 0)
            check_delivery(out, len, REPORT_ERROR_MAX);
    } else if (strstr(path, "/heartbeat")) {
        rc = report_heartbeat(body, 1, &out, &len, err);
    } else if (strstr(path, "/outcome")) {
        rc = report_outcome(body, outcome, err);
    } else if (strstr(path, "/success")) {
        rc = report_success(body, &r, &out, &len, err);
        if (rc == 0)
            check_delivery(out, len, REPORT_RESULT_MAX);
    } else {
        rc = report_registration(body, &registration, err);
        free(registration.input);
    }
    return rc;
}

static void handle(struct httpd_request *req, void *arg)
{
    (void)arg;
    struct error err = { 0 };
    struct report_body body = { .type = httpd_header(req, "Content-Type") };
    body.text = httpd_body(req, &body.len);
    httpd_each_header(req, on_each_header, NULL);
    free(httpd_query_get(req, "wait"));
    if (take_body(httpd_path(req), &body, &err) < 0)
        httpd_problem(req, 400, NULL, "%s", err.msg);
    else
        httpd_reply_json(req, 202, "{\"state\":\"accepted\"}", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct httpd *h;
    struct error err;
    char answer[4096];
    if (!h)
        h = httpd_start(&(struct httpd_config){ .listen = "127.0.0.1:0",
                                                .max_body = REPORT_BODY_MAX,
                                                .handler = handle },
                        &err);
    FUZZ_MUST(h);
    if (size > 60000) /* goes into the socket at once */
        return 0;
    int fd = dial(httpd_port(h));
    bool first = true, ended = false;
    FUZZ_MUST(size == 0 || send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < ROUNDS && !ended; i++) {
        struct pollfd at = { .fd = httpd_fd(h), .events = POLLIN };
        (void)poll(&at, 1, 0);
        httpd_run(h);
        ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
        FUZZ_MUST(n < 9 || !first || memcmp(answer, "HTTP/1.", 7) == 0);
        first &= n <= 0;
        ended = n == 0 || (n < 0 && i > 20);
    }
    close(fd);
    httpd_run(h);
    return 0;
}
