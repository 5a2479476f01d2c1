/* The AWS port of local-aws, whole: Lambda's routes, ECS's operations, the console's API and what
 * tests order, against an execution that runs and has a callback. An input is up to four requests:
 * method, path with query, header lines, body (parts.h); Host and Content-Length are put in, and
 * bytes from 1 to 6 become what a client knows by then. Nothing runs meanwhile: no process is
 * started, no timer is due. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "local/aws/aws_api.h"
#include "local/aws/ecs.h"
#include "local/aws/lambda.h"
#include "local/aws/lambda_state.h"
#include "local/console.h"
#include "local/faults.h"
#include "local/inspect.h"
#include "local/service_time.h"
#include "shared/base/json.h"
#include "tests/fuzz/dial.h"
#include "tests/fuzz/parts.h"

#define REQUESTS  4
#define WORLD_FOR 500 /* inputs that change nothing */
#define ROUNDS    200
#define QUIET     3 /* rounds without a byte: it is parked */
#define ANSWER    (1U << 20)

enum known {
    SECRET = 1,  /* the console's */
    ARN,         /* the execution's, encoded as in a path */
    CALLBACK,    /* its callback's id, the same */
    TOKEN,       /* for its next checkpoint; as it is, for a body */
    PLAIN_ARN,   /* as it is */
    QUERY_TOKEN, /* for a query */
    KNOWN,
};

struct world {
    char dir[32];
    struct local local;
    struct config *config;
    struct httpd *httpd;
    struct ecs *ecs;
    struct inspect *inspect;
    struct console *console;
    struct invocation *invocation; /* the execution's, in no environment */
    char *known[KNOWN];
    bool disturbed; /* by an order of a test */
    int changes;    /* of the store, when it was new */
    int inputs;
};

/* ---- a client ---------------------------------------------------------------------------------*/

static void run_server(const struct world *w)
{
    struct pollfd at = { .fd = httpd_fd(w->httpd), .events = POLLIN };
    (void)poll(&at, 1, 0);
    httpd_run(w->httpd);
}

/* Sends the bytes; what is answered goes to `answer`. */
static void talk(const struct world *w, const struct buf *request, struct buf *answer)
{
    char bytes[16384];
    size_t sent = 0;
    int fd = dial(httpd_port(w->httpd)), quiet = 0;
    bool ended = false;
    for (int i = 0; i < ROUNDS && !ended && quiet < QUIET; i++) {
        ssize_t n = sent < request->len ? send(fd, request->data + sent, request->len - sent,
                                               MSG_NOSIGNAL | MSG_DONTWAIT)
                                        : 0;
        sent += n > 0 ? (size_t)n : 0;
        run_server(w);
        ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        ended = got == 0 || (got < 0 && errno != EAGAIN);
        quiet = got > 0 || n > 0 ? 0 : quiet + 1;
        if (got > 0)
            (void)buf_add(answer, bytes, (size_t)got);
    }
    close(fd);
    run_server(w);
}

/* Bytes from 1 to 6 become what is known. */
static void expand(const struct world *w, struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > 0 && c < KNOWN && w->known[c])
            (void)buf_add_str(out, w->known[c]);
        else
            (void)buf_add_char(out, text[i]);
    }
}

static void add_headers(const struct world *w, struct buf *out, const char *lines)
{
    for (const char *at = lines; *at;) {
        size_t len = strcspn(at, "\n");
        if (len > 0) {
            expand(w, out, at, len);
            (void)buf_add_str(out, "\r\n");
        }
        at += len + (at[len] == '\n');
    }
}

static void ask(const struct world *w, const char *const part[4], size_t body_len,
                struct buf *answer)
{
    auto_buf struct buf request = BUF_INIT(ANSWER);
    auto_buf struct buf body = BUF_INIT(ANSWER);
    expand(w, &body, part[3], body_len);
    (void)buf_printf(&request, "%s ", part[0]);
    expand(w, &request, part[1], strlen(part[1]));
    (void)buf_printf(&request, " HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n", body.len);
    add_headers(w, &request, part[2]);
    (void)buf_add_str(&request, "\r\n");
    (void)buf_add(&request, buf_str(&body), body.len);
    talk(w, &request, answer);
}

