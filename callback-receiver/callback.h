/* callback.h - what is known of one callback, and what each event makes of it.
 *
 *     (none) --register, heartbeat--> pending --report--> accepted --delivered--> delivered
 *                                        |                  |  `-- closed by the engine --> dead
 *                                        |                  |  `-- the same after an attempt whose
 *                                        |                  |      answer was lost --> unconfirmed
 *                                        `------ close -----+--> closed   (from every state)
 *
 * A pure state machine: no clock, no store, no network. Each function takes the record as it is,
 * changes it in place and says what came of it. The store reads a record, calls one of these and
 * writes the record back in the same transaction. Payloads (input, report, progress) are kept
 * beside the record. One thread at a time for each record. */
#ifndef RECEIVER_CALLBACK_H
#define RECEIVER_CALLBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/digest.h"
#include "shared/token/token.h"

enum callback_state {
    CALLBACK_ABSENT = 0,
    CALLBACK_PENDING,
    CALLBACK_ACCEPTED,    /* a report is committed and on its way to Lambda */
    CALLBACK_DELIVERED,   /* Lambda has confirmed it */
    CALLBACK_UNCONFIRMED, /* sent, the answer was lost, then Lambda said "closed" */
    CALLBACK_DEAD,        /* Lambda will never take it; last_error says why */
    CALLBACK_CLOSED,      /* the workflow does not wait any more */
    CALLBACK_STATES
};

enum callback_kind {
    CALLBACK_SUCCESS = 1,
    CALLBACK_FAILURE
};

enum callback_media {
    CALLBACK_JSON = 1,
    CALLBACK_TEXT
};

enum callback_by {
    CALLBACK_BY_JOB = 1,
    CALLBACK_BY_LAUNCHER,
    CALLBACK_BY_RECEIVER
};

/* What came of an event. */
enum callback_verdict {
    CALLBACK_DONE,    /* as asked */
    CALLBACK_CREATED, /* registered now */
    CALLBACK_TAKEN,   /* the report is the first: it counts */
    CALLBACK_SAME,    /* a repeat of what is there */
    CALLBACK_OTHER,   /* something else is there already */
    CALLBACK_OVER,    /* nobody waits for it any more */
    CALLBACK_NONE     /* no such callback */
};

#define CALLBACK_NAME        1024 /* bytes of a workflow's or a job's name */
#define CALLBACK_OUTCOME     64   /* bytes of the outcome that DELETE names */
#define CALLBACK_TRACEPARENT 55   /* characters of a W3C traceparent of version 00 */
#define CALLBACK_ERROR       512  /* bytes of last_error */
#define CALLBACK_HEARTBEAT_S 60   /* the default */
#define CALLBACK_JUDGED_MAX  1024 /* bytes of the ErrorObject that callback_judge writes */

/* Times are wall clock in ms; 0 means never. */
struct callback {
    char id[TOKEN_PUBLIC_ID];
    char callback_id[TOKEN_CALLBACK_ID + 1]; /* secret */
    enum callback_state state;
    bool registered; /* false where a valid token came before any registration */
    uint8_t registration[DIGEST_SHA256];
    char workflow[CALLBACK_NAME + 1];
    char job[CALLBACK_NAME + 1];
    int64_t heartbeat_s;
    int64_t start_timeout_s; /* 0: not judged */
    int64_t expires_s;       /* the latest expiry of the tokens seen: the callback's life */
    int64_t created_ms;
    int64_t first_contact_ms; /* any request of the job */
    int64_t last_contact_ms;
    int64_t first_heartbeat_ms;
    int64_t judge_ms; /* silent until then: reported as failure */
    int64_t reported_ms;
    int64_t delivered_ms;
    int64_t ended_ms; /* closed, dead or unconfirmed since */
    enum callback_by report_by;
    enum callback_kind report_kind; /* 0: no report */
    enum callback_media report_media;
    uint8_t report_sha[DIGEST_SHA256];
    int64_t attempts;
    int64_t failures; /* attempts since the report, or since it was redelivered, that failed */
    int64_t due_ms;   /* the next attempt; while one is in flight, when it counts as lost */
    bool in_flight;   /* an attempt has begun and its outcome is not written yet */
    bool unanswered;  /* the outcome of some attempt is unknown */
    char last_error[CALLBACK_ERROR];
    char outcome[CALLBACK_OUTCOME + 1];
    char traceparent[CALLBACK_TRACEPARENT + 1];
    int64_t engine_heartbeat_s; /* Lambda's own heartbeat timeout; 0: none */
    int64_t beat_ms;            /* when Lambda is to get the next heartbeat; 0: never */
};

