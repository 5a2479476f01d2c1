#include "tests/bench/redis_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "local/stack/program.h"
#include "shared/base/clock.h"
#include "shared/base/mem.h"

#define START_MS 15000

struct redis_server {
    int port;
    bool cluster;
    struct program *program;
};

/* One inline command; true where the answer begins with `wanted`. */
static bool ask(int port, const char *command, const char *wanted)
{
    char answer[512] = "";
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
    struct timeval patience = { .tv_sec = 2 };
    auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (send(fd, command, strlen(command), MSG_NOSIGNAL) < 0 ||
        recv(fd, answer, sizeof(answer) - 1, 0) <= 0)
        return false;
    return strncmp(answer, wanted, strlen(wanted)) == 0;
}

static int await(struct redis_server *r, struct error *err)
{
    int64_t until = clock_mono_ms(clock_system()) + START_MS;
    while (!ask(r->port, "PING\r\n", "+PONG")) {
        if (!program_running(r->program) || clock_mono_ms(clock_system()) > until)
            return error_set(err, ERR_UNAVAILABLE, 0, "redis-server does not serve");
        clock_sleep_ms(clock_system(), 10);
    }
    /* A node alone has no slots until it is told; after a restart it knows them. */
    if (r->cluster)
        (void)ask(r->port, "CLUSTER ADDSLOTSRANGE 0 16383\r\n", "+OK");
    while (r->cluster && !ask(r->port, "SET ready 1\r\n", "+OK")) {
        if (clock_mono_ms(clock_system()) > until)
            return error_set(err, ERR_UNAVAILABLE, 0, "the cluster of one node has no slots");
        clock_sleep_ms(clock_system(), 10);
    }
    return 0;
}

struct redis_server *redis_server_start(const char *dir, bool cluster, struct error *err)
{
    static const char path[] = "/usr/bin/redis-server";
    if (access(path, X_OK) < 0) {
        error_set(err, ERR_NOT_FOUND, 0, "redis-server is not installed");
        return NULL;
    }
    struct redis_server *r = mem_alloc(sizeof(*r));
    r->port = program_free_port();
    r->cluster = cluster;
    auto_free char *port = mem_printf("%d", r->port);
    auto_free char *bus = mem_printf("%d", cluster ? program_free_port() : r->port);
    auto_free char *log = mem_printf("%s/redis.log", dir);
    const char *argv[] = { path,
                           "--bind",
                           "127.0.0.1",
                           "--port",
                           port,
                           "--dir",
                           dir,
                           "--save",
                           "",
                           "--appendonly",
                           "yes",
                           "--appendfsync",
                           "always",
                           "--cluster-port",
                           bus,
                           "--cluster-enabled",
                           cluster ? "yes" : "no",
                           NULL };
    if (!cluster)
        argv[13] = NULL;
    const char *env[] = { "PATH=/usr/bin:/bin", NULL };
    r->program = program_start(argv, env, log, err);
    if (r->program && await(r, err) == 0)
        return r;
    redis_server_free(r);
    return NULL;
}

int redis_server_port(const struct redis_server *r)
{
    return r->port;
}

int redis_server_bounce(struct redis_server *r, struct error *err)
{
    program_kill(r->program);
    return program_restart(r->program, err) < 0 ? -1 : await(r, err);
}

int redis_server_mend(struct redis_server *r, struct error *err)
{
    if (!program_running(r->program) && program_restart(r->program, err) < 0)
        return -1;
    return await(r, err);
}

void redis_server_free(struct redis_server *r)
{
    if (!r)
        return;
    program_free(r->program);
    free(r);
}
