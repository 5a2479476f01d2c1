/* input_read.h - for the input*.c files: the reader that they share, and where faults go. One
 * thread at a time. */
#ifndef LAUNCHER_INPUT_READ_H
#define LAUNCHER_INPUT_READ_H

#include "launcher/input.h"

#define INPUT_POINTER 256 /* bytes of a JSON pointer; a longer one is cut */

struct input_reader {
    struct input *in;
    const char *const *allowed; /* task definitions */
    struct json_object *faults; /* NULL: none yet */
};

/* RFC 6901: "/at/key", the key escaped. */
void input_pointer(char out[INPUT_POINTER], const char *at, const char *key);
/* Takes over what a json_field_ function said: "POINTER: detail". */
void input_field_fault(struct input_reader *r, const char *at, const char *key,
                       const struct error *err);
/* True where the member is there and good; a bad one is a fault. */
bool input_read_int(struct input_reader *r, struct json_object *o, const char *at, const char *key,
                    int64_t min, int64_t max, int64_t *out);
bool input_read_str(struct input_reader *r, struct json_object *o, const char *at, const char *key,
                    size_t max, const char **out);
/* Every member must be in `known`, which ends with NULL. */
void input_check_members(struct input_reader *r, struct json_object *o, const char *at,
                         const char *const *known);

/* The member "task" (input_task.c). */
void input_read_task(struct input_reader *r, struct json_object *doc);
/* "tasks", "maxConcurrency" and "toleratedFailures" of a batch (input_batch.c). */
void input_read_jobs(struct input_reader *r, struct json_object *doc);

#endif
