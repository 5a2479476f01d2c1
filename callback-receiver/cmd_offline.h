/* cmd_offline.h - what a store holds, read without a receiver: for when none runs. One thread. */
#ifndef RECEIVER_CMD_OFFLINE_H
#define RECEIVER_CMD_OFFLINE_H

#include <json-c/json.h>

#include "shared/base/error.h"

/* A page as the operations port gives it. */
typedef void cmd_page_fn(const struct json_object *page, void *arg, bool *enough);

/* Lists the callbacks of `states` (bits 1 << enum callback_state) of the store at `url`. -1: there
 * is no such store, a receiver has it open (SQLite), or it cannot be read. */
int cmd_offline_list(const char *url, unsigned states, cmd_page_fn *page, void *arg,
                     struct error *err) CHECKED;

#endif
