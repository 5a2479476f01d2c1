#include "container/sample.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"

static int write_result(int fd, const char *message, int64_t seconds, struct error *err)
{
    char now[CLOCK_TEXT];
    clock_format(clock_wall_ms(clock_system()), now);
    auto_buf struct buf b = BUF_INIT(8U << 20);
    auto_free char *text = mem_printf("Processed: %s", message);
    buf_add_str(&b, "{\"status\":\"success\",\"message\":");
    buf_add_json_str(&b, text);
    buf_printf(&b, ",\"processingTime\":%lld,\"timestamp\":\"%s\"}\n", (long long)seconds, now);
    for (size_t done = 0; done < b.len;) {
        ssize_t n = write(fd, b.data + done, b.len - done);
        if (n < 0 && errno != EINTR)
            return error_set_errno(err, errno, "cannot write the result");
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int sample_run(int argc, char *const *argv, char *const *env, int fd, struct error *err)
{
    char *message = NULL;
    int64_t seconds = 0;
    const struct opt table[] = {
        { "message", "MESSAGE", OPT_STR, &message, "No message provided", 0, 0, "TEXT",
          "what is processed" },
        { "processing-time", "PROCESSING_TIME", OPT_INT, &seconds, "5", 0, 86400, "SECONDS",
          "how long that takes" },
    };
    const struct opts opts = {
        .program = "callback-run sample",
        .synopsis = "[options]",
        .about = "Does the sample's job and prints its result.",
        .table = table,
        .count = ARRAY_LEN(table),
    };
    int rc = opts_load(&opts, argc, argv, env, err);
    if (rc >= 0 && rc < argc)
        rc = error_set(err, ERR_INVALID, 0, "%.100s: not expected", argv[rc]);
    if (rc >= 0) {
        clock_sleep_ms(clock_system(), seconds * 1000);
        rc = write_result(fd, message, seconds, err);
    }
    opts_release(&opts);
    return rc;
}
