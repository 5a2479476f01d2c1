/* What a command's calls say on the socket of the callback-run above it: a call with a body of at
 * most so much, or an error. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "container/wire.h"
#include "tests/fuzz/fuzz.h"

#define SILENCE_MS 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_request req = { .media_type = "" };
    struct error err = { 0 };
    int ends[2], never[2];
    if (size > 60000) /* goes into the socket at once */
        return 0;
    FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    FUZZ_MUST(pipe(never) == 0);
    FUZZ_MUST(size == 0 || send(ends[0], data, size, MSG_NOSIGNAL) == (ssize_t)size);
    FUZZ_MUST(shutdown(ends[0], SHUT_WR) == 0);
    if (wire_read(ends[1], never[0], SILENCE_MS, &req, &err) == 0) {
        FUZZ_MUST(req.call <= WIRE_INPUT && req.timeout_ms >= 0);
        FUZZ_MUST(strnlen(req.media_type, sizeof(req.media_type)) < sizeof(req.media_type));
        FUZZ_MUST(!strpbrk(req.media_type, "\r\n") && req.body.len <= size);
    } else {
        FUZZ_MUST(err.code != ERR_NONE && err.msg[0]);
    }
    buf_release(&req.body);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(never[i]);
    }
    return 0;
}
