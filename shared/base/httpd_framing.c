#include "shared/base/httpd_framing.h"

#include <strings.h>
#include <string.h>

#include "shared/base/opts.h"

struct framing {
    unsigned lengths;
    unsigned encodings;
    bool broken;
};

static void look_at_framing(void *arg, const char *name, const char *value)
{
    struct framing *f = arg;
    if (strcasecmp(name, "Content-Length") == 0) {
        f->lengths++;
        f->broken |= !value[0] || value[strspn(value, "0123456789")];
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        f->encodings++;
        f->broken |= strcasecmp(value, "chunked") != 0;
    }
}

bool httpd_framing_clear(const struct httpd_request *req)
{
    struct framing f = { 0 };
    httpd_each_header(req, look_at_framing, &f);
    return !f.broken && f.lengths + f.encodings <= 1;
}

int64_t httpd_body_announced(const struct httpd_request *req)
{
    const char *text = httpd_header(req, "Content-Length");
    int64_t len = 0;
    if (httpd_header(req, "Transfer-Encoding"))
        return INT64_MAX;
    return text && opts_int(text, 0, INT64_MAX - 1, &len) < 0 ? INT64_MAX - 1 : len;
}
