/* What the Docker driver makes of the engine's answers; the engine itself is in
 * tests/integration/test_local_docker.c. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/ecs_docker.h"
#include "shared/base/buf.h"

Test(ecs_docker, pulls_the_tag_that_is_named_or_latest)
{
    static const struct {
        const char *image, *path;
    } cases[] = {
        { "job", "/images/create?fromImage=job&tag=latest" },
        { "job:1.2", "/images/create?fromImage=job%3A1.2" },
        { "host:5000/team/job", "/images/create?fromImage=host%3A5000%2Fteam%2Fjob&tag=latest" },
        { "a/job@sha256:00", "/images/create?fromImage=a%2Fjob%40sha256%3A00" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *path = docker_pull_path(cases[i].image);
        cr_assert_str_eq(path, cases[i].path);
    }
}

Test(ecs_docker, finds_the_error_in_a_pull_that_began_well)
{
    auto_free char *none =
        docker_pull_error("{\"status\":\"Pulling\"}\r\n{\"status\":\"Done\"}\r\n");
    auto_free char *one =
        docker_pull_error("{\"status\":\"Pulling\"}\r\n{\"error\":\"no manifest\","
                          "\"errorDetail\":{}}\r\n");
    auto_free char *nonsense = docker_pull_error("<html>\r\n\r\n{\"error\":3}");
    cr_assert_null(none);
    cr_assert_str_eq(one, "no manifest");
    cr_assert_null(nonsense);
}

static enum docker_state state_of(const char *state, struct shim_container *out)
{
    enum docker_state s = DOCKER_STATE_CREATED;
    auto_free char *text = mem_printf("{\"State\":{%s}}", state);
    *out = (struct shim_container){ 0 };
    cr_assert_eq(docker_read_state(text, &s, out, NULL), 0);
    return s;
}

Test(ecs_docker, reads_the_state_of_a_container)
{
    struct shim_container c;
    cr_assert_eq(state_of("\"Status\":\"created\",\"StartedAt\":\"0001-01-01T00:00:00Z\"", &c),
                 DOCKER_STATE_CREATED);
    cr_assert_eq(c.started_ms, 0);
    cr_assert_eq(state_of("\"Status\":\"paused\",\"Pid\":77,"
                          "\"StartedAt\":\"2026-01-23T17:57:58.103456789Z\"",
                          &c),
                 DOCKER_STATE_RUNNING);
    cr_assert_eq(c.pid, 77);
    cr_assert_eq(c.started_ms, 1769191078103);
    cr_assert_eq(c.ended_ms, 0);
    cr_assert_eq(state_of("\"Status\":\"exited\",\"ExitCode\":137,\"OOMKilled\":true,"
                          "\"FinishedAt\":\"2026-01-23T17:58:00Z\"",
                          &c),
                 DOCKER_STATE_ENDED);
    cr_assert_eq(c.exit_code, 137);
    cr_assert(c.out_of_memory);
    cr_assert_eq(c.ended_ms, 1769191080000);
    enum docker_state s;
    struct error err = { 0 };
    cr_assert_lt(docker_read_state("{\"State\":{}}", &s, &c, &err), 0);
    cr_assert_lt(docker_read_state("[", &s, &c, &err), 0);
}

Test(ecs_docker, finds_the_network_it_is_in)
{
    auto_free char *one = docker_read_network(
        "{\"NetworkSettings\":{\"Networks\":{\"none\":{},\"app_default\":{},\"z\":{}}}}");
    auto_free char *host =
        docker_read_network("{\"NetworkSettings\":{\"Networks\":{\"host\":{}}}}");
    auto_free char *nonsense = docker_read_network("{}");
    cr_assert_str_eq(one, "app_default");
    cr_assert_null(host);
    cr_assert_null(nonsense);
}

Test(ecs_docker, takes_the_frames_of_output_apart)
{
    static const char frames[] =
        "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\2de\1\0\0\0\0\0\0\0\1\0\0\0\0\0\1\0cut";
    auto_buf struct buf out = BUF_INIT(100);
    docker_read_logs(frames, sizeof(frames) - 1, &out);
    cr_assert_str_eq(buf_str(&out), "abcdecut");
    buf_reset(&out);
    docker_read_logs(frames, 5, &out);
    cr_assert_eq(out.len, 0);
}
