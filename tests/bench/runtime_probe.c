/* runtime_probe: stands between a Lambda function's process and the Runtime API, and measures the
 * process.
 *
 *     runtime_probe RECORDS COMMAND [ARGUMENT...]
 *
 * starts COMMAND with itself as AWS_LAMBDA_RUNTIME_API, hands every message on to the real one, and
 * appends one JSON line to RECORDS for the start (spawn to the first request for work) and for each
 * invocation (event handed over to answer received). One thread that blocks: between the clock's
 * two readings there are the kernel, the process that is measured and nothing else. What is left of
 * that, the floor, shows by
 *
 *     runtime_probe RECORDS runtime_probe echo
 *
 * a function that answers every event at once, without looking at it. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/json.h"

#define MESSAGE_MAX (16U << 20)
#define CONNECTIONS 8 /* of one process, one after the other */
#define DEPTH       64
#define ECHO_ANSWER "{\"Status\":\"SUCCEEDED\",\"Result\":\"null\"}"

struct connection {
    int fd, up; /* the process's, and its counterpart to the Runtime API; -1: none */
};

static struct {
    const char *records, *upstream;
    volatile pid_t child;
    double spawned_ms;
    bool started;
    /* The invocation that runs. */
    const char *kind;
    double at_ms, cpu_ms;
} probe;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "runtime_probe: %s: %s\n", what, strerror(errno));
    if (probe.child > 0)
        kill(probe.child, SIGKILL);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- sockets ------------------------------------------------------------------------------------
 */

static int dial(const char *address)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    char host[64];
    unsigned port = 0;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sscanf(address, "%63[^:]:%u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &at.sin_addr) != 1)
        die(address);
    at.sin_port = htons((uint16_t)port);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        die(address);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, bytes + done, len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            die("send");
        done += n > 0 ? (size_t)n : 0;
    }
}

/* A field of a message's head, or NULL. */
static const char *field(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), " ") : NULL;
}

/* Reads one message with its body, which starts at *body. false: the other side has closed. */
static bool receive(int fd, struct buf *message, const char **body)
{
    char chunk[65536];
    size_t want = 0, head = 0;
    buf_reset(message);
    while (want == 0 || message->len < want) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n == 0 && message->len > 0))
            die("recv");
        if (n == 0)
            return false;
        if (buf_add(message, chunk, (size_t)n) < 0)
            die("a message that is too long");
        const char *text = buf_str(message), *end = want ? NULL : strstr(text, "\r\n\r\n");
        if (!end)
            continue;
        const char *len = field(text, "\r\nContent-Length:");
        if (field(text, "\r\nTransfer-Encoding:"))
            die("a message without Content-Length");
        head = (size_t)(end - text) + 4;
        want = head + (len && len < end ? strtoul(len, NULL, 10) : 0);
    }
    *body = buf_str(message) + head;
    return true;
}

/* ---- what is measured ---------------------------------------------------------------------------
 */

/* Time on a processor of all threads that there are; those of a runtime stay. */
static double cpu_ms(void)
{
    char path[128];
    unsigned long long total = 0, ns;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)probe.child);
    DIR *tasks = opendir(path);
    if (!tasks)
        die(path);
    for (struct dirent *e; (e = readdir(tasks));) {
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)probe.child, e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            total += ns;
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return (double)total / 1e6;
}

static long peak_kib(void)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)probe.child);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static void record(const char *line)
{
    int fd = open(probe.records, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        die(probe.records);
    close(fd);
}

static void record_start(double arrived_ms)
{
    auto_free char *line = mem_printf("{\"kind\":\"start\",\"ms\":%.4f,\"cpu\":%.4f,\"pid\":%d}\n",
                                      arrived_ms - probe.spawned_ms, cpu_ms(), (int)getpid());
    record(line);
}

/* A first invocation knows of no operation but the execution itself. */
static void invocation_begins(const char *event)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    if (json_parse(event, strlen(event), DEPTH, &o, &err) < 0)
        die(err.msg);
    struct json_object *operations =
        json_get_arr(json_get_obj(o, "InitialExecutionState"), "Operations");
    probe.kind = operations && json_object_array_length(operations) > 1 ? "resume" : "first";
    probe.cpu_ms = cpu_ms();
}

static void invocation_ended(double at_ms, const char *answer)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    double cpu = cpu_ms();
    const char *status =
        json_parse(answer, strlen(answer), DEPTH, &o, &err) == 0 ? json_get_str(o, "Status") : NULL;
    auto_free char *line = mem_printf(
        "{\"kind\":\"%s\",\"ms\":%.4f,\"cpu\":%.4f,\"status\":\"%s\",\"peak_kib\":%ld}\n",
        probe.kind, at_ms - probe.at_ms, cpu - probe.cpu_ms, status ? status : "error", peak_kib());
    record(line);
}

/* ---- the relay ----------------------------------------------------------------------------------
 */

