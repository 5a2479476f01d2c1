#include "tests/bench/storm_jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"
#include "shared/token/token.h"

#define REQUEST_MAX 4096
#define LIFETIME_S  86400

enum step {
    STEP_REGISTER,
    STEP_REPORT,
    STEP_OTHER, /* another report after the first was accepted: it must be refused */
    STEP_ASK,   /* as the launcher */
    STEP_DONE
};

/* What the launcher is shown in the end. */
enum end {
    END_NONE,
    END_DELIVERED,
    END_UNCONFIRMED,
    END_DEAD
};

struct job {
    enum step step;
    enum end end;
    bool accepted;
    bool held; /* the report that the launcher was shown is the job's own */
};

struct client {
    unsigned job; /* UINT32_MAX: none */
    char request[REQUEST_MAX];
};

struct storm_jobs {
    struct token_keys *keys;
    uint64_t seed;
    int64_t expires_s;
    struct job *jobs;
    unsigned count;
    unsigned next;
    unsigned done;
    bool judging;
    struct client *clients;
    unsigned client_count;
    unsigned retries, refused, conflicts;
    bool faulty;
    struct error fault;
};

struct storm_jobs *storm_jobs_new(unsigned jobs, unsigned clients, uint64_t seed, struct error *err)
{
    struct token_keys *keys = token_keys_new(STORM_KEYS, NULL, err);
    if (!keys)
        return NULL;
    struct storm_jobs *j = mem_alloc(sizeof(*j));
    j->keys = keys;
    j->seed = seed;
    j->expires_s = clock_wall_ms(clock_system()) / 1000 + LIFETIME_S;
    j->jobs = mem_array(jobs, sizeof(*j->jobs));
    j->count = jobs;
    j->clients = mem_array(clients, sizeof(*j->clients));
    j->client_count = clients;
    for (unsigned i = 0; i < clients; i++)
        j->clients[i].job = UINT32_MAX;
    return j;
}

void storm_jobs_free(struct storm_jobs *j)
{
    if (!j)
        return;
    token_keys_free(j->keys);
    free(j->jobs);
    free(j->clients);
    free(j);
}

/* ---- what a job says ------------------------------------------------------------------------ */

/* Every third job is not registered first: its token is enough. Every seventh fails. */
static bool registers(unsigned i)
{
    return i % 3 != 0;
}

static bool fails(unsigned i)
{
    return i % 7 == 3;
}

static bool contradicts(unsigned i)
{
    return i % 20 == 11;
}

static void callback_id(const struct storm_jobs *j, unsigned i, char out[128])
{
    auto_buf struct buf b = BUF_INIT(120);
    auto_free char *text =
        mem_printf("callback of job %u in storm %llu", i, (unsigned long long)j->seed);
    encode_base64(&b, text, strlen(text));
    snprintf(out, 128, "%s", buf_str(&b));
}

/* What the job sends and what the engine must get for it. */
static void body_of(const struct storm_jobs *j, unsigned i, bool other, char sent[256],
                    char delivered[256])
{
    unsigned long long n = (unsigned long long)j->seed;
    if (fails(i)) {
        snprintf(sent, 256, "{\"errorType\":\"Storm.Failed\",\"errorMessage\":\"%s%u of %llu\"}",
                 other ? "not " : "", i, n);
        snprintf(delivered, 256,
                 "{\"ErrorType\":\"Storm.Failed\",\"ErrorMessage\":\"%s%u of %llu\"}",
                 other ? "not " : "", i, n);
        return;
    }
    snprintf(sent, 256, "{\"job\":%u,\"storm\":\"%llu\",\"ok\":%s}", i, n,
             other ? "false" : "true");
    snprintf(delivered, 256, "%s", sent);
}

