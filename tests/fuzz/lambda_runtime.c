/* The headers of the Runtime API's answer to `next`, as lines: an invocation with what its answer
 * needs, or an error. */
#include <string.h>

#include "shared/base/encode.h"
#include "shared/lambda/event.h"
#include "tests/fuzz/fuzz.h"

#define HEADERS_MAX (64U << 10)
#define PATH_MAX    2048

static void on_each_header(void *arg, const char *name, const char *value)
{
    size_t *count = arg;
    FUZZ_MUST(name[0] && !strpbrk(name, ":\n") && !strchr(value, '\n'));
    ++*count;
}

/* The id comes back out of the path, which is one segment. */
static void check_path(const struct lambda_event *e)
{
    static const char before[] = "/invocation/", after[] = "/error";
    auto_buf struct buf path = BUF_INIT(PATH_MAX);
    lambda_event_path(e, after, &path);
    FUZZ_MUST(!buf_overflowed(&path) && path.len > strlen(before) + strlen(after));
    const char *id = buf_str(&path) + strlen(before);
    size_t len = path.len - strlen(before) - strlen(after);
    FUZZ_MUST(strncmp(buf_str(&path), before, strlen(before)) == 0);
    FUZZ_MUST(strcmp(id + len, after) == 0 && strcspn(id, "/?# \r\n") >= len);
    auto_free char *back = decode_percent(id, len);
    FUZZ_MUST(back && strcmp(back, e->request_id) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_response resp = { .status = 200 };
    struct lambda_event e;
    struct error err = { 0 };
    size_t count = 0;
    buf_init(&resp.headers, HEADERS_MAX);
    if (memchr(data, '\0', size) || buf_add(&resp.headers, data, size) < 0) {
        http_response_release(&resp); /* libcurl lets none through */
        return 0;
    }
    http_response_each_header(&resp, on_each_header, &count);
    if (lambda_event_read(&resp, &e, &err) == 0) {
        FUZZ_MUST(e.request_id[0] && e.deadline_ms >= 0 && count > 0);
        FUZZ_MUST(!strpbrk(e.request_id, "\n") && !strchr(e.trace_id, '\n'));
        check_path(&e);
    } else {
        FUZZ_MUST(err.code == ERR_PROTOCOL && err.msg[0]);
    }
    http_response_release(&resp);
    return 0;
}
