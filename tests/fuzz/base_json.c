/* JSON: what is parsed can be written and parsed again; its canonical form is canonical. */
#include <string.h>

#include "shared/base/json.h"
#include "tests/fuzz/fuzz.h"

#define ROOM (16U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json struct json_object *o = NULL;
    auto_json struct json_object *again = NULL;
    auto_json struct json_object *third = NULL;
    struct error err;
    size_t len;
    if (json_parse((const char *)data, size, JSON_DEPTH, &o, &err) < 0)
        return 0;
    const char *text = json_text(o, &len);
    FUZZ_MUST(json_parse(text, len, JSON_DEPTH, &again, &err) == 0);
    auto_buf struct buf first = BUF_INIT(ROOM);
    auto_buf struct buf second = BUF_INIT(ROOM);
    json_canonical(&first, o);
    FUZZ_MUST(json_parse(buf_str(&first), first.len, JSON_DEPTH, &third, &err) == 0);
    json_canonical(&second, third);
    FUZZ_MUST(first.len == second.len && memcmp(buf_str(&first), buf_str(&second), first.len) == 0);
    return 0;
}