/* ---- what must be true ------------------------------------------------------------------------*/

static void check_answer(const struct world *w, const struct buf *answer, bool knows)
{
    auto_json struct json_object *o = NULL;
    struct error err;
    const char *text = buf_str(answer), *body = strstr(text, "\r\n\r\n");
    int status = 0;
    FUZZ_MUST(!store_failed(w->local.store));
    if (answer->len == 0)
        return; /* parked, or a fault */
    FUZZ_MUST(sscanf(text, "HTTP/1.%*1[01] %3d", &status) == 1 && body);
    FUZZ_MUST(status < 500 || w->disturbed);
    FUZZ_MUST(knows || !strstr(text, w->known[SECRET]));
    size_t head = (size_t)(body - text), left = answer->len - head - 4;
    const char *length = strstr(text, "Content-Length: ");
    const char *type = strstr(text, "Content-Type: application/");
    if (!type || type > body || !length || length > body ||
        strtoul(length + strlen("Content-Length: "), NULL, 10) != left || left == 0)
        return; /* no JSON, or more than one answer */
    FUZZ_MUST(json_parse(body + 4, left, JSON_DEPTH, &o, &err) == 0);
}

/* ---- the world --------------------------------------------------------------------------------*/

static const char config_text[] =
    "{\"credentials\":{\"k\":\"s\"},\"functions\":{"
    "\"d\":{\"command\":[\"/bin/false\"],\"aliases\":{\"live\":\"1\"},"
    "\"durable\":{\"executionTimeoutSeconds\":600}},"
    "\"long\":{\"command\":[\"/bin/false\"],\"durable\":{}},"
    "\"p\":{\"command\":[\"/bin/false\"],\"async\":{\"onFailure\":\"q\"}},"
    "\"q\":{\"command\":[\"/bin/false\"]}},"
    "\"taskDefinitions\":{\"job\":{\"containers\":[{\"name\":\"job\",\"command\":[\"/bin/false\"]}"
    "]}}}";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static char *json_answer(const struct buf *answer, struct json_object **o)
{
    char *body = strstr(buf_str(answer), "\r\n\r\n");
    struct error err;
    FUZZ_MUST(body && json_parse_str(body + 4, o, &err) == 0);
    return body;
}

static char *encoded(const char *text)
{
    auto_buf struct buf b = BUF_INIT(4096);
    for (; *text; text++)
        (void)buf_printf(&b, strchr("/+=:$", *text) ? "%%%02X" : "%c", (unsigned char)*text);
    return buf_take(&b, NULL);
}

/* An execution whose handler runs, and has a step, a context and a callback. */
static void begin_execution(struct world *w)
{
    const char *const invoke[] = {
        "POST", "/2015-03-31/functions/d:1/invocations",
        "X-Amz-Invocation-Type: Event\nX-Amz-Durable-Execution-Name: first", "{}"
    };
    const char *const checkpoint[] = {
        "POST", "/2025-12-01/durable-executions/\2/checkpoint", "",
        "{\"CheckpointToken\":\"\4\",\"Updates\":[{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":"
        "\"START\"},{\"Id\":\"x\",\"Type\":\"CONTEXT\",\"Action\":\"START\"},"
        "{\"Id\":\"c\",\"Type\":\"CALLBACK\",\"Action\":\"START\"}]}"
    };
    auto_buf struct buf invoked = BUF_INIT(ANSWER), checked = BUF_INIT(ANSWER);
    auto_json struct json_object *o = NULL;
    struct lambda *l = w->local.lambda;
    ask(w, invoke, 2, &invoked);
    w->invocation = function_take(map_get(&l->by_name, "d"));
    FUZZ_MUST(w->invocation && l->running.count == 1);
    const char *arn = invocation_execution_arn(w->invocation);
    w->known[PLAIN_ARN] = mem_dup(arn);
    w->known[ARN] = encoded(arn);
    struct execution *e = map_get(&l->running, strrchr(arn, '/') + 1);
    FUZZ_MUST(e);
    w->known[TOKEN] = mem_dup(e->token);
    ask(w, checkpoint, strlen(checkpoint[3]), &checked);
    json_answer(&checked, &o);
    free(w->known[TOKEN]);
    w->known[TOKEN] = mem_dup(json_get_str(o, "CheckpointToken"));
    struct operation *c = execution_find(e, "c");
    FUZZ_MUST(c && c->callback_id && w->known[TOKEN]);
    w->known[CALLBACK] = encoded(c->callback_id);
    w->known[QUERY_TOKEN] = encoded(w->known[TOKEN]);
}

