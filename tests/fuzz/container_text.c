/* What a command writes, on its way into a report: the result, the end of standard error, the last
 * line. The first byte says in which pieces it comes. */
#include <string.h>

#include "container/lastline.h"
#include "container/outcome.h"
#include "container/tail.h"
#include "container/text.h"
#include "shared/base/json.h"
#include "shared/base/utf8.h"
#include "tests/fuzz/fuzz.h"

#define ROOM     (1U << 20)
#define LINE_MAX 300
#define TAIL_MAX 500

static void check_report(const struct report *r)
{
    auto_json struct json_object *o = NULL;
    struct error err = { 0 };
    FUZZ_MUST(r->media_type && utf8_valid(r->body, r->len) && !memchr(r->body, '\0', r->len));
    if (strcmp(r->media_type, "application/json") == 0)
        FUZZ_MUST(json_parse(r->body, r->len, JSON_DEPTH, &o, &err) == 0);
    if (r->kind == REPORT_FAILURE)
        FUZZ_MUST(r->len <= REPORT_FAILURE_MAX && json_get_str(o, "errorType"));
}

static void check_reports(const char *text, size_t len)
{
    struct report r = { 0 };
    report_success(&r, text, len);
    check_report(&r);
    report_release(&r);
    auto_free char *word = mem_dup_len(text, len);
    report_failure(&r, word, word, word);
    check_report(&r);
    report_release(&r);
    for (int end = OUTCOME_EXITED; end <= OUTCOME_NO_INPUT; end++) {
        const struct outcome o = { .end = (enum outcome_end)end,
                                   .number = (int)(len % 256),
                                   .detail = word,
                                   .job = word,
                                   .errors = text,
                                   .errors_len = len };
        const struct result result = { RESULT_PRESENT, text, len, len };
        outcome_report(&o, &result, &r);
        check_report(&r);
        report_release(&r);
    }
}

static void check_pieces(const char *text, size_t len, size_t piece)
{
    struct tail t;
    struct lastline l;
    size_t kept, size;
    tail_init(&t, TAIL_MAX);
    lastline_init(&l, LINE_MAX);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        tail_add(&t, text + at, n);
        lastline_add(&l, text + at, n);
    }
    const char *end = tail_text(&t, &kept);
    FUZZ_MUST(kept == (len < TAIL_MAX ? len : TAIL_MAX));
    FUZZ_MUST(memcmp(end, text + len - kept, kept) == 0);
    const char *line = lastline_text(&l, &kept, &size);
    FUZZ_MUST(kept <= size && kept <= LINE_MAX && (size == 0 || !memchr(line, '\n', kept)));
    tail_release(&t);
    lastline_release(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    auto_buf struct buf clean = BUF_INIT(ROOM);
    text_clean(&clean, text, len);
    FUZZ_MUST(clean.len <= 3 * len && utf8_valid(buf_str(&clean), clean.len));
    FUZZ_MUST(strlen(buf_str(&clean)) == clean.len);
    FUZZ_MUST(text_last(text, len, TAIL_MAX) <= len);
    check_reports(text, len);
    check_pieces(text, len, data[0] ? data[0] : 1);
    return 0;
}
