/* receiver-load: the jobs of a measurement. Each of JOBS callbacks, from number FIRST on, is
 * registered as the launcher does it, or reported as its job does it, with real tokens and a body
 * of fixed size, over CONNECTIONS that are kept open. All requests are made before the first is
 * sent. With a rate they fall due evenly, whatever becomes of those before, and the time of each
 * counts from then; without, as fast as they are answered. One line of JSON says what came of it:
 *
 *     {"jobs":N,"seconds":S,"p50_us":N,"p99_us":N,"max_us":N,"retries":N,"began_ms":WALL}
 *
 * An answer other than 2xx ends it with exit status 1; 429 and 503 are sent again and counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/opts.h"
#include "shared/token/token.h"
#include "tests/bench/storm_jobs.h"
#include "tests/bench/swarm.h"

#define LIFETIME_S 86400
#define STUCK_MS   60000

struct load {
    char *what;
    int64_t port, connections, jobs, first, body, rate;
    int64_t began_us;
    struct token_keys *keys;
    char **requests;
    size_t *lens;
    unsigned next, done, retries;
    unsigned *again; /* a stack of those to be sent once more */
    unsigned again_count;
    unsigned *current; /* of each connection */
    int64_t *sent_us;
    int64_t *took_us; /* of each job */
    int wrong;
    char wrong_text[256];
};

static void make_id(int64_t n, char out[TOKEN_CALLBACK_ID + 1])
{
    auto_buf struct buf b = BUF_INIT(200);
    auto_free char *text = mem_printf("callback %012lld of a measurement, as long as Lambda's are: "
                                      "an execution's name and an operation's id",
                                      (long long)n);
    encode_base64(&b, text, strlen(text));
    snprintf(out, TOKEN_CALLBACK_ID + 1, "%s", buf_str(&b));
}

static int make_request(struct load *l, unsigned i, int64_t expires_s, struct error *err)
{
    bool registers = strcmp(l->what, "register") == 0, calls = strcmp(l->what, "call") == 0;
    struct token_content c = { .scope = registers ? TOKEN_SCOPE_LAUNCHER : TOKEN_SCOPE_JOB,
                               .expires_s = expires_s };
    char id[TOKEN_PUBLIC_ID];
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    make_id(l->first + i, c.callback_id);
    token_public_id(c.callback_id, id);
    if (token_seal(l->keys, &c, &token, err) < 0)
        return -1;
    auto_free char *pad = mem_array((size_t)l->body + 1, 1);
    memset(pad, 'x', (size_t)l->body);
    auto_free char *body =
        registers
            ? mem_printf("{\"input\":{\"n\":\"%012lld\"},\"workflow\":\"measurement\","
                         "\"job\":\"report\",\"heartbeatSeconds\":3600}",
                         (long long)l->first + i)
            : mem_printf("{\"n\":\"%012lld\",\"result\":\"%s\"}", (long long)l->first + i, pad);
    auto_free char *path =
        calls ? mem_printf("/2025-12-01/durable-execution-callbacks/%s/succeed", c.callback_id)
              : mem_printf("/v1/callbacks/%s%s", id, registers ? "" : "/success");
    l->requests[i] =
        mem_printf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   registers ? "PUT" : "POST", path, buf_str(&token), strlen(body), body);
    l->lens[i] = strlen(l->requests[i]);
    return 0;
}

static int64_t due_us(const struct load *l, unsigned i)
{
    return l->began_us + (int64_t)i * 1000000 / l->rate;
}

static bool on_next(void *arg, unsigned client, const char **bytes, size_t *len)
{
    struct load *l = arg;
    if (l->wrong || (l->again_count == 0 && l->next == (unsigned)l->jobs))
        return false;
    if (l->rate && l->again_count == 0 && clock_mono_us() < due_us(l, l->next))
        return false;
    unsigned i = l->again_count ? l->again[--l->again_count] : l->next++;
    l->current[client] = i;
    l->sent_us[client] = l->rate ? due_us(l, i) : clock_mono_us();
    *bytes = l->requests[i];
    *len = l->lens[i];
    return true;
}

static void on_answer(void *arg, unsigned client, int status, const char *body, size_t len)
{
    (void)len;
    struct load *l = arg;
    unsigned i = l->current[client];
    if (status == 0 || status == 429 || status == 503) {
        l->retries++;
        l->again[l->again_count++] = i;
        return;
    }
    if (status < 200 || status > 299) {
        l->wrong = status;
        snprintf(l->wrong_text, sizeof(l->wrong_text), "%s", body);
    }
    l->took_us[i] = clock_mono_us() - l->sent_us[client];
    l->done++;
}

