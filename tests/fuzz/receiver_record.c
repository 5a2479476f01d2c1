/* A callback as it lies in Redis: what can be read is written and read again as the same. */
#include <string.h>

#include "callback-receiver/columns.h"
#include "callback-receiver/redis_record.h"
#include "tests/fuzz/fuzz.h"

#define ID "AAAAAAAAAAAAAAAAAAAAAAAA"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct callback c, back;
    struct error err;
    auto_buf struct buf first = BUF_INIT(REDIS_RECORD_MAX);
    auto_buf struct buf second = BUF_INIT(REDIS_RECORD_MAX);
    if (redis_record_read((const char *)data, size, ID, &c, &err) < 0)
        return 0;
    FUZZ_MUST(columns_sensible(&c) && strlen(c.callback_id) < sizeof(c.callback_id));
    redis_record_write(&first, &c);
    FUZZ_MUST(!buf_overflowed(&first));
    FUZZ_MUST(redis_record_read(buf_str(&first), first.len, ID, &back, &err) == 0);
    redis_record_write(&second, &back);
    FUZZ_MUST(first.len == second.len && memcmp(buf_str(&first), buf_str(&second), first.len) == 0);
    return 0;
}
