/* CALLBACK_STORE: any text is a Redis URL or an error, and its parts are whole. */
#include <string.h>

#include "callback-receiver/redis_url.h"
#include "shared/base/mem.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_url u = { 0 };
    struct error err;
    auto_free char *text = mem_dup_len(data, size);
    if (redis_url_parse(text, &u, &err) < 0)
        return 0;
    FUZZ_MUST(u.host && u.host[0] && u.port > 0 && u.port < 65536 && u.db >= 0);
    FUZZ_MUST(!u.user || u.password);
    redis_url_release(&u);
    return 0;
}
