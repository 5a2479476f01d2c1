/* error.h - a durable_error as the ErrorObject of the wire, and how the SDK wraps it. Any thread.
 */
#ifndef DURABLE_ERROR_H
#define DURABLE_ERROR_H

#include "shared/base/buf.h"
#include "shared/base/error.h"
#include "shared/durable/durable.h"

/* The service refuses an error object of 32,768 bytes or more. */
#define ERROR_OBJECT_MAX 32767

/* Appends the ErrorObject's JSON, at most ERROR_OBJECT_MAX bytes: frames of the stack are left out
 * first, then the data is cut, then the message. Without a type it is "Error". */
void error_object_write(struct buf *out, const struct durable_error *err);
/* Replaces *err by what `o` says; members that are absent or of another type stay NULL. A frame
 * "Caused by: TYPE" that the stack begins with is the cause_type. `o` may be NULL. */
void error_object_read(struct durable_error *err, const struct json_object *o);
/* The error as a later invocation will read it: written and read back. */
void error_round_trip(struct durable_error *err);
/* `err` as the cause of an error `type`: its type becomes the cause_type, message, data and stack
 * stay; without a message it is `fallback`. */
void error_wrap_as(struct durable_error *err, const char *type, const char *fallback);
/* The cause_type as a frame of the stack, "Caused by: TYPE": so it is recorded too, and
 * error_object_read finds it again. */
void error_cause_to_stack(struct durable_error *err);
/* What a function of ours said, as an error `type`. */
void error_from(struct durable_error *to, const char *type, const struct error *from);

#endif
