/* opid.h - operation ids: pure functions of the position in the program. Any thread.
 *
 * The raw id is hierarchical: "1", "2", ... at the root, "2-1" for the first operation inside the
 * context "2". The wire id is the first 16 hexadecimal digits of its MD5, as AWS's JavaScript and
 * Go SDKs have it (durable-protocol 4.1): short, and free of the raw id's growth. */
#ifndef DURABLE_OPID_H
#define DURABLE_OPID_H

#include <stddef.h>
#include <stdint.h>

#define OPID_WIRE 17 /* with the NUL */

/* New string: operation `n` (from 1) of the context whose raw id is `prefix`, "" for the root. */
char *opid_raw(const char *prefix, uint64_t n);
void opid_wire(const char *raw, char out[OPID_WIRE]);
/* For tables by wire id. */
size_t opid_hash(const char *wire);

#endif
