/* values.h - what several suites need: step bodies that give a value or fail, and values of the
 * handlers. A value that is returned is the caller's. */
#ifndef CONFORMANCE_VALUES_H
#define CONFORMANCE_VALUES_H

#include "shared/durable/durable.h"

/* Step bodies. `arg` is the JSON value to give, borrowed, or points to the text to give. */
durable_step_fn give_json, give_text;
/* Fails on every attempt; on the first one, and gives a text as give_text on the second. */
durable_step_fn fail_always, fail_once;
/* The body of a child context, a branch or an item: gives `in` back. */
durable_fn return_input;

/* The text of a JSON string, "" for any other value; borrowed. */
const char *text_of(struct json_object *value);
/* A member's; "" where there is none. */
const char *text_at(struct json_object *object, const char *key);
struct json_object *new_text(const char *text);
struct json_object *new_text_f(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct json_object *upper_case(const char *text);
/* `len` times the same character. */
struct json_object *new_filler(char ch, size_t len);
/* Waits, and then gives `value`, which it takes over. */
enum durable_rc wait_and_give(struct durable_ctx *ctx, int64_t seconds, struct json_object *value,
                              struct json_object **out, struct durable_error *err) DURABLE_CHECKED;

/* A string is recorded as it is, in upper case. */
extern const struct durable_serdes shouting;
/* One attempt, no retry. */
extern const struct durable_step_opts no_retry;
/* Retries after a second each; `attempts` in all. */
struct durable_retry every_second(unsigned attempts);

#endif
