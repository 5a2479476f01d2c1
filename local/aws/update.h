/* update.h - OperationUpdate, one entry of a checkpoint (durable-protocol section 3.2), read from
 * JSON: types and patterns are checked here, what depends on the execution in
 * checkpoint_validate.h. Pure; one thread at a time for each list. */
#ifndef LOCAL_AWS_UPDATE_H
#define LOCAL_AWS_UPDATE_H

#include <json-c/json.h>

#include "local/aws/operation.h"
#include "shared/base/error.h"

enum update_action {
    ACTION_START,
    ACTION_SUCCEED,
    ACTION_FAIL,
    ACTION_RETRY,
    ACTION_CANCEL,
};

struct update {
    const char *id; /* strings are borrowed from the JSON; NULL where absent */
    enum operation_type type;
    enum update_action action;
    const char *parent_id, *name, *sub_type;
    const char *payload;
    size_t payload_len;
    char *error; /* ErrorObject text, owned */
    bool replay_children;
    bool has_step_options, has_wait_options, has_chained_options;
    int64_t delay_s; /* 0: absent, as the next three */
    int64_t wait_s;
    int64_t timeout_s, heartbeat_s;
    const char *function_name; /* ChainedInvokeOptions, as the next; NULL: absent */
    const char *tenant;
};

struct update_list {
    struct update *items;
    size_t count;
};

/* The request's Updates (NULL: none) into *out, which the caller releases in any case and which
 * borrows from `updates`. -1: err->type is the service's code. */
int update_list_parse(struct json_object *updates, struct update_list *out,
                      struct error *err) CHECKED;
/* Of all payloads and errors. */
size_t update_list_bytes(const struct update_list *l);
void update_list_release(struct update_list *l);
#define auto_updates __attribute__((cleanup(update_list_release)))

#endif
