/* schema.h - the part of JSON Schema that docs/openapi.json uses. Pure. */
#ifndef TESTS_SCHEMA_H
#define TESTS_SCHEMA_H

#include "shared/base/buf.h"
#include "shared/base/json.h"

/* 0; or -1 with the place and what is wrong there in *err. `root` is the document that $ref points
 * into. */
int schema_check(struct json_object *root, struct json_object *schema, struct json_object *value,
                 struct error *err) CHECKED;
/* What "#/a/b" points to, or NULL. */
struct json_object *schema_resolve(struct json_object *root, const char *ref);

#endif
