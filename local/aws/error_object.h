/* error_object.h - ErrorObject, the shape in which errors travel: {"ErrorMessage","ErrorType",
 * "ErrorData","StackTrace":[]}, each optional. Pure; one thread at a time for each object. */
#ifndef LOCAL_AWS_ERROR_OBJECT_H
#define LOCAL_AWS_ERROR_OBJECT_H

#include <json-c/json.h>

#include "shared/base/error.h"

#define ERROR_OBJECT_MAX 32768 /* the text must be shorter */

/* The object's compact text with its known members alone, the caller's; NULL with ERR_INVALID where
 * a member has the wrong type (`at` is the object's JSON pointer) or the text is too long. */
char *error_object_text(struct json_object *o, const char *at, struct error *err) CHECKED;
/* A text of type and message; either may be NULL. The caller's. */
char *error_object_make(const char *type, const char *message) CHECKED;
/* The members of an ErrorObject's text in Lambda's way of answering a caller: {"errorMessage",
 * "errorType","stackTrace"}. `text` NULL is an empty error. The caller's. */
char *error_object_lambda(const char *text) CHECKED;
/* The other way round: what a function posted as its error; a text that is no such object gives its
 * type by `type` (may be NULL). The caller's. */
char *error_object_from_lambda(const char *text, size_t len, const char *type) CHECKED;

#endif
