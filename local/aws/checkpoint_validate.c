#include "local/aws/checkpoint_validate.h"

#include <stdio.h>
#include <string.h>

static int refuse(struct error *err, const char *text)
{
    error_set(err, ERR_INVALID, 0, "%s", text);
    error_set_type(err, "InvalidParameterValueException");
    return -1;
}

/* ---- what an update says by itself ------------------------------------------------------------
 */

static int check_size(const struct update *u, struct error *err)
{
    char text[128];
    bool chained = u->type == OP_CHAINED_INVOKE;
    size_t max = chained ? CHAINED_PAYLOAD_MAX : PAYLOAD_MAX;
    if (u->type == OP_EXECUTION || u->payload_len <= max) /* its limit is the request's */
        return 0;
    snprintf(text, sizeof(text), "%s%s payload size must be less than or equal to %zu bytes.",
             operation_type_name(u->type), chained ? " input" : "", max);
    return refuse(err, text);
}

static int check_content(const struct update *u, struct error *err)
{
    if (u->action == ACTION_SUCCEED && u->error)
        return refuse(err, "Cannot provide an Error for SUCCEED action.");
    if (u->action == ACTION_FAIL && u->payload)
        return refuse(err, "Cannot provide a Payload for FAIL action.");
    if (u->action == ACTION_RETRY && u->payload && u->error)
        return refuse(err, "Cannot provide both error and payload to RETRY a STEP.");
    return check_size(u, err);
}

static int check_options(const struct update *u, struct error *err)
{
    if (u->type == OP_STEP && (u->action == ACTION_RETRY ? u->delay_s == 0 : u->has_step_options))
        return refuse(err, "Invalid StepOptions for the given action.");
    if (u->type == OP_WAIT && u->action == ACTION_START && u->wait_s == 0)
        return refuse(err, "Update for WAIT operation requires WaitOptions.");
    if (u->type == OP_CHAINED_INVOKE && u->action == ACTION_START && !u->function_name)
        return refuse(err, "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.");
    return 0;
}

static bool action_fits(const struct update *u)
{
    switch (u->type) {
    case OP_STEP:
        return u->action != ACTION_CANCEL;
    case OP_CONTEXT:
        return u->action == ACTION_START || u->action == ACTION_SUCCEED || u->action == ACTION_FAIL;
    case OP_WAIT:
        return u->action == ACTION_START || u->action == ACTION_CANCEL;
    case OP_CALLBACK:
    case OP_CHAINED_INVOKE:
        return u->action == ACTION_START;
    case OP_EXECUTION:
        return u->action == ACTION_SUCCEED || u->action == ACTION_FAIL;
    }
    return false;
}

/* ---- what it says of the operation that is there ----------------------------------------------
 */

/* The record, or what an earlier update of the batch makes of it. */
struct current {
    bool exists;
    enum operation_type type;
    enum operation_status status;
    const char *name, *sub_type, *parent_id;
};

