/* payload.h - values as the JSON text that is recorded. Objects: one thread at a time. */
#ifndef DURABLE_PAYLOAD_H
#define DURABLE_PAYLOAD_H

#include "shared/durable/journal.h"

#define PAYLOAD_MAX        262144 /* bytes of one operation's result */
#define SERIALISATION_TYPE "SerdesError"
#define TOO_LARGE_TYPE     "PayloadTooLargeError"

struct payload {
    char *text; /* NULL: no payload, which reads as null */
    size_t len;
};

void payload_release(struct payload *p);
#define auto_payload __attribute__((cleanup(payload_release)))

/* Serialises *value (the reference is consumed) and puts in its place what will be read back from
 * the text. -1 with *err of SERIALISATION_TYPE where it cannot be read back: NaN, text that is not
 * UTF-8, too deep. */
int payload_encode(struct json_object **value, struct payload *p,
                   struct durable_error *err) DURABLE_CHECKED;
/* Reads a recorded text (NULL or empty: null) into *out, the caller's; `out` may be NULL. */
int payload_decode(const char *text, size_t len, struct json_object **out,
                   struct durable_error *err) DURABLE_CHECKED;

#endif
