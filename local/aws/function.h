/* function.h - one function: what waits to be invoked, and the environments that do the work.
 *
 * Invocations wait in a queue; environments are started as they are needed, up to the function's
 * maxConcurrency, and used again. An invocation's event is made when an environment takes it, so
 * that it shows the state of that moment. The loop's thread only. */
#ifndef LOCAL_AWS_FUNCTION_H
#define LOCAL_AWS_FUNCTION_H

#include "local/local.h"
#include "shared/base/buf.h"
#include "shared/base/digest.h"

struct function;
struct invocation;
struct environment;
struct httpd_request;

enum invocation_end {
    INVOCATION_RESPONSE, /* the function's answer */
    INVOCATION_ERROR,    /* an error that it posted, or its end, or its timeout */
};

struct invocation_outcome {
    enum invocation_end end;
    const char *request_id;
    int64_t begun_ms; /* wall clock */
    const char *body; /* of an error {"errorMessage","errorType",...} */
    size_t len;
    const char *error_type; /* of an error; may be NULL */
    const char *log;        /* the end of what the function printed meanwhile; NULL: not known */
    size_t log_len;
};

struct invocation_handler {
    /* Writes the event's JSON as the invocation `request_id` begins; false: there is nothing to do
     * any more, the invocation is dropped (its `done` is not called). */
    bool (*begin)(void *arg, const char *request_id, int64_t now_ms, struct buf *event);
    /* Called once for each invocation that has begun, or that could not (no process came up). */
    void (*done)(void *arg, const struct invocation_outcome *outcome);
    void *arg;
};

/* NULL with *err where its runtimes can't attach at the configured address. */
struct function *function_new(const struct local *local, const struct config_function *config,
                              struct error *err) CHECKED;
/* Ends its processes; what waits or runs is forgotten without `done`. Takes NULL. */
void function_free(struct function *f);
const struct config_function *function_config(const struct function *f);
const struct local *function_local(const struct function *f);

/* What the function is told beside the event; all copied. */
struct invocation_context {
    const char *version;       /* goes into the ARN */
    const char *request_id;    /* NULL: a new one */
    const char *trace;         /* X-Ray header, or NULL */
    const char *tenant;        /* of tenant isolation, or NULL */
    const char *execution_arn; /* of a durable one, or NULL */
    bool goes_on;              /* an execution that has begun: it goes before others */
};
/* Puts an invocation in the queue. The handle is good until `done` or function_cancel. */
struct invocation *function_invoke(struct function *f, const struct invocation_context *context,
                                   const struct invocation_handler *handler);
/* Forgets an invocation: `done` will not be called. One that runs goes on for nothing. */
void function_cancel(struct invocation *i);
size_t function_waiting(const struct function *f);
void function_kill(struct function *f);
/* Adds {"name","version","aliases":[...],"durable","timeoutSeconds","waiting","environments":[...]}
 * of /_local/functions. */
void function_describe(const struct function *f, struct buf *out);

/* ---- for environments -------------------------------------------------------------------------
 */

/* The next invocation that waits, taken from the queue, with its event made; or NULL. */
struct invocation *function_take(struct function *f);
/* One of its environments can take work, has ended, or has taken long: looks at the queue again. */
void function_look(struct function *f);
void function_gone(struct function *f, struct environment *env);
/* No process came up for the oldest that waits: it fails with this error. */
void function_fail_first(struct function *f, const char *body, size_t len, const char *type);
/* The same for want of a process, logged. */
void function_not_started(struct function *f, const struct error *why);
/* The same where the process ended as it came up. */
void function_crash_first(struct function *f, const char *how);

const char *invocation_request_id(const struct invocation *i);
const char *invocation_execution_arn(const struct invocation *i); /* NULL: none */
/* The answer to the runtime's `next`, which is gone afterwards. */
void invocation_send(const struct invocation *i, struct httpd_request *next);
/* What the function has printed while it had this: copied, goes with its end. */
void invocation_logged(struct invocation *i, const char *log, size_t len);
/* Reports the end and frees it. */
void invocation_end(struct invocation *i, enum invocation_end end, const char *body, size_t len,
                    const char *error_type);
/* Reports the end of one that took longer than its function may, and frees it. */
void invocation_time_out(struct invocation *i);
/* Reports the end of one whose runtime has ended, and frees it. `how`: "signal: killed". */
void invocation_crash(struct invocation *i, const char *how);
/* Frees it without a report. */
void invocation_discard(struct invocation *i);

#endif
