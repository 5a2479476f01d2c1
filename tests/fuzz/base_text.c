/* The small readers of text: base64, percent encoding, times, numbers, UTF-8. What they take they
 * give back. */
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/opts.h"
#include "shared/base/utf8.h"
#include "tests/fuzz/fuzz.h"

#define ROOM    (1U << 20)
#define LAST_MS INT64_C(253402300799999) /* RFC 3339 has years of four digits */

static void check_base64(const char *text, size_t len)
{
    size_t n = 0, m = 0;
    auto_free uint8_t *bytes = decode_base64(text, len, &n);
    auto_free uint8_t *url = decode_base64url(text, len, &m);
    auto_buf struct buf again = BUF_INIT(ROOM);
    auto_buf struct buf again_url = BUF_INIT(ROOM);
    if (bytes) {
        encode_base64(&again, bytes, n);
        FUZZ_MUST(again.len == len && memcmp(buf_str(&again), text, len) == 0);
    }
    if (url) {
        encode_base64url(&again_url, url, m);
        FUZZ_MUST(again_url.len == len && memcmp(buf_str(&again_url), text, len) == 0);
    }
}

static void check_percent(const char *text, size_t len)
{
    auto_free char *plain = decode_percent(text, len);
    auto_buf struct buf again = BUF_INIT(ROOM);
    if (!plain)
        return;
    FUZZ_MUST(strlen(plain) <= len);
    encode_percent(&again, plain, strlen(plain));
    auto_free char *back = decode_percent(buf_str(&again), again.len);
    FUZZ_MUST(back && strcmp(back, plain) == 0);
}

static void check_time(const char *text)
{
    int64_t ms = 0, again = 0;
    char out[CLOCK_TEXT];
    if (clock_parse(text, &ms) < 0 || ms > LAST_MS)
        return;
    clock_format(ms, out);
    FUZZ_MUST(clock_parse(out, &again) == 0 && again == ms);
}

static void check_utf8(const char *text, size_t len)
{
    size_t at = 0, n;
    while (at < len && (n = utf8_sequence(text + at, len - at)) > 0)
        at += n;
    FUZZ_MUST(at <= len && utf8_valid(text, len) == (at == len));
    for (size_t max = 0; max <= at && max < 16; max++) {
        size_t cut = utf8_cut(text, at, max);
        FUZZ_MUST(cut <= max && utf8_valid(text, cut));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = mem_dup_len(data, size);
    int64_t n = 0;
    check_base64(text, size);
    if (!memchr(text, '\0', size))
        check_percent(text, size);
    check_time(text);
    check_utf8(text, size);
    if (opts_int(text, -1000, 1000, &n) == 0)
        FUZZ_MUST(n >= -1000 && n <= 1000);
    return 0;
}
