/* Answers of the Docker Engine: states, networks, pulls, frames of logs. */
#include <string.h>

#include "local/aws/ecs_docker.h"
#include "shared/base/buf.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct shim_container told = { 0 };
    enum docker_state state = DOCKER_STATE_CREATED;
    auto_free char *text = mem_dup_len(data, size);
    auto_buf struct buf logs = BUF_INIT(1U << 20);
    if (docker_read_state(text, &state, &told, &err) < 0)
        FUZZ_MUST(err.msg[0]);
    else
        FUZZ_MUST(state <= DOCKER_STATE_ENDED && told.started_ms >= 0 && told.ended_ms >= 0);
    auto_free char *network = docker_read_network(text);
    FUZZ_MUST(!network || (strcmp(network, "none") != 0 && strcmp(network, "host") != 0));
    auto_free char *pull = docker_pull_error(text);
    FUZZ_MUST(!pull || size > 0);
    auto_free char *message = docker_message(text);
    FUZZ_MUST(message);
    auto_free char *path = docker_pull_path(text);
    FUZZ_MUST(size > 2000 || (path && !strpbrk(path, " \r\n")));
    docker_read_logs((const char *)data, size, &logs);
    FUZZ_MUST(logs.len <= size);
    return 0;
}
