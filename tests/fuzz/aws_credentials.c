/* What the container's endpoint answers, and the URLs at which it is asked: keys that are lent are
 * whole, and plain http goes to this machine alone. */
#include <string.h>

#include "shared/aws/credentials.h"
#include "tests/fuzz/answers.h"

static void check_url(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    auto_free char *text = mem_dup_len(data, size);
    const struct credentials_container full = { .full_uri = text };
    const struct credentials_container relative = { .relative_uri = text };
    auto_free char *url = credentials_container_url(&full, &err);
    FUZZ_MUST(url || err.code == ERR_INVALID);
    FUZZ_MUST(!url || (!strpbrk(url, "\r\n \t") && strstr(url, "://")));
    auto_free char *path = credentials_container_url(&relative, &err);
    FUZZ_MUST(path || err.code == ERR_INVALID);
    FUZZ_MUST(!path || strncmp(path, "http://169.254.170.2/", 21) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct answers *a = answers_of(data, size);
    const struct credentials_container where = { .full_uri = a->url };
    check_url(data, size);
    struct credentials_source *s = credentials_container_new(&where, &answers_clock, &err);
    FUZZ_MUST(s);
    for (int i = 0; i < 2; i++) {
        struct credentials lent = { NULL, NULL, NULL };
        if (credentials_get(s, &lent, &err) == 0)
            FUZZ_MUST(lent.access_key && lent.access_key[0] && lent.secret_key &&
                      lent.secret_key[0]);
        else
            FUZZ_MUST(err.code == ERR_DENIED && err.msg[0]);
        credentials_forget(s);
    }
    credentials_free(s);
    return 0;
}
