#include "container/report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "container/text.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define TYPE_MAX    128
#define MESSAGE_MAX 1000

void report_release(struct report *r)
{
    free(r->body);
    *r = (struct report){ 0 };
}

static bool has_escaped_nul(const char *p, size_t len)
{
    for (size_t i = 0; i + 5 < len; i++) {
        if (p[i] != '\\')
            continue;
        if (memcmp(p + i + 1, "u0000", 5) == 0)
            return true;
        i++; /* whatever is escaped */
    }
    return false;
}

static bool is_json(const char *p, size_t len)
{
    auto_json struct json_object *value = NULL;
    return json_parse(p, len, JSON_DEPTH, &value, NULL) == 0 && !has_escaped_nul(p, len);
}

void report_success(struct report *out, const char *p, size_t len)
{
    out->kind = REPORT_SUCCESS;
    if (is_json(p, len)) {
        out->media_type = "application/json";
        out->body = mem_dup_len(p, len);
        out->len = len;
        return;
    }
    auto_buf struct buf text = BUF_INIT(4 * len + 16);
    text_clean(&text, p, len);
    out->media_type = "text/plain";
    out->body = buf_take(&text, &out->len);
}

void report_success_null(struct report *out)
{
    report_success(out, "null", 4);
}

static void add_text(struct buf *b, const char *key, const char *text, size_t max)
{
    auto_buf struct buf clean = BUF_INIT(4 * strlen(text) + 16);
    text_clean(&clean, text, strlen(text));
    buf_printf(b, "%s\"%s\":", b->len > 1 ? "," : "", key);
    buf_add_json(b, buf_str(&clean), utf8_cut(buf_str(&clean), clean.len, max));
}

void report_failure(struct report *out, const char *type, const char *message, const char *data)
{
    auto_buf struct buf b = BUF_INIT(1U << 20);
    buf_add_char(&b, '{');
    add_text(&b, "errorType", type, TYPE_MAX);
    add_text(&b, "errorMessage", message, MESSAGE_MAX);
    if (data)
        add_text(&b, "errorData", data, REPORT_FAILURE_MAX);
    buf_add_char(&b, '}');
    out->kind = REPORT_FAILURE;
    out->media_type = "application/json";
    out->body = buf_take(&b, &out->len);
}

static int write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static char *save_in(const char *folder, const struct buf *text, struct error *err)
{
    auto_free char *path = mem_printf("%s/callback-run-report-XXXXXX", folder);
    auto_close int fd = mkstemp(path);
    if (fd < 0) {
        error_set_errno(err, errno, "cannot make a file in %s", folder);
        return NULL;
    }
    if (write_all(fd, buf_str(text), text->len) < 0 || fsync(fd) < 0) {
        error_set_errno(err, errno, "cannot write %s", path);
        unlink(path);
        return NULL;
    }
    return MOVE(path);
}

char *report_save(const struct report *r, const char *folder, struct error *err)
{
    auto_buf struct buf text = BUF_INIT(6 * r->len + 256);
    buf_printf(&text, "{\"kind\":\"%s\",\"mediaType\":\"%s\",\"body\":",
               r->kind == REPORT_SUCCESS ? "success" : "failure", r->media_type);
    buf_add_json(&text, r->body, r->len);
    buf_add_str(&text, "}\n");
    const char *const folders[] = { folder, "/tmp", "/dev/shm" };
    char *path = NULL;
    for (size_t i = 0; i < ARRAY_LEN(folders) && !path; i++)
        path = save_in(folders[i], &text, err);
    return path;
}
