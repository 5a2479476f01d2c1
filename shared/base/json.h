/* json.h - json-c with limits, strictness and errors that name the place.
 *
 * A json_object belongs to one thread: reference counts are not atomic, and even printing writes
 * into the object. Between threads go texts. One thread at a time for each object. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/error.h"

#define JSON_DEPTH 64 /* the usual depth limit */

void json_put_ptr(struct json_object **o);
/* An owned reference that is dropped when its scope ends. */
#define auto_json __attribute__((cleanup(json_put_ptr)))

/* Parses one JSON value (RFC 8259: UTF-8, nothing behind it, no comments) nested at most `depth`
 * deep. 0 and *out (NULL for the JSON null), the caller's; or -1 with ERR_INVALID. The size is the
 * caller's to limit first. */
int json_parse(const char *text, size_t len, int depth, struct json_object **out,
               struct error *err) CHECKED;
int json_parse_str(const char *text, struct json_object **out, struct error *err) CHECKED;
/* Compact text without escaped slashes; lives in the object until it changes or dies. */
const char *json_text(struct json_object *o, size_t *len);
/* Compact text with the members of each object sorted by name (bytewise): equal content, equal
 * text. */
void json_canonical(struct buf *out, struct json_object *o);
/* "/key" with the escapes of RFC 6901: one step of a JSON pointer. */
void json_pointer_add(struct buf *out, const char *key);
/* A new string object from bytes; json_new_str takes NULL for the JSON null. */
struct json_object *json_new_str(const char *s) CHECKED;
struct json_object *json_new_str_len(const char *s, size_t len) CHECKED;
/* Appends to an array; takes `v` over. */
void json_push(struct json_object *list, struct json_object *v);
/* Adds only where `s` is not NULL. */
void json_add_str(struct json_object *o, const char *key, const char *s);
void json_add_int(struct json_object *o, const char *key, int64_t v);
void json_add_bool(struct json_object *o, const char *key, bool v);
/* Consumes `v`. */
void json_add(struct json_object *o, const char *key, struct json_object *v);

/* Lenient reads for what other services answer: a member that is absent, null or of another type
 * gives NULL, or the default. Borrowed from `o`, which may be NULL. */
struct json_object *json_get(const struct json_object *o, const char *key);
const char *json_get_str(const struct json_object *o, const char *key);
int64_t json_get_int(const struct json_object *o, const char *key, int64_t otherwise);
double json_get_double(const struct json_object *o, const char *key, double otherwise);
bool json_get_bool(const struct json_object *o, const char *key, bool otherwise);
struct json_object *json_get_obj(const struct json_object *o, const char *key);
struct json_object *json_get_arr(const struct json_object *o, const char *key);

/* Strict reads for what clients send. 1: present, *out set. 0: absent or null, *out untouched. -1:
 * of the wrong type or out of range, *err is ERR_INVALID and its message begins with the JSON
 * pointer (RFC 6901) of the member: `at` is the pointer of `o`, "" for the root. Strings are
 * borrowed, at most `max` bytes long, without NUL. */
int json_field_str(struct json_object *o, const char *at, const char *key, size_t max,
                   const char **out, struct error *err) CHECKED;
int json_field_int(struct json_object *o, const char *at, const char *key, int64_t min, int64_t max,
                   int64_t *out, struct error *err) CHECKED;
int json_field_double(struct json_object *o, const char *at, const char *key, double min,
                      double max, double *out, struct error *err) CHECKED;
int json_field_bool(struct json_object *o, const char *at, const char *key, bool *out,
                    struct error *err) CHECKED;
int json_field_obj(struct json_object *o, const char *at, const char *key, struct json_object **out,
                   struct error *err) CHECKED;
int json_field_arr(struct json_object *o, const char *at, const char *key, size_t max_items,
                   struct json_object **out, struct error *err) CHECKED;
/* -1 where `o` has a member that `known` (ended by NULL) does not name. */
int json_field_known(struct json_object *o, const char *at, const char *const *known,
                     struct error *err) CHECKED;

#endif
