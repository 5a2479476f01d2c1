/* The receiver's answers, as callback-run reads them: each has a meaning, a text that can be shown,
 * and either an end or a time to try again. */
#include <string.h>

#include "container/client.h"
#include "container/delivery.h"
#include "shared/base/utf8.h"
#include "tests/fuzz/answers.h"

#define NOW_MS     1000000
#define TIMEOUT_MS 20000

static void check(const struct reply *r)
{
    struct delivery d = { .deadline_ms = NOW_MS + 60000 };
    int64_t due_ms = -1;
    FUZZ_MUST(r->answer <= ANSWER_CANCELLED && r->retry_after_ms >= -1);
    FUZZ_MUST(r->answer == ANSWER_OK || r->err.msg[0]);
    FUZZ_MUST(utf8_valid(r->err.msg, strlen(r->err.msg)));
    enum delivery_end end = delivery_next(&d, r, NOW_MS, &due_ms);
    FUZZ_MUST((end == DELIVERY_ACCEPTED) == (r->answer == ANSWER_OK));
    if (end == DELIVERY_PENDING)
        FUZZ_MUST(due_ms >= NOW_MS && due_ms <= d.deadline_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct client *c;
    static const atomic_bool never;
    struct error err = { 0 };
    struct answers *a = answers_of(data, size);
    struct report report = { 0 };
    struct reply reply;
    char *text = NULL;
    size_t len = 0;
    if (!c)
        c = client_new(a->url, "token", &never, &err);
    FUZZ_MUST(c);
    client_input(c, TIMEOUT_MS, &text, &len, &reply);
    check(&reply);
    FUZZ_MUST(!text || (reply.answer == ANSWER_OK && text[len] == '\0'));
    free(text);
    client_heartbeat(c, "{\"progress\":0.5}", TIMEOUT_MS, &reply);
    check(&reply);
    report_failure(&report, "Task.Failed", "because", NULL);
    client_report(c, &report, TIMEOUT_MS, &reply);
    check(&reply);
    report_release(&report);
    return 0;
}