static int order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int run(struct load *l, struct error *err)
{
    const struct swarm_hooks hooks = { on_next, on_answer, l };
    uint16_t port = (uint16_t)l->port;
    struct swarm *swarm = swarm_new(&port, 1, (unsigned)l->connections, &hooks, err);
    if (!swarm)
        return -1;
    int64_t wall = clock_wall_ms(clock_system()), began = clock_mono_us(), moved = began / 1000;
    unsigned seen = 0;
    l->began_us = began;
    while (!l->wrong && l->done < (unsigned)l->jobs) {
        swarm_step(swarm, l->rate ? 1 : 100);
        int64_t now = clock_mono_ms(clock_system());
        if (l->done != seen) {
            seen = l->done;
            moved = now;
        }
        if (now - moved > STUCK_MS)
            l->wrong = -1;
    }
    double seconds = (double)(clock_mono_us() - began) / 1e6;
    swarm_free(swarm);
    if (l->wrong)
        return error_set(err, ERR_PROTOCOL, l->wrong, "answered %d after %u of %lld: %s", l->wrong,
                         l->done, (long long)l->jobs, l->wrong_text);
    size_t n = (size_t)l->jobs;
    qsort(l->took_us, n, sizeof(*l->took_us), order);
    printf("{\"jobs\":%zu,\"seconds\":%.6f,\"p50_us\":%lld,\"p99_us\":%lld,\"max_us\":%lld,"
           "\"retries\":%u,\"began_ms\":%lld}\n",
           n, seconds, (long long)l->took_us[n / 2], (long long)l->took_us[n * 99 / 100],
           (long long)l->took_us[n - 1], l->retries, (long long)wall);
    return 0;
}

static int prepare(struct load *l, struct error *err)
{
    size_t n = (size_t)l->jobs;
    int64_t expires_s = clock_wall_ms(clock_system()) / 1000 + LIFETIME_S;
    if (strcmp(l->what, "register") != 0 && strcmp(l->what, "report") != 0 &&
        strcmp(l->what, "call") != 0)
        return error_set(err, ERR_INVALID, 0, "--what: must be register, report or call");
    l->keys = token_keys_new(STORM_KEYS, NULL, err);
    if (!l->keys)
        return -1;
    l->requests = mem_array(n, sizeof(*l->requests));
    l->lens = mem_array(n, sizeof(*l->lens));
    l->again = mem_array(n, sizeof(*l->again));
    l->took_us = mem_array(n, sizeof(*l->took_us));
    l->current = mem_array((size_t)l->connections, sizeof(*l->current));
    l->sent_us = mem_array((size_t)l->connections, sizeof(*l->sent_us));
    for (unsigned i = 0; i < n; i++)
        if (make_request(l, i, expires_s, err) < 0)
            return -1;
    return 0;
}

static void release(struct load *l)
{
    for (size_t i = 0; l->requests && i < (size_t)l->jobs; i++)
        free(l->requests[i]);
    free(l->requests);
    free(l->lens);
    free(l->again);
    free(l->took_us);
    free(l->current);
    free(l->sent_us);
    token_keys_free(l->keys);
}

int main(int argc, char **argv)
{
    static struct load l;
    struct error err = { 0 };
    const struct opt table[] = {
        { "what", NULL, OPT_STR, &l.what, "report", 0, 0, "WORD",
          "register, report, or call: the engine itself, to see how fast it is" },
        { "port", NULL, OPT_INT, &l.port, NULL, 1, 65535, "N", "of the server" },
        { "connections", NULL, OPT_INT, &l.connections, "128", 1, 10000, "N", "at once" },
        { "jobs", NULL, OPT_INT, &l.jobs, "20000", 1, 1000000, "N", "in all" },
        { "first", NULL, OPT_INT, &l.first, "0", 0, INT64_MAX / 4, "N", "number of the first" },
        { "rate", NULL, OPT_INT, &l.rate, "0", 0, 1000000, "N",
          "that fall due a second; 0: as fast as they are answered" },
        { "body", NULL, OPT_INT, &l.body, "150", 0, 200000, "BYTES", "of a result" },
    };
    const struct opts o = { .program = "receiver-load",
                            .synopsis = "--port=N [options]",
                            .about = "Registers or reports many jobs and times it.",
                            .table = table,
                            .count = ARRAY_LEN(table) };
    int rc = opts_load(&o, argc, argv, environ, &err);
    if (rc >= 0)
        rc = prepare(&l, &err) < 0 ? -1 : run(&l, &err);
    release(&l);
    opts_release(&o);
    if (rc < 0 && rc != OPTS_DONE)
        fprintf(stderr, "receiver-load: %s\n", err.msg);
    return rc < 0 && rc != OPTS_DONE ? EXIT_FAILURE : EXIT_SUCCESS;
}