static void write_request(struct storm_jobs *j, unsigned i, char out[REQUEST_MAX])
{
    static const char *const methods[] = { "PUT", "POST", "POST", "GET" };
    enum step step = j->jobs[i].step;
    bool launcher = step == STEP_REGISTER || step == STEP_ASK;
    struct token_content c = { .scope = launcher ? TOKEN_SCOPE_LAUNCHER : TOKEN_SCOPE_JOB,
                               .expires_s = j->expires_s };
    char id[TOKEN_PUBLIC_ID], body[256] = "", ignored[256];
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    struct error err;
    callback_id(j, i, c.callback_id);
    token_public_id(c.callback_id, id);
    if (token_seal(j->keys, &c, &token, &err) < 0)
        abort();
    if (step == STEP_REGISTER)
        snprintf(body, sizeof(body), "{\"input\":{\"n\":%u},\"workflow\":\"storm\"}", i);
    else if (step != STEP_ASK)
        body_of(j, i, step == STEP_OTHER, body, ignored);
    const char *what = launcher ? "" : fails(i) ? "/failure" : "/success";
    snprintf(out, REQUEST_MAX,
             "%s /v1/callbacks/%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             methods[step], id, what, buf_str(&token), strlen(body), body);
}

/* ---- the clients' hooks ---------------------------------------------------------------------- */

static bool take_job(struct storm_jobs *j, struct client *c)
{
    for (; j->next < j->count; j->next++) {
        struct job *job = &j->jobs[j->next];
        if (job->step == STEP_DONE)
            continue;
        if (!j->judging)
            job->step = registers(j->next) ? STEP_REGISTER : STEP_REPORT;
        c->job = j->next++;
        return true;
    }
    return false;
}

static bool on_next(void *arg, unsigned client, const char **bytes, size_t *len)
{
    struct storm_jobs *j = arg;
    struct client *c = &j->clients[client];
    if (j->faulty || (c->job == UINT32_MAX && !take_job(j, c)))
        return false;
    write_request(j, c->job, c->request);
    *bytes = c->request;
    *len = strlen(c->request);
    return true;
}

static void fault(struct storm_jobs *j, unsigned i, int status, const char *body)
{
    static const char *const names[] = { "registration", "report", "contradiction", "question" };
    if (!j->faulty)
        error_set(&j->fault, ERR_PROTOCOL, status, "the %s of job %u was answered %d %.200s",
                  names[j->jobs[i].step], i, status, body);
    j->faulty = true;
}

static void finish(struct storm_jobs *j, struct client *c)
{
    j->jobs[c->job].step = STEP_DONE;
    j->done++;
    c->job = UINT32_MAX;
}

static void on_told(struct storm_jobs *j, struct client *c, int status, const char *body)
{
    unsigned i = c->job;
    struct job *job = &j->jobs[i];
    switch (job->step) {
    case STEP_REGISTER: /* 200: an earlier one was committed, its answer lost */
        if (status != 201 && status != 200)
            fault(j, i, status, body);
        job->step = STEP_REPORT;
        break;
    case STEP_REPORT: /* 410: an earlier one was committed, and the engine has refused it since */
        if (status != 202 && status != 200 && status != 410)
            fault(j, i, status, body);
        job->accepted = true;
        job->step = STEP_OTHER;
        if (!contradicts(i))
            finish(j, c);
        break;
    case STEP_OTHER:
        if (status != 409)
            fault(j, i, status, body);
        j->conflicts++;
        finish(j, c);
        break;
    default:
        break;
    }
}

/* Is the report that the launcher is shown the job's own? */
static bool shows_report(const struct storm_jobs *j, unsigned i, struct json_object *o)
{
    char sent[256], delivered[256];
    struct json_object *report = json_get(o, "report");
    const char *kind = json_get_str(report, "kind"), *body = json_get_str(report, "body");
    body_of(j, i, false, sent, delivered);
    return kind && body && strcmp(kind, fails(i) ? "failure" : "success") == 0 &&
           strcmp(body, delivered) == 0;
}

static void on_shown(struct storm_jobs *j, struct client *c, int status, const char *body)
{
    static const char *const ends[] = { NULL, "delivered", "unconfirmed", "dead" };
    auto_json struct json_object *o = NULL;
    unsigned i = c->job;
    struct job *job = &j->jobs[i];
    struct error err;
    if (status != 200 || json_parse_str(body, &o, &err) < 0) {
        fault(j, i, status, body);
        return;
    }
    const char *state = json_get_str(o, "state");
    for (size_t k = END_DELIVERED; state && k < ARRAY_LEN(ends); k++)
        if (strcmp(state, ends[k]) == 0)
            job->end = (enum end)k;
    job->held = shows_report(j, i, o);
    if (job->end != END_NONE)
        finish(j, c);
    else if (!state || strcmp(state, "accepted") != 0)
        fault(j, i, status, body);
}

static void on_answer(void *arg, unsigned client, int status, const char *body, size_t len)
{
    (void)len;
    struct storm_jobs *j = arg;
    struct client *c = &j->clients[client];
    j->refused += status == 503;
    if (status == 0 || status == 429 || status == 503)
        j->retries += !j->judging;
    else if (j->judging)
        on_shown(j, c, status, body);
    else
        on_told(j, c, status, body);
}

struct swarm_hooks storm_jobs_hooks(struct storm_jobs *j)
{
    return (struct swarm_hooks){ on_next, on_answer, j };
}

unsigned storm_jobs_done(const struct storm_jobs *j)
{
    return j->done;
}

unsigned storm_jobs_refused(const struct storm_jobs *j)
{
    return j->refused;
}

void storm_jobs_judge(struct storm_jobs *j)
{
    j->judging = true;
    j->done = 0;
    j->next = 0;
    for (unsigned i = 0; i < j->count; i++)
        j->jobs[i].step = STEP_ASK;
    for (unsigned i = 0; i < j->client_count; i++)
        j->clients[i].job = UINT32_MAX;
}

int storm_jobs_fault(const struct storm_jobs *j, struct error *err)
{
    if (j->faulty && err)
        *err = j->fault;
    return j->faulty ? -1 : 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

struct record { /* the engine's */
    const char *verb, *sha;
    bool taken, closed, other;
};

/* Reads the engine's lines; a callback that it never heard of has no verb. The strings stay in the
 * text. */
static int read_records(struct storm_jobs *j, char *text, struct record *records, struct error *err)
{
    char *line, *rest = text;
    while ((line = strsep(&rest, "\n")) && *line) {
        char *field[7] = { NULL };
        for (size_t f = 0; f < ARRAY_LEN(field) && line; f++)
            field[f] = strsep(&line, " ");
        size_t len = 0;
        unsigned i;
        unsigned long long storm;
        auto_free uint8_t *id = decode_base64(field[0], strlen(field[0]), &len);
        if (!field[6] || !id ||
            sscanf((char *)id, "callback of job %u in storm %llu", &i, &storm) != 2 ||
            i >= j->count || storm != j->seed)
            return error_set(err, ERR_PROTOCOL, 0, "the engine heard of a callback that is none");
        records[i] = (struct record){ .verb = field[1],
                                      .sha = field[2],
                                      .taken = *field[4] == '1',
                                      .closed = *field[5] == '1',
                                      .other = *field[6] == '1' };
    }
    return 0;
}

/* NULL, or what is wrong with job i. */
static const char *judge(const struct storm_jobs *j, unsigned i, const struct record *r)
{
    const struct job *job = &j->jobs[i];
    char sent[256], delivered[256], sha[DIGEST_SHA256_HEX];
    body_of(j, i, false, sent, delivered);
    digest_sha256_hex(delivered, strlen(delivered), sha);
    if (!job->accepted)
        return "was never accepted";
    if (!r->verb)
        return "was accepted and never sent to the engine";
    if (r->other)
        return "was sent to the engine in two versions";
    if (strcmp(r->sha, sha) != 0 || strcmp(r->verb, fails(i) ? "fail" : "succeed") != 0)
        return "was sent to the engine with a wrong result";
    if (!r->taken && !r->closed)
        return "was not taken by the engine, which had not closed it";
    if (!r->taken && (job->end == END_DELIVERED || !job->held))
        return "was closed by the engine and is not held";
    if (r->taken && job->end == END_DEAD)
        return "was taken by the engine and is called dead";
    return NULL;
}

int storm_jobs_compare(struct storm_jobs *j, char *text, struct storm_counts *out,
                       struct error *err)
{
    auto_free struct record *records = mem_array(j->count, sizeof(*records));
    unsigned wrong = 0, first = 0;
    const char *why = NULL;
    if (read_records(j, text, records, err) < 0)
        return -1;
    *out = (struct storm_counts){ .retries = j->retries, .conflicts = j->conflicts };
    for (unsigned i = 0; i < j->count; i++) {
        const char *what = judge(j, i, &records[i]);
        if (what && wrong++ == 0) {
            first = i;
            why = what;
        }
        out->accepted += j->jobs[i].accepted;
        out->delivered += records[i].taken;
        out->held += !records[i].taken && j->jobs[i].held;
    }
    return wrong
               ? error_set(err, ERR_INTERNAL, 0, "%u jobs are wrong; job %u %s", wrong, first, why)
               : 0;
}
