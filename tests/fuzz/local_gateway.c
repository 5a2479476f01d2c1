/* The gateway: what clients ask (method, path, query, a header, Host, body: parts of the input)
 * becomes an event of payload format 2.0, and what a function answers becomes HTTP. */
#include <string.h>

#include "local/gateway_event.h"
#include "tests/fuzz/parts.h"

#define LINES 6

static struct config *config(void)
{
    static const char text[] = "{\"credentials\":{\"test\":\"test\"},"
                               "\"functions\":{\"api\":{\"command\":[\"/x\"]}},"
                               "\"httpApi\":[{\"path\":\"/workflows\",\"function\":\"api\"},"
                               "{\"path\":\"/v1/callbacks\",\"proxy\":\"http://127.0.0.1:1\"}]}";
    static struct config *c;
    if (!c)
        c = config_parse(text, strlen(text), "fuzz", NULL);
    FUZZ_MUST(c);
    return c;
}

static void check_event(char *const *line, size_t body_len)
{
    const struct httpd_header headers[] = {
        { "X-Fuzz", line[3] }, { "Host", line[4] }, { line[4], line[3] }, { NULL, NULL }
    };
    struct error err = { 0 };
    auto_buf struct buf out = BUF_INIT(1U << 20);
    auto_json struct json_object *o = NULL;
    (void)gateway_host_is_ours(line[4], "127.0.0.1:80");
    const struct config_route *r = gateway_route(config(), line[1]);
    FUZZ_MUST(!r || strncmp(line[1], r->path, strlen(r->path)) == 0);
    if (!r)
        return;
    FUZZ_MUST(!strstr(line[1], "/../"));
    const struct gateway_request g = { .method = line[0],
                                       .path = line[1],
                                       .query = line[2],
                                       .headers = headers,
                                       .body = line[5],
                                       .body_len = body_len,
                                       .source_ip = "127.0.0.1",
                                       .account_id = "123456789012",
                                       .route_path = r->path,
                                       .request_id = "r",
                                       .port = 80,
                                       .time_ms = INT64_C(1790000000000) };
    if (gateway_event(&g, &out, &err) < 0) {
        FUZZ_MUST(err.msg[0]);
        return;
    }
    FUZZ_MUST(json_parse(buf_str(&out), out.len, JSON_DEPTH, &o, &err) == 0);
    FUZZ_MUST(json_get_str(o, "rawPath") && json_get_obj(o, "requestContext"));
}

static void check_answer(const char *text, size_t len)
{
    struct gateway_answer a = { 0 };
    struct error err = { 0 };
    if (gateway_answer(text, len, &a, &err) == 0) {
        FUZZ_MUST(a.status >= 100 && a.status <= 999 && (a.body || a.body_len == 0));
        for (size_t i = 0; i < a.header_count; i++)
            FUZZ_MUST(a.headers[i].name && !strpbrk(a.headers[i].name, "\r\n: ") &&
                      !strpbrk(a.headers[i].value, "\r\n"));
        FUZZ_MUST(!a.headers || !a.headers[a.header_count].name);
        FUZZ_MUST(!a.type || !strpbrk(a.type, "\r\n"));
    } else {
        FUZZ_MUST(err.code == ERR_PROTOCOL);
    }
    gateway_answer_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts p = { .data = data, .size = size };
    char *line[LINES];
    size_t len = 0;
    for (size_t i = 0; i < LINES; i++) {
        line[i] = parts_next(&p, &len);
        line[i] = line[i] ? line[i] : mem_dup("");
    }
    check_event(line, len);
    for (size_t i = 0; i < LINES; i++)
        free(line[i]);
    check_answer((const char *)data, size);
    return 0;
}