static char *read_secret(const struct world *w)
{
    char text[512] = "";
    auto_free char *path = mem_printf("%s/console.url", w->dir);
    FILE *f = fopen(path, "r");
    FUZZ_MUST(f && fgets(text, sizeof(text), f));
    fclose(f);
    text[strcspn(text, "\n")] = '\0';
    const char *secret = strchr(text, '#');
    FUZZ_MUST(secret);
    return mem_dup(secret + 1);
}

static struct world *world_new(void)
{
    struct world *w = mem_alloc(sizeof(*w));
    struct local *local = &w->local;
    struct error err;
    snprintf(w->dir, sizeof(w->dir), "%s/fuzz-local-XXXXXX", /* in memory, where that can be had */
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_MUST(mkdtemp(w->dir));
    w->config = config_parse(config_text, strlen(config_text), "fuzz", &err);
    FUZZ_MUST(w->config);
    local->config = w->config;
    local->path = "/bin";
    local->log = log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_ERROR, "fuzz");
    FUZZ_MUST((local->store = store_open(w->dir, &err)) && (local->loop = loop_new(&err)) &&
              (local->time = service_time_new(local->store, &err)));
    local->clock = service_time_clock(local->time);
    local->api = aws_api_new(local, false);
    w->httpd = httpd_start(&(struct httpd_config){ .listen = "127.0.0.1:0",
                                                   .max_body = 8U << 20,
                                                   .handler = aws_api_handle,
                                                   .too_large = aws_api_too_large,
                                                   .arg = local->api },
                           &err);
    FUZZ_MUST(w->httpd);
    local->aws_url = "http://127.0.0.1:4566";
    local->faults = faults_new();
    FUZZ_MUST((local->lambda = lambda_new(local, &err)) && (w->ecs = ecs_new(local, &err)));
    w->inspect = inspect_new(local, w->ecs);
    FUZZ_MUST((w->console = console_new(local, w->ecs, &err)));
    w->known[SECRET] = read_secret(w);
    begin_execution(w);
    w->changes = sqlite3_total_changes(store_db(local->store));
    return w;
}

static void world_free(struct world *w)
{
    struct local *local = &w->local;
    lambda_free(local->lambda);
    invocation_discard(w->invocation);
    inspect_free(w->inspect);
    console_free(w->console);
    httpd_stop(w->httpd);
    ecs_free(w->ecs);
    aws_api_free(local->api);
    faults_free(local->faults);
    loop_free(local->loop);
    service_time_free(local->time);
    store_close(local->store);
    config_free(w->config);
    log_close(local->log);
    for (int i = 0; i < KNOWN; i++)
        free(w->known[i]);
    FUZZ_MUST(nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    free(w);
}

static struct world *world;

static void end_world(void)
{
    if (world)
        world_free(MOVE(world));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;
    struct parts p = { .data = data, .size = size };
    if (!begun)
        begun = atexit(end_world) == 0;
    /* A new one after each input that has changed something, so that what is found is found again
     * by its input alone. */
    if (world && (world->disturbed || ++world->inputs == WORLD_FOR ||
                  sqlite3_total_changes(store_db(world->local.store)) != world->changes))
        end_world();
    if (!world)
        world = world_new();
    for (int i = 0; i < REQUESTS && p.size > 0; i++) {
        char *part[4];
        size_t len = 0;
        auto_buf struct buf answer = BUF_INIT(ANSWER);
        for (int j = 0; j < 4; j++) {
            part[j] = parts_next(&p, &len);
            part[j] = part[j] ? part[j] : mem_dup("");
        }
        world->disturbed = world->disturbed || strstr(part[1], "_local");
        ask(world, (const char *const *)part, len, &answer);
        check_answer(world, &answer, memchr(data, SECRET, size));
        for (int j = 0; j < 4; j++)
            free(part[j]);
    }
    return 0;
}
