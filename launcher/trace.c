#include "launcher/trace.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TRACE_LEN 32
#define EPOCH_LEN 8 /* of the trace id: X-Ray writes it apart */
#define SPAN_LEN  16

/* `len` lower-case hexadecimal digits that are not all zero. */
static bool is_id(const char *s, size_t len)
{
    return strnlen(s, len) == len && strspn(s, "0123456789abcdef") >= len && strspn(s, "0") < len;
}

int trace_to_xray(const char *traceparent, char out[TRACE_XRAY])
{
    const char *trace = traceparent + 3;
    out[0] = '\0';
    if (strnlen(traceparent, TRACE_PARENT) != TRACE_PARENT - 1 ||
        strncmp(traceparent, "00-", 3) != 0 || !is_id(trace, TRACE_LEN) || trace[TRACE_LEN] != '-')
        return -1;
    const char *span = trace + TRACE_LEN + 1;
    const char *flags = span + SPAN_LEN + 1;
    if (!is_id(span, SPAN_LEN) || flags[-1] != '-' || strspn(flags, "0123456789abcdef") != 2)
        return -1;
    bool sampled = strchr("13579bdf", flags[1]) != NULL;
    snprintf(out, TRACE_XRAY, "Root=1-%.8s-%.24s;Parent=%.16s;Sampled=%d", trace, trace + EPOCH_LEN,
             span, sampled);
    return 0;
}

/* The value of `key` ("Root=") among the header's parts, or NULL. */
static const char *part(const char *header, const char *key)
{
    for (const char *p = header; *p;) {
        p += strspn(p, "; ");
        if (strncmp(p, key, strlen(key)) == 0)
            return p + strlen(key);
        p += strcspn(p, ";");
    }
    return NULL;
}

int trace_from_xray(const char *header, char out[TRACE_PARENT])
{
    const char *root = part(header, "Root=");
    const char *parent = part(header, "Parent=");
    const char *sampled = part(header, "Sampled=");
    char trace[TRACE_LEN + 1];
    out[0] = '\0';
    if (!root || strncmp(root, "1-", 2) != 0 || strspn(root + 2, "0123456789abcdef") != EPOCH_LEN ||
        root[2 + EPOCH_LEN] != '-' ||
        strspn(root + 3 + EPOCH_LEN, "0123456789abcdef") != TRACE_LEN - EPOCH_LEN)
        return -1;
    snprintf(trace, sizeof(trace), "%.8s%.24s", root + 2, root + 3 + EPOCH_LEN);
    const char *span = parent && is_id(parent, SPAN_LEN) ? parent : trace + TRACE_LEN - SPAN_LEN;
    if (!is_id(trace, TRACE_LEN) || !is_id(span, SPAN_LEN))
        return -1;
    snprintf(out, TRACE_PARENT, "00-%s-%.16s-0%c", trace, span,
             sampled && *sampled == '1' ? '1' : '0');
    return 0;
}
