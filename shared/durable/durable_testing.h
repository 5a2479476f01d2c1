/* durable_testing.h - a durable service inside a test program: no network, no clock, no Lambda.
 *
 * A durable_test runs a handler from its start to its end as Lambda would: it invokes it, takes its
 * checkpoints, and when the handler suspends, moves its own clock to the next thing that is due (a
 * wait, a retry, an answer that the test has scripted, a timeout) and invokes it again. So a
 * workflow of a year takes milliseconds, and every run of a test goes the same way: with
 * max_threads 0 branches run one after the other on the caller's thread.
 *
 *     struct durable_test *t = durable_test_new(NULL);
 *     durable_test_callback_succeeds(t, "approval", 3600, "\"yes\"");
 *     assert(durable_test_run(t, handler, NULL, "{\"order\":7}") == DURABLE_TEST_SUCCEEDED);
 *     assert(strcmp(durable_test_result(t), "\"shipped\"") == 0);
 *     assert(durable_test_find(t, "charge")->attempts == 1);
 *     durable_test_free(t);
 *
 * It is strict: an update that the service would refuse is refused, which ends the execution as
 * FAILED with the service's reason. An operation costs the same however many there are, besides
 * what every invocation costs, which is given all of them. What is handed out lives until the next
 * run or the end of the test. One thread, other than the branches' own. Link with -ldurable-testing
 * -ldurable. */
#ifndef DURABLE_TESTING_H
#define DURABLE_TESTING_H

#include "shared/durable/durable.h"

struct durable_test;

/* Zero: the default. Strings are copied. */
struct durable_test_opts {
    const char *execution_name;          /* "test" */
    int64_t start_ms;                    /* ms since 1970; 2026-01-01T00:00:00Z */
    int64_t execution_timeout_s;         /* one year */
    unsigned max_threads;                /* branches at a time; 0: one, on the caller's thread */
    unsigned max_invocations;            /* of one run; default 10,000. More: RUNNING */
    unsigned page;                       /* operations in an event and in a state page; 0: all */
    const struct durable_serdes *serdes; /* of input and result, see durable_serve_opts */
};
/* `opts` may be NULL. Never fails. */
struct durable_test *durable_test_new(const struct durable_test_opts *opts);
/* Takes NULL. */
void durable_test_free(struct durable_test *t);

/* ---- running ---------------------------------------------------------------------------------
 */

enum durable_test_status {
    DURABLE_TEST_RUNNING, /* suspended, and nothing that is due or scripted would wake it; or
                             max_invocations are used up */
    DURABLE_TEST_SUCCEEDED,
    DURABLE_TEST_FAILED,
    DURABLE_TEST_TIMED_OUT, /* the execution's own timeout */
};
/* Starts an execution with `input` (JSON text; NULL: none) and drives it as far as it goes. For an
 * execution that is RUNNING, goes on with it: `input` is ignored then. */
enum durable_test_status durable_test_run(struct durable_test *t, durable_fn *handler, void *arg,
                                          const char *input);
enum durable_test_status durable_test_status(const struct durable_test *t);
/* JSON text, or NULL where there is none. */
const char *durable_test_result(const struct durable_test *t);
/* Why the execution has failed; where it is RUNNING because its invocations do, why the last one
 * has (by its type and message). Else its members are NULL. */
const struct durable_error *durable_test_error(const struct durable_test *t);

/* ---- what the world does ---------------------------------------------------------------------
 * Scripts are written before a run, or between two. Times are seconds after the operation's start.
 */

/* For the next callback of that name which no script has been given to (a nameless one inside
 * durable_wait_for_callback goes by the name of that; NULL: any name). Heartbeats may be scripted
 * before the end: scripts of one name that follow a heartbeat belong to the same callback. */
void durable_test_callback_succeeds(struct durable_test *t, const char *name, int64_t after_s,
                                    const char *result);
void durable_test_callback_fails(struct durable_test *t, const char *name, int64_t after_s,
                                 const char *type, const char *message);
