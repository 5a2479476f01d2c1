/* view.h - a callback as JSON, for the API and for operations. Any thread. */
#ifndef RECEIVER_VIEW_H
#define RECEIVER_VIEW_H

#include "callback-receiver/store.h"
#include "shared/base/json.h"

/* The answer of GET /v1/callbacks/{id}; `progress` and `body` are JSON texts or NULL. With a body
 * the report is in it, as Lambda gets it: JSON, whatever media type it was sent with. */
struct json_object *view_callback(const struct callback *c, const struct store_text *progress,
                                  const struct store_text *body) CHECKED;

#endif
