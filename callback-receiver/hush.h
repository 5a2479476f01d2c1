/* hush.h - error texts of others, before they are logged or kept: an engine may repeat the callback
 * id, which is a secret. Pure; any thread. */
#ifndef RECEIVER_HUSH_H
#define RECEIVER_HUSH_H

#include "shared/base/error.h"

/* The error's message, or where it has the callback id in it (or the front of it, as it is or as it
 * is in a URL), only the code's word. Borrowed. */
const char *hush(const struct error *err, const char *callback_id);

#endif