void durable_test_callback_heartbeat(struct durable_test *t, const char *name, int64_t after_s);
/* The same for every callback of that name. */
void durable_test_each_callback_succeeds(struct durable_test *t, const char *name, int64_t after_s,
                                         const char *result);
/* Between two runs, by id: false where it is closed. `result` NULL: none. */
bool durable_test_send_success(struct durable_test *t, const char *callback_id, const char *result);
bool durable_test_send_failure(struct durable_test *t, const char *callback_id, const char *type,
                               const char *message);

/* What function `function` (as the handler names it) answers to every invoke from now on; one that
 * has no script fails at once with ResourceNotFoundException. `payload` and `tenant_id` may be
 * NULL. 0 with *result (JSON text from malloc, or NULL), or -1 with *err. */
typedef int durable_test_function_fn(const char *payload, const char *tenant_id, void *arg,
                                     char **result, struct durable_error *err);
void durable_test_function(struct durable_test *t, const char *function, int64_t after_s,
                           durable_test_function_fn *body, void *arg);
void durable_test_function_returns(struct durable_test *t, const char *function, int64_t after_s,
                                   const char *result);
/* It ends as FAILED, TIMED_OUT or STOPPED. */
void durable_test_function_ends(struct durable_test *t, const char *function, int64_t after_s,
                                const char *status, const char *type, const char *message);

/* ---- faults -----------------------------------------------------------------------------------
 * Checkpoints are numbered from 1 through all invocations. */

enum durable_test_fault {
    DURABLE_TEST_LOST_REQUEST, /* the process dies before the checkpoint arrives */
    DURABLE_TEST_LOST_ANSWER,  /* it is taken, and the process dies before it hears of it */
    DURABLE_TEST_REFUSED,      /* the service refuses it for good: 400 */
    DURABLE_TEST_THROTTLED,    /* 429, retries used up */
    DURABLE_TEST_STALE,        /* "Invalid checkpoint token" */
    DURABLE_TEST_NO_TOKEN,     /* taken, and the service takes no more from this invocation */
};
/* Checkpoint `n` meets `fault`. The invocation ends as it would, and Lambda invokes again. */
void durable_test_fault(struct durable_test *t, unsigned n, enum durable_test_fault fault);

/* ---- looking ----------------------------------------------------------------------------------
 */

/* Texts are NULL where there is none. */
struct durable_test_operation {
    const char *id;
    const char *parent_id;
    const char *name;
    const char *type;    /* "STEP", "WAIT", "CONTEXT", "CALLBACK", "CHAINED_INVOKE" */
    const char *subtype; /* "Step", "Map", ... */
    const char *status;  /* "STARTED", "PENDING", "READY", "SUCCEEDED", ... */
    unsigned attempts;   /* finished, of a step */
    const char *result;  /* also a condition's last state */
    const char *error_type;
    const char *error_message;
    const char *callback_id;
    const char *function; /* and payload: of an invoke */
    const char *payload;
    int64_t started_ms; /* the test's clock */
    int64_t ended_ms;   /* 0: it has not */
};
/* Operations in the order of their starts. */
size_t durable_test_count(const struct durable_test *t);
/* NULL: there is no such. */
const struct durable_test_operation *durable_test_operation(struct durable_test *t, size_t i);
/* The first of that name. */
const struct durable_test_operation *durable_test_find(struct durable_test *t, const char *name);

/* The history, an event a line: "StepStarted charge", with names where there are any. */
const char *durable_test_history(const struct durable_test *t);
/* What the handler logged, as durable_log writes it. */
const char *durable_test_log(const struct durable_test *t);
int64_t durable_test_now_ms(const struct durable_test *t);
unsigned durable_test_invocations(const struct durable_test *t);
unsigned durable_test_checkpoints(const struct durable_test *t);
/* The body of checkpoint `n` (from 1) as it was sent, or NULL. */
const char *durable_test_request(const struct durable_test *t, unsigned n);

#endif
