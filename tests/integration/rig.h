/* rig.h - one real callback-receiver against a Lambda that a test commands. A failed call fails the
 * test. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "local/stack/program.h"
#include "shared/aws/http.h"
#include "shared/base/httpd.h"
#include "shared/token/token.h"
#include "tests/redis_server.h"

#define RIG_ID   "Ab9hZXjGYXJuOmF3czpsYW1iZGE6+/=="
#define RIG_KEYS "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"

/* Which store the receivers of this process have. RIG_TEST runs one body on both. */
enum rig_store {
    RIG_SQLITE,
    RIG_REDIS /* a redis-server of its own for each rig */
};
/* Before rig_start. False, with the reason printed: there is no redis-server here. */
bool rig_on(enum rig_store store);

#define RIG_TEST(suite_, name_)                                                                    \
    static void suite_##_##name_(void);                                                            \
    Test(suite_, name_)                                                                            \
    {                                                                                              \
        if (rig_on(RIG_SQLITE))                                                                    \
            suite_##_##name_();                                                                    \
    }                                                                                              \
    Test(suite_##_on_redis, name_)                                                                 \
    {                                                                                              \
        if (rig_on(RIG_REDIS))                                                                     \
            suite_##_##name_();                                                                    \
    }                                                                                              \
    static void suite_##_##name_(void)

/* What Lambda does with the next calls; the last stays. */
enum rig_lambda {
    RIG_TAKES,     /* 200 */
    RIG_THROTTLES, /* 429 */
    RIG_FAILS,     /* 500 */
    RIG_DENIES,    /* 403 */
    RIG_REFUSES,   /* 400 InvalidParameterValueException */
    RIG_CLOSED,    /* 400 CallbackTimeoutException */
    RIG_UNKNOWN,   /* 404 ResourceNotFoundException */
    RIG_ELSEWHERE, /* 404 that is not Lambda's */
    RIG_TELLS,     /* 500 with the callback id in its message, raw and as in the URL */
    RIG_CUTS,      /* takes it and closes the connection without an answer */
    RIG_HANGS      /* takes it and says nothing until rig_release_calls */
};

struct rig;

/* `env` (NULL-ended, may be NULL) is added to the receiver's environment, or replaces what is
 * there.
 */
struct rig *rig_start(const char *const *env);
/* The next rig_start runs this (NULL-ended, borrowed) in place of the receiver alone. */
void rig_run_as(const char *const *argv);
/* Another receiver with the same Redis and the same Lambda, which stay `first`'s: stop it before.
 */
struct rig *rig_join(struct rig *first, const char *const *env);
/* SIGTERM must end the receiver cleanly. */
void rig_stop(struct rig *r);
void rig_kill(struct rig *r); /* SIGKILL */
void rig_restart(struct rig *r);
/* SIGTERM and its exit status. */
int rig_terminate(struct rig *r);

/* `first` once per call in `count` calls, then `then`. */
void rig_lambda(struct rig *r, enum rig_lambda first, unsigned count, enum rig_lambda then);
void rig_release_calls(struct rig *r);
/* How many callback calls Lambda has seen, and the last one's verb, callback id and body. */
unsigned rig_calls(struct rig *r);
struct rig_call {
    char verb[16]; /* "succeed" or "fail" */
    char callback_id[128];
    char *body; /* the caller's */
};
struct rig_call rig_last_call(struct rig *r);
/* The traceparent that came with the last call, or "". The caller's. */
char *rig_last_trace(struct rig *r);
/* Heartbeats are counted apart, and answered as `what` says (RIG_TAKES at first). */
void rig_lambda_beats(struct rig *r, enum rig_lambda what);
unsigned rig_beats(struct rig *r);
/* Waits until Lambda has seen `count` calls. */
void rig_await_calls(struct rig *r, unsigned count);

struct rig_answer {
    int status;
    char body[4096]; /* cut */
    size_t body_len;
    char type[64];
    char allow[64];
    char retry_after[16];
    char challenge[128];
    char applied[32];
    char cors[16];
};

struct rig_ask {
    const char *method;
    const char *callback_id; /* whose public id is in the path */
    const char *what;        /* behind it: "/success" */
    const char *token;       /* NULL: none */
    const char *type;        /* Content-Type, or NULL */
    const char *prefer;
    const char *trace; /* traceparent, or NULL */
    const char *body;  /* NULL: none */
    size_t body_len;   /* 0: strlen */
};

struct rig_answer rig_ask(struct rig *r, const struct rig_ask *ask);
/* The same for the callback RIG_ID. */
struct rig_answer rig_say(struct rig *r, const char *method, const char *what, const char *token,
                          const char *type, const char *body);
/* Asserts the status, and that the body contains `text`. */
void rig_expect(struct rig_answer a, int status, const char *text);
/* Any path of the public or the operations port. */
struct rig_answer rig_get(struct rig *r, bool ops, const char *method, const char *path,
                          const struct http_header *headers);
/* Any length: what GET of the operations port answers with 200. The caller's. */
char *rig_ops_text(struct rig *r, const char *path);
/* The URL of `what` of a callback; the caller's. */
char *rig_url(const struct rig *r, const char *callback_id, const char *what);
/* Starts a receiver with this environment and credentials, which must fail; what it said, the
 * caller's. */
char *rig_refused(const char *const *env);
/* `reports` at the same time for the callback RIG_ID, each with a result of its own, to the `count`
 * receivers in turn. Asserts that one of them is accepted, and that the others are told so. */
#define RIG_BURST_MAX 32
void rig_burst(struct rig *const *all, size_t count, size_t reports);
/* A token for a callback; the caller's. */
char *rig_token(const char *callback_id, enum token_scope scope, int64_t lifetime_s);
/* Registers it and returns the job's token, the caller's. `more` is put into the body. */
char *rig_register(struct rig *r, const char *callback_id, const char *more);
/* Waits until the callback's state is `state` and returns the status document, the caller's. */
char *rig_await_state(struct rig *r, const char *callback_id, const char *state);
/* `callback-receiver ARGUMENTS...` (NULL-ended) with the environment of the rig's receiver and
 * OPS_LISTEN at its operations port. Returns the exit status; *out is what it said on both outputs,
 * the caller's. `input` goes to its standard input (NULL: none). */
int rig_command(struct rig *r, const char *const *arguments, const char *const *env,
                const char *input, char **out);
pid_t rig_pid(const struct rig *r);
/* A TCP connection to the public port; -1: it is refused. */
int rig_connect(const struct rig *r);
/* Sends all of it; asserts. */
void rig_send(int fd, const char *text, size_t len);
/* Reads until the other side closes, or `until` is in it (NULL: only closing counts); the caller's.
 */
char *rig_receive(int fd, const char *until);
/* Its folder: the SQLite store, the log. Borrowed. */
const char *rig_dir(const struct rig *r);
/* Its redis-server (program NULL: none). */
struct redis_server *rig_redis(struct rig *r);
/* The receiver's log so far, the caller's. */
char *rig_log(struct rig *r);

#endif
