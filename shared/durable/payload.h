/* payload.h - values as the text that is recorded, and back. Objects: one thread at a time. */
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

/* How a value is written, and whose it is. Zeroed it is JSON. */
struct codec {
    const struct durable_serdes *serdes; /* NULL: JSON */
    struct durable_payload_of of;
};

void payload_release(struct payload *p);
#define auto_payload __attribute__((cleanup(payload_release)))

/* Serialises `value`, borrowed. -1 with *err: of SERIALISATION_TYPE where JSON cannot hold it (NaN,
 * text that is not UTF-8, too deep), or what the serdes said. The JSON null has no text. */
int payload_write(struct json_object *value, const struct codec *codec, struct payload *p,
                  struct durable_error *err) DURABLE_CHECKED;
/* Reads a recorded text (NULL or empty: null) into *out, the caller's; `out` may be NULL. */
int payload_read(const char *text, size_t len, const struct codec *codec, struct json_object **out,
                 struct durable_error *err) DURABLE_CHECKED;
/* Both: serialises *value (the reference is consumed) and puts in its place what will be read back
 * from the text. */
int payload_round_trip(struct json_object **value, const struct codec *codec, struct payload *p,
                       struct durable_error *err) DURABLE_CHECKED;

#endif
