/* envelope.h - the event of a durable invocation and its answer (durable-protocol 2.4, 2.5). Any
 * thread. */
#ifndef DURABLE_ENVELOPE_H
#define DURABLE_ENVELOPE_H

#include "shared/base/buf.h"
#include "shared/durable/durable.h"

#include "shared/base/error.h"

#define ENVELOPE_MAX        6291456 /* Lambda's limit for a response */
#define ENVELOPE_RESULT_MAX 6291406 /* the same without the envelope around an empty result */

/* Borrowed from the parsed event. */
struct envelope_event {
    const char *arn;
    const char *token;
    const struct json_object *operations; /* array, or NULL */
    const char *marker;                   /* of the next state page, or NULL */
};

/* -1 with a type and a message for /error where the event is not one of a durable execution. */
int envelope_read(const struct json_object *event, struct envelope_event *e,
                  struct error *err) CHECKED;

/* `result` NULL: none. */
void envelope_succeeded(struct buf *out, const char *result, size_t len);
void envelope_failed(struct buf *out, const struct durable_error *err);
void envelope_pending(struct buf *out);

#endif
