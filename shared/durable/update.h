/* update.h - one OperationUpdate of a checkpoint, as JSON text. Any thread. */
#ifndef DURABLE_UPDATE_H
#define DURABLE_UPDATE_H

#include "shared/durable/journal.h"

enum update_action {
    UPDATE_START,
    UPDATE_SUCCEED,
    UPDATE_FAIL,
    UPDATE_RETRY,
};

/* What an update says; NULL, 0 and false leave a member out. */
struct update_fields {
    const char *id;
    const char *parent_id;
    const char *name;
    const char *subtype;
    enum op_type type;
    enum update_action action;
    const char *payload; /* "" is sent */
    size_t payload_len;
    const struct durable_error *error;
    int64_t next_attempt_s;
    int64_t wait_s;
    int64_t timeout_s;
    int64_t heartbeat_timeout_s;
    bool replay_children;
    const char *function; /* of an invoke */
    const char *tenant_id;
};

struct update {
    struct update *next; /* the queue's */
    char *id;
    enum op_type type;
    enum update_action action;
    char *json;
    size_t len;
};

/* Everything is copied into the text. */
struct update *update_new(const struct update_fields *f);
void update_free(struct update *u);

#endif
