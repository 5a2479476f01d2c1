/* broker.h - the thread that makes calls for `callback-run progress` and its like inside the
 * command, which with --hide-token have no token of their own (wire.h).
 *
 * One call at a time, on a connection to the receiver of its own. Who asks decides about trying
 * again. Calls come from one thread, the owner's. */
#ifndef CONTAINER_BROKER_H
#define CONTAINER_BROKER_H

#include "shared/base/error.h"

struct broker;

/* Listens at `path`, where nothing may be yet. `url` and `token` are borrowed until broker_stop. */
struct broker *broker_start(const char *path, const char *url, const char *token,
                            struct error *err) CHECKED;
/* Gives up what is in flight, joins the thread and frees it; takes NULL. The socket's file stays.
 */
void broker_stop(struct broker *b);

#endif