static struct current current_of(const struct execution *e, const struct map *batch,
                                 const struct update *u)
{
    const struct update *earlier = map_get(batch, u->id); /* a START: check_twice has seen to it */
    const struct operation *op = execution_find(e, u->id);
    if (op)
        return (struct current){ .exists = true,
                                 .type = op->type,
                                 .status = earlier ? OP_STARTED : op->status,
                                 .name = op->name,
                                 .sub_type = op->sub_type,
                                 .parent_id = op->parent ? op->parent->id : NULL };
    if (!earlier)
        return (struct current){ 0 };
    return (struct current){ .exists = true,
                             .type = earlier->type,
                             .status = OP_STARTED,
                             .name = earlier->name,
                             .sub_type = earlier->sub_type,
                             .parent_id = earlier->parent_id };
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int check_consistent(const struct current *c, const struct update *u, struct error *err)
{
    if (!c->exists)
        return 0;
    if (c->type != u->type)
        return refuse(err, "Inconsistent operation type.");
    if (u->sub_type && !same(c->sub_type, u->sub_type))
        return refuse(err, "Inconsistent operation subtype.");
    if (u->name && !same(c->name, u->name))
        return refuse(err, "Inconsistent operation name.");
    if (!same(c->parent_id, u->parent_id))
        return refuse(err, "Inconsistent parent operation id.");
    return 0;
}

static int check_step(const struct current *c, const struct update *u, struct error *err)
{
    bool startable = !c->exists || c->status == OP_READY;
    bool endable = startable || c->status == OP_STARTED;
    if (u->action == ACTION_START)
        return startable ? 0 : refuse(err, "Invalid current STEP state to start.");
    if (u->action == ACTION_RETRY)
        return endable ? 0 : refuse(err, "Invalid current STEP state to re-attempt.");
    return endable ? 0 : refuse(err, "Invalid current STEP state to close.");
}

static int check_state(const struct current *c, const struct update *u, struct error *err)
{
    bool open = c->exists && c->status == OP_STARTED;
    switch (u->type) {
    case OP_STEP:
        return check_step(c, u, err);
    case OP_CONTEXT:
        if (u->action == ACTION_START)
            return c->exists ? refuse(err, "Cannot start a CONTEXT that already exist.") : 0;
        return open ? 0 : refuse(err, "Invalid current CONTEXT state to close.");
    case OP_WAIT:
        if (u->action == ACTION_START)
            return c->exists ? refuse(err, "Cannot start a WAIT that already exist.") : 0;
        return open ? 0
                    : refuse(err, "Cannot cancel a WAIT that does not exist or has already "
                                  "completed.");
    case OP_CALLBACK:
        return c->exists ? refuse(err, "Cannot start a CALLBACK that already exist.") : 0;
    case OP_CHAINED_INVOKE:
        return c->exists ? refuse(err, "Cannot start a CHAINED_INVOKE that already exist.") : 0;
    case OP_EXECUTION:
        break;
    }
    return 0;
}

/* Only names that can be of this account and region: whether there is such a function is seen when
 * it is invoked. */
static int check_target(const struct execution *e, const struct update *u, struct error *err)
{
    struct function_name n;
    struct execution_arn own;
    if (function_name_parse(u->function_name, NULL, &n, err) < 0 ||
        execution_arn_parse(e->arn, &own, err) < 0) {
        error_set_type(err, "InvalidParameterValueException");
        return -1;
    }
    if (n.account[0] && strcmp(n.account, own.account) != 0)
        return refuse(err, "Cannot start a CHAINED_INVOKE on a function in another account.");
    if (n.region[0] && strcmp(n.region, own.region) != 0)
        return refuse(err, "Cannot start a CHAINED_INVOKE on a function in another region.");
    return 0;
}

/* ---- across the batch --------------------------------------------------------------------------
 */

static int check_parent(const struct execution *e, const struct map *batch, const struct update *u,
                        struct error *err)
{
    if (!u->parent_id)
        return 0;
    const struct update *earlier = map_get(batch, u->parent_id);
    const struct operation *op = execution_find(e, u->parent_id);
    bool found = (earlier && earlier->type == OP_CONTEXT) || (op && op->type == OP_CONTEXT);
    return found ? 0 : refuse(err, "Invalid parent operation id.");
}

static int check_twice(const struct map *batch, const struct update *u, struct error *err)
{
    const struct update *earlier = map_get(batch, u->id);
    if (!earlier)
        return 0;
    bool ends = u->action == ACTION_SUCCEED || u->action == ACTION_FAIL ||
                (u->type == OP_STEP && u->action == ACTION_RETRY);
    bool pair = earlier->action == ACTION_START && earlier->type == u->type && ends &&
                (u->type == OP_STEP || u->type == OP_CONTEXT);
    return pair ? 0 : refuse(err, "Cannot update the same operation twice in a single request.");
}

static int check_execution_updates(const struct update_list *l, struct error *err)
{
    size_t found = 0;
    for (size_t i = 0; i < l->count; i++)
        found += l->items[i].type == OP_EXECUTION;
    if (found > 1)
        return refuse(err, "Cannot checkpoint multiple EXECUTION updates.");
    if (found == 1 && l->items[l->count - 1].type != OP_EXECUTION)
        return refuse(err, "EXECUTION checkpoint must be the last update.");
    return 0;
}

static int check_update(const struct execution *e, const struct map *batch, const struct update *u,
                        struct error *err)
{
    if (!action_fits(u))
        return refuse(err, u->type == OP_EXECUTION
                               ? "Invalid EXECUTION action."
                               : "Invalid action for the given operation type.");
    if (check_content(u, err) < 0)
        return -1;
    if (u->type == OP_EXECUTION)
        return 0;
    if (strcmp(u->id, e->id) == 0)
        return refuse(err, "Inconsistent operation type.");
    if (check_twice(batch, u, err) < 0 || check_parent(e, batch, u, err) < 0 ||
        check_options(u, err) < 0)
        return -1;
    const struct current c = current_of(e, batch, u);
    if (check_consistent(&c, u, err) < 0 || check_state(&c, u, err) < 0)
        return -1;
    return u->function_name ? check_target(e, u, err) : 0;
}

/* An operation that is new, and each retry of one. */
static size_t metered(const struct execution *e, const struct map *batch, const struct update *u)
{
    bool is_new = u->type != OP_EXECUTION && !execution_find(e, u->id) && !map_get(batch, u->id);
    return (size_t)is_new + (u->action == ACTION_RETRY);
}

int checkpoint_validate(const struct execution *e, const struct update_list *l, struct error *err)
{
    if (l->count > CHECKPOINT_UPDATES)
        return refuse(err, "Cannot checkpoint more than 250 updates in a single request.");
    if (check_execution_updates(l, err) < 0)
        return -1;
    struct map batch = { 0 }; /* the latest update of each id */
    size_t cost = e->metered;
    int rc = 0;
    for (size_t i = 0; i < l->count && rc == 0; i++) {
        rc = check_update(e, &batch, &l->items[i], err);
        cost += metered(e, &batch, &l->items[i]);
        map_put(&batch, l->items[i].id, &l->items[i]);
    }
    map_release(&batch);
    if (rc < 0)
        return -1;
    if (cost > EXECUTION_OPERATIONS)
        return refuse(err, "A durable execution may have at most 3000 operations.");
    if (e->written + update_list_bytes(l) > EXECUTION_BYTES)
        return refuse(err, "A durable execution may persist at most 100 MB.");
    return 0;
}