/* One message of the process and the answer to it. false: the process has closed. */
static bool relay(struct connection *c)
{
    static struct buf request = BUF_INIT(MESSAGE_MAX), answer = BUF_INIT(MESSAGE_MAX);
    const char *body, *event;
    if (!receive(c->fd, &request, &body))
        return false;
    double arrived_ms = now_ms();
    bool asks = strncmp(buf_str(&request), "GET ", 4) == 0;
    if (!probe.started)
        record_start(arrived_ms);
    probe.started = true;
    if (!asks)
        invocation_ended(arrived_ms, body);
    send_all(c->up, buf_str(&request), request.len);
    if (!receive(c->up, &answer, &event)) {
        errno = ECONNRESET;
        die("the Runtime API");
    }
    if (asks)
        invocation_begins(event);
    probe.at_ms = now_ms();
    send_all(c->fd, buf_str(&answer), answer.len);
    return true;
}

static void serve(int listener)
{
    struct connection all[CONNECTIONS];
    struct pollfd polls[CONNECTIONS + 1];
    for (size_t i = 0; i < CONNECTIONS; i++)
        all[i] = (struct connection){ -1, -1 };
    for (;;) {
        for (size_t i = 0; i < CONNECTIONS; i++)
            polls[i] = (struct pollfd){ .fd = all[i].fd, .events = POLLIN };
        polls[CONNECTIONS] = (struct pollfd){ .fd = listener, .events = POLLIN };
        if (poll(polls, CONNECTIONS + 1, -1) < 0 && errno != EINTR)
            die("poll");
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (polls[i].fd >= 0 && polls[i].revents && !relay(&all[i])) {
                close(all[i].fd);
                close(all[i].up);
                all[i] = (struct connection){ -1, -1 };
            }
        }
        if (polls[CONNECTIONS].revents) {
            size_t at = 0;
            int on = 1;
            while (at < CONNECTIONS - 1 && all[at].fd >= 0)
                at++;
            if (all[at].fd >= 0)
                die("more connections than one process has");
            all[at].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            setsockopt(all[at].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            all[at].up = dial(probe.upstream);
        }
    }
}

/* ---- the process --------------------------------------------------------------------------------
 */

/* Both end with the process: it with the probe's SIGTERM, the probe with its end. */
static void on_term(int sig)
{
    (void)sig;
    if (probe.child > 0)
        kill(probe.child, SIGKILL);
    _exit(0);
}

static void on_child(int sig)
{
    int status = 0;
    (void)sig;
    if (probe.child > 0 && waitpid(probe.child, &status, WNOHANG) == probe.child)
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static int listen_on(struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);
    *at = (struct sockaddr_in){ .sin_family = AF_INET,
                                .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)at, &len) < 0)
        die("listen");
    return fd;
}

static int measure(char **argv)
{
    struct sockaddr_in at;
    pid_t child = 0;
    int listener = listen_on(&at);
    probe.records = argv[1];
    probe.upstream = getenv("AWS_LAMBDA_RUNTIME_API");
    if (!probe.upstream) {
        errno = EINVAL;
        die("AWS_LAMBDA_RUNTIME_API");
    }
    auto_free char *upstream = mem_dup(probe.upstream);
    auto_free char *own = mem_printf("127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    probe.upstream = upstream;
    setenv("AWS_LAMBDA_RUNTIME_API", own, 1);
    signal(SIGTERM, on_term);
    signal(SIGCHLD, on_child);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    probe.spawned_ms = now_ms();
    int rc = posix_spawnp(&child, argv[2], NULL, NULL, argv + 2, environ);
    if (rc != 0) {
        errno = rc;
        die(argv[2]);
    }
    probe.child = child;
    on_child(0); /* where it has ended already */
    serve(listener);
    return 1;
}

static int echo(void)
{
    struct buf message = BUF_INIT(MESSAGE_MAX);
    const char *body, *api = getenv("AWS_LAMBDA_RUNTIME_API");
    static const char next[] =
        "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = dial(api ? api : "");
    for (;;) {
        char id[128] = "";
        send_all(fd, next, strlen(next));
        if (!receive(fd, &message, &body))
            return 0;
        const char *at = field(buf_str(&message), "\r\nLambda-Runtime-Aws-Request-Id:");
        if (!at || sscanf(at, "%127[^\r]", id) != 1)
            die("no request id");
        auto_free char *answer =
            mem_printf("POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\n"
                       "Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n" ECHO_ANSWER,
                       id, strlen(ECHO_ANSWER));
        send_all(fd, answer, strlen(answer));
        if (!receive(fd, &message, &body))
            return 0;
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "echo") == 0)
        return echo();
    if (argc >= 3)
        return measure(argv);
    fprintf(stderr, "usage: runtime_probe RECORDS COMMAND [ARGUMENT...] | runtime_probe echo\n");
    return 2;
}