/* Who acts, as the token proves. Strings are borrowed. */
struct callback_holder {
    const char *callback_id;
    enum callback_by by;
    int64_t expires_s;
    const char *traceparent; /* NULL: none */
};

struct callback_registration {
    uint8_t sha[DIGEST_SHA256]; /* over the canonical content */
    const char *workflow;       /* "" where absent */
    const char *job;
    int64_t heartbeat_s;
    int64_t start_timeout_s;
    int64_t engine_heartbeat_s; /* 0: none */
    uint32_t turn;              /* registrations with the same period count from 0 to 1 to ... */
};

struct callback_report {
    enum callback_kind kind;
    enum callback_media media;
    uint8_t sha[DIGEST_SHA256]; /* over the body as it was sent */
};

/* Register, report, heartbeat and close make the record where there is none: the token proves that
 * the callback exists, and what a job says is not lost because a registration was. */
enum callback_verdict callback_register(struct callback *c, const struct callback_holder *who,
                                        const struct callback_registration *r, int64_t now_ms);
/* TAKEN: its payload is now the report. A repeat (same kind, media type and hash) is SAME, or OVER
 * once the report is dead; any other is OTHER. */
enum callback_verdict callback_report(struct callback *c, const struct callback_holder *who,
                                      const struct callback_report *r, int64_t now_ms);
/* DONE, also after the job's own report (its heartbeats may cross it); OVER once somebody else has
 * reported or nobody waits. */
enum callback_verdict callback_heartbeat(struct callback *c, const struct callback_holder *who,
                                         int64_t now_ms);
/* Always DONE. The outcome of the first close is kept. */
enum callback_verdict callback_close(struct callback *c, const struct callback_holder *who,
                                     const char *outcome, int64_t now_ms);
/* The holder reads: a job's request counts as contact. *changed says whether to write the record.
 */
enum callback_verdict callback_read(struct callback *c, const struct callback_holder *who,
                                    int64_t now_ms, bool *changed);

/* An attempt begins. False: there is nothing to deliver. An earlier attempt that is still in flight
 * counts as unanswered from then on. */
bool callback_claim(struct callback *c, int64_t now_ms, int64_t lease_ms);

enum callback_attempt_outcome {
    CALLBACK_ATTEMPT_OK,
    CALLBACK_ATTEMPT_GONE,    /* Lambda says: closed, or unknown */
    CALLBACK_ATTEMPT_REFUSED, /* it will never be taken */
    CALLBACK_ATTEMPT_RETRY,   /* not taken now */
    CALLBACK_ATTEMPT_LOST,    /* perhaps taken: no answer came */
    CALLBACK_ATTEMPT_UNCALLED /* none was made: as if it had not been claimed */
};

struct callback_attempt {
    enum callback_attempt_outcome outcome;
    const char *error; /* "" for OK and UNCALLED, which leaves the last one as it is */
    int64_t delay_ms;  /* until the next attempt, for RETRY and LOST */
};

/* The attempt ends. One that was not made does not count, and its report is due at once. OVER where
 * the callback was closed meanwhile, else DONE. A failed attempt past the callback's life makes it
 * dead. */
enum callback_verdict callback_finish(struct callback *c, const struct callback_attempt *a,
                                      int64_t now_ms);
/* Dead or unconfirmed becomes accepted and due; OTHER in other states, OVER when closed. */
enum callback_verdict callback_redeliver(struct callback *c, int64_t now_ms);

/* Where the job has been silent for too long: takes a failure report by the receiver (TAKEN) and
 * writes its ErrorObject to `body`; else DONE. */
enum callback_verdict callback_judge(struct callback *c, int64_t now_ms, struct buf *body);

/* Where a heartbeat to Lambda falls due until `until_ms`: *at_ms is when, and the next is a third
 * of its period later (those that were missed are left out). False: none. While the workflow waits,
 * that is until its report is delivered, heartbeats never end by themselves.
 *
 * Heartbeats of equal period are spread evenly, however many jobs are registered at once: a third
 * of the period has slots of a second, which the registrations take in turn. */
bool callback_beat(struct callback *c, int64_t until_ms, int64_t *at_ms);
/* Lambda says that nobody waits for heartbeats any more. Tells whether that changed the record. */
bool callback_unbeat(struct callback *c);

/* Nobody could hear the job until `from_ms`: its time to be silent begins anew. Tells whether that
 * changed the record. */
bool callback_grace(struct callback *c, int64_t from_ms);

/* "pending", ... */
const char *callback_state_name(enum callback_state s);

#endif
