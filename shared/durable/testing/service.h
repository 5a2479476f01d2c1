/* service.h - the durable service of durable_testing.h: operations, updates, time. One caller at a
 * time. */
#ifndef DURABLE_TESTING_SERVICE_H
#define DURABLE_TESTING_SERVICE_H

#include "shared/base/buf.h"
#include "shared/base/error.h"
#include "shared/durable/durable_testing.h"
#include "shared/durable/testing/index.h"

struct test_operation {
    size_t index;                       /* in the list of operations */
    struct durable_test_operation view; /* points into what follows */
    char *id;
    char *parent_id;
    char *name;
    char *type;
    char *subtype;
    char *result;
    char *callback_id;
    char *function;
    char *tenant_id;
    char *payload;
    struct durable_error error;
    bool has_error;
    bool replay_children;
    bool scripted;        /* a script has been given to this callback */
    bool unseen;          /* the handler has not been told what it is now */
    int64_t due_ms;       /* end of a wait, next attempt of a step; 0: none */
    int64_t timeout_ms;   /* of a callback; 0: none */
    int64_t heartbeat_s;  /* 0: none */
    int64_t heartbeat_ms; /* when it is too late */
    int64_t timed_ms;     /* of its timer; 0: it has none */
};

enum script_kind {
    SCRIPT_SUCCEED,
    SCRIPT_FAIL,
    SCRIPT_HEARTBEAT,
};

/* What a test has written about callbacks. */
struct script {
    enum script_kind kind;
    char *name; /* NULL: any */
    int64_t after_s;
    char *text; /* the result, or the error's type */
    char *message;
    bool each;
    size_t next; /* of the same list, or INDEX_NONE */
};

/* Scripts in the order in which they were written. */
struct script_list {
    size_t first; /* or INDEX_NONE */
    size_t last;
};

/* Those of a name, or those for any. */
struct script_lists {
    struct script_list once; /* those that are used are taken out */
    struct script_list each;
};

struct function {
    char *name;
    int64_t after_s;
    durable_test_function_fn *body; /* NULL: the fixed end that follows */
    void *arg;
    char *status;
    char *text; /* the result, or the error's type */
    char *message;
};

/* Something that the world does at a time. */
struct happening {
    int64_t at_ms;
    size_t op; /* its place in the list of operations */
    enum script_kind kind;
    char *status; /* of an invoke's end; NULL for callbacks */
    char *text;
    char *message;
};

struct fault {
    unsigned n;
    enum durable_test_fault fault;
};

struct durable_test {
    struct durable_test_opts opts;
    char *execution_name;
    char *arn;
    char *input;
    enum durable_test_status status;
    bool begun;
    char *result;
    struct durable_error error;
    int64_t now_ms;
    int64_t real_ms; /* monotonic; with threads time goes on from here during an invocation */
    int64_t ends_ms; /* the execution's timeout */
    struct test_operation **op;
    size_t op_count;
    struct index by_id;
    struct index by_name; /* the first of each */
    struct index by_callback_id;
    size_t *unseen; /* which operations are */
    size_t unseen_count;
    struct timers timers;
    struct script *script;
    size_t script_count;
    struct script_lists *lists; /* the first is for any name */
    size_t list_count;
    struct index list_by_name;
    struct function *function;
    size_t function_count;
    struct happening *happening;
    size_t happening_count;
    struct fault *fault;
    size_t fault_count;
    unsigned token; /* the current one is "T<token>" */
    bool withheld;  /* it was withheld: the service wants to invoke anew */
    bool dead;      /* the process has died: nothing arrives any more in this invocation */
    unsigned invocations;
    char **request;
    unsigned requests;
    struct json_object *state; /* of which the invocation reads pages; NULL: of none */
    uint64_t cost;             /* operations looked at one by one, see service_cost */
    struct buf history;
    struct buf log;
};

/* The time, which goes on during an invocation with threads. */
int64_t service_now_ms(const struct durable_test *t);
struct test_operation *service_find(struct durable_test *t, const char *id);
/* The handler is to be told of it. */
void service_unseen(struct durable_test *t, struct test_operation *op);
/* How many things have been looked at so far, of all kinds: what the service costs. */
uint64_t service_cost(const struct durable_test *t);
void service_event(struct durable_test *t, const char *type, const char *name);

/* Applies a checkpoint's updates, all or none: -1 with the service's words. *closes: it has ended
 * the execution. */
int service_apply(struct durable_test *t, struct json_object *updates, bool *closes,
                  struct error *err) CHECKED;
/* Operation records as JSON; those of finished contexts' insides are left out. `unseen`: only what
 * has changed. Afterwards everything counts as seen. */
struct json_object *service_operations(struct durable_test *t, bool unseen, bool event);
void operation_free_test(struct test_operation *op);

/* ---- world.c --------------------------------------------------------------------------------- */

/* A callback or an invoke has started: its script begins. */
void world_started(struct durable_test *t, size_t op);
/* What is due of the operation itself may have changed. */
void world_timed(struct durable_test *t, struct test_operation *op);
/* Does what is due by `now_ms`. */
void world_pass(struct durable_test *t, int64_t now_ms);
/* When the next thing is due; INT64_MAX: never. */
int64_t world_next_ms(struct durable_test *t);
bool world_callback_ends(struct durable_test *t, struct test_operation *op, const char *status,
                         const char *text, const char *message);

#endif
