#include "callback-receiver/hush.h"

#include <string.h>

#include "shared/base/buf.h"
#include "shared/base/encode.h"
#include "shared/base/mem.h"

#define FRONT 16 /* bytes of an id that tell enough of it */

const char *hush(const struct error *err, const char *callback_id)
{
    char front[FRONT + 1];
    size_t len = strlen(callback_id) < FRONT ? strlen(callback_id) : FRONT;
    auto_buf struct buf encoded = BUF_INIT(4 * FRONT);
    memcpy(front, callback_id, len);
    front[len] = '\0';
    encode_percent(&encoded, front, len);
    bool tells = len > 0 && (strstr(err->msg, front) || strstr(err->msg, buf_str(&encoded)));
    mem_wipe(front, sizeof(front));
    if (encoded.data)
        mem_wipe(encoded.data, encoded.len);
    return tells ? error_code_name(err->code) : err->msg;
}
