#include "local/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/buf.h"

#define BODY_MAX (64U << 10)
#define LINE_MAX (8U << 20)

struct record_file {
    int fd;
};

struct record_file *record_open(const char *path, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_set_errno(err, errno, "open %s", path);
        return NULL;
    }
    struct record_file *f = mem_alloc(sizeof(*f));
    f->fd = fd;
    return f;
}

void record_close(struct record_file *f)
{
    if (!f)
        return;
    close(f->fd);
    free(f);
}

/* "AWS4-HMAC-SHA256 Credential=KEY/DATE/..." */
static void add_caller(struct buf *line, const struct aws_request *r)
{
    const char *token = httpd_header(r->http, "X-Amz-Security-Token");
    const char *authorization = httpd_header(r->http, "Authorization");
    const char *key = authorization ? strstr(authorization, "Credential=") : NULL;
    if (token)
        buf_add_json_str(line, token);
    else if (key)
        buf_add_json(line, key + strlen("Credential="), strcspn(key + strlen("Credential="), "/"));
    else
        buf_add_str(line, "null");
}

void record_add(struct record_file *f, const struct aws_request *r, int status)
{
    if (!f)
        return;
    auto_buf struct buf line = BUF_INIT(LINE_MAX);
    buf_add_str(&line, "{\"caller\":");
    add_caller(&line, r);
    buf_printf(&line,
               ",\"service\":\"%s\",\"operation\":\"%s\",\"status\":%d,\"path\":", r->service->name,
               r->operation, status);
    buf_add_json_str(&line, httpd_path(r->http));
    buf_printf(&line, ",\"query\":");
    buf_add_json_str(&line, httpd_query(r->http));
    buf_add_str(&line, ",\"body\":");
    buf_add_json(&line, r->body, r->body_len < BODY_MAX ? r->body_len : BODY_MAX);
    buf_add_str(&line, "}\n");
    /* One write, so that lines of several writers do not mix. */
    if (!buf_overflowed(&line))
        (void)!write(f->fd, line.data, line.len);
}
