/* report.h - bodies that clients send, checked and turned into what is stored.
 *
 * Each function returns 0, or -1 with *err: ERR_INVALID (400), ERR_TOO_LARGE (413), or ERR_INVALID
 * with type REPORT_MEDIA where the media type is not taken (415). Pure; any thread. */
#ifndef RECEIVER_REPORT_H
#define RECEIVER_REPORT_H

#include "callback-receiver/callback.h"
#include "shared/base/error.h"

#define REPORT_MEDIA        "unsupported_media_type"
#define REPORT_RESULT_MAX   240000      /* bytes of JSON text as Lambda gets it */
#define REPORT_ERROR_MAX    (24U << 10) /* bytes of the ErrorObject */
#define REPORT_INPUT_MAX    (1U << 20)  /* bytes of JSON text */
#define REPORT_BODY_MAX     (REPORT_INPUT_MAX + (64U << 10)) /* bytes of any request */
#define REPORT_PROGRESS_MAX (16U << 10)                      /* bytes of a heartbeat */
#define REPORT_MESSAGE_MAX  1024                             /* bytes of its message */
#define REPORT_BEAT_MIN_S   3 /* of engineHeartbeatSeconds: a call a second */

struct report_body {
    const char *type; /* Content-Type, or NULL */
    const char *text;
    size_t len;
};

/* *out is the JSON text to deliver: JSON (also under curl's application/x-www-form-urlencoded, or
 * under no type) byte for byte, text/plain as a JSON string. */
int report_success(const struct report_body *body, struct callback_report *r, char **out,
                   size_t *out_len, struct error *err) CHECKED;
/* *out is the text of Lambda's ErrorObject. */
int report_failure(const struct report_body *body, struct callback_report *r, char **out,
                   size_t *out_len, struct error *err) CHECKED;
/* *out is the progress as JSON text with the time it was told, or NULL for a heartbeat without one.
 */
int report_heartbeat(const struct report_body *body, int64_t now_ms, char **out, size_t *out_len,
                     struct error *err) CHECKED;

struct report_registration {
    struct callback_registration r; /* its strings are in here */
    char workflow[CALLBACK_NAME + 1];
    char job[CALLBACK_NAME + 1];
    char *input; /* JSON text, "null" where absent; the caller's */
    size_t input_len;
};

int report_registration(const struct report_body *body, struct report_registration *out,
                        struct error *err) CHECKED;
/* The body of DELETE: nothing, or {"outcome":...}. */
int report_outcome(const struct report_body *body, char out[CALLBACK_OUTCOME + 1],
                   struct error *err) CHECKED;
/* A traceparent of version 00 with ids that are not all zero (W3C Trace Context 3.2). */
bool report_traceparent(const char *s);

#endif
