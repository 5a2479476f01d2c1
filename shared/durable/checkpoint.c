#include "shared/durable/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/base/digest.h"
#include "shared/base/json.h"

#define REQUEST_MAX   (80U << 20)
#define REQUEST_FIXED 100 /* what a request has besides token and updates */
#define STATE_PAGES   1000
#define STALE_TOKEN   "Invalid checkpoint token"
#define TOKEN_MAX     2048

struct checkpoint {
    char *arn;
    char *token; /* NULL: closed */
    struct journal *journal;
    const struct durable_edge *edge;
    struct update *head;
    struct update **tail;
    enum checkpoint_result failed;
    struct error why;
};

struct checkpoint *checkpoint_new(const char *arn, const char *token, struct journal *journal,
                                  const struct durable_edge *edge)
{
    struct checkpoint *c = mem_alloc(sizeof(*c));
    c->arn = mem_dup(arn);
    c->token = mem_dup(token);
    c->journal = journal;
    c->edge = edge;
    c->tail = &c->head;
    return c;
}

static struct update *pop(struct checkpoint *c)
{
    struct update *u = c->head;
    c->head = u->next;
    if (!c->head)
        c->tail = &c->head;
    return u;
}

static void drop_queue(struct checkpoint *c)
{
    while (c->head)
        update_free(pop(c));
}

void checkpoint_free(struct checkpoint *c)
{
    if (!c)
        return;
    drop_queue(c);
    free(c->arn);
    mem_free_secret(c->token);
    free(c);
}

bool checkpoint_closed(const struct checkpoint *c)
{
    return !c->token || c->failed;
}

void checkpoint_add(struct checkpoint *c, struct update *u)
{
    if (c->failed) {
        update_free(u);
        return;
    }
    *c->tail = u;
    c->tail = &u->next;
}

/* ---- failures -------------------------------------------------------------------------------- */

/* AWS writes "Invalid checkpoint token", some of its SDKs look for "Invalid Checkpoint Token". The
 * client may have put the call's name and a colon before it. */
static bool token_is_stale(const struct error *err)
{
    const char *at = strcasestr(err->msg, STALE_TOKEN);
    return at && (at == err->msg || at[-1] == ' ') &&
           strcmp(err->type, "InvalidParameterValueException") == 0;
}

static enum checkpoint_result class_of(const struct error *err)
{
    static const char *const kms[] = { "KMSAccessDeniedException", "KMSDisabledException",
                                       "KMSInvalidStateException", "KMSNotFoundException" };
    for (size_t i = 0; i < ARRAY_LEN(kms); i++)
        if (strcmp(err->type, kms[i]) == 0)
            return CHECKPOINT_EXECUTION;
    if (err->code == ERR_THROTTLED || token_is_stale(err))
        return CHECKPOINT_INVOCATION;
    if (err->detail >= 400 && err->detail < 500 && err->detail != 429)
        return CHECKPOINT_EXECUTION;
    return CHECKPOINT_INVOCATION;
}

static enum checkpoint_result fail(struct checkpoint *c, enum checkpoint_result as,
                                   const struct error *why, struct error *err)
{
    c->failed = as;
    c->why = *why;
    drop_queue(c);
    *err = c->why;
    return as;
}

/* ---- answers --------------------------------------------------------------------------------- */

static int take_token(struct checkpoint *c, const struct json_object *answer, struct error *err)
{
    const char *token = json_get_str(answer, "CheckpointToken");
    if (token && strlen(token) > TOKEN_MAX)
        return error_set(err, ERR_PROTOCOL, 0, "a checkpoint token of more than %d bytes",
                         TOKEN_MAX);
    mem_free_secret(c->token);
    c->token = token && token[0] ? mem_dup(token) : NULL;
    return 0;
}

/* Merges `state` ({Operations, NextMarker}) and hands out its marker, or NULL on the last page. */
static int take_state(struct checkpoint *c, const struct json_object *state, char **marker,
                      struct error *err)
{
    if (journal_merge(c->journal, json_get_arr(state, "Operations"), err) < 0)
        return -1;
    const char *next = json_get_str(state, "NextMarker");
    *marker = next && next[0] ? mem_dup(next) : NULL;
    return 0;
}

static int load_pages(struct checkpoint *c, const char *first, struct error *err)
{
    auto_free char *marker = mem_dup(first && first[0] ? first : NULL);
    for (unsigned pages = 0; marker && c->token; pages++) {
        if (pages == STATE_PAGES)
            return error_set(err, ERR_PROTOCOL, 0, "the state has more than %d pages", STATE_PAGES);
        auto_json struct json_object *page = NULL;
        if (c->edge->state(c->edge->arg, c->arn, c->token, marker, CHECKPOINT_PAGE, &page, err) < 0)
            return -1;
        char *next = NULL;
        if (take_state(c, page, &next, err) < 0)
            return -1;
        free(marker);
        marker = next;
    }
    return 0;
}

enum checkpoint_result checkpoint_load(struct checkpoint *c, const char *marker, struct error *err)
{
    struct error why = { 0 };
    if (load_pages(c, marker, &why) < 0)
        return fail(c, class_of(&why), &why, err);
    return CHECKPOINT_OK;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* An id may be twice in a request only as START and end of a step or a context. */
static bool may_join(const struct update *first, size_t count, const struct update *u)
{
    const struct update *same = NULL;
    const struct update *in = first;
    for (size_t i = 0; i < count; i++, in = in->next) {
        if (in->type == OP_EXECUTION)
            return false; /* it is the last of its request */
        if (strcmp(in->id, u->id) != 0)
            continue;
        if (same)
            return false;
        same = in;
    }
    if (!same)
        return true;
    return (u->type == OP_STEP || u->type == OP_CONTEXT) && same->action == UPDATE_START &&
           u->action != UPDATE_START;
}

/* How many updates the next request takes. */
static size_t next_batch(const struct checkpoint *c)
{
    size_t bytes = strlen(c->token) + REQUEST_FIXED;
    size_t count = 0;
    for (const struct update *u = c->head; u; u = u->next, count++) {
        bytes += u->len + 1;
        if (count == CHECKPOINT_UPDATES)
            break;
        if (count && (bytes > CHECKPOINT_BYTES || !may_join(c->head, count, u)))
            break;
    }
    return count;
}

static void write_request(const struct checkpoint *c, size_t count, struct buf *body)
{
    char client_token[RANDOM_UUID];
    random_uuid(client_token);
    buf_add_str(body, "{\"CheckpointToken\":");
    buf_add_json_str(body, c->token);
    buf_add_str(body, ",\"Updates\":[");
    const struct update *u = c->head;
    for (size_t i = 0; i < count; i++, u = u->next) {
        if (i)
            buf_add_char(body, ',');
        buf_add(body, u->json, u->len);
    }
    buf_printf(body, "],\"ClientToken\":\"%s\"}", client_token);
}

/* One request. The updates leave the queue only when they are accepted. */
static int send_batch(struct checkpoint *c, struct error *err)
{
    auto_buf struct buf body = BUF_INIT(REQUEST_MAX);
    auto_json struct json_object *answer = NULL;
    auto_free char *marker = NULL;
    size_t count = next_batch(c);

    write_request(c, count, &body);
    if (buf_overflowed(&body))
        return error_set(err, ERR_TOO_LARGE, 0, "a checkpoint of more than %u bytes", REQUEST_MAX);
    if (c->edge->checkpoint(c->edge->arg, c->arn, buf_str(&body), body.len, &answer, err) < 0)
        return -1;
    if (!json_object_is_type(answer, json_type_object))
        return error_set(err, ERR_PROTOCOL, 0, "the answer to a checkpoint is not an object");
    while (count-- > 0)
        update_free(pop(c));
    if (take_token(c, answer, err) < 0 ||
        take_state(c, json_get_obj(answer, "NewExecutionState"), &marker, err) < 0)
        return -1;
    return load_pages(c, marker, err);
}

enum checkpoint_result checkpoint_flush(struct checkpoint *c, struct error *err)
{
    if (c->failed) {
        *err = c->why;
        return c->failed;
    }
    while (c->head) {
        struct error why = { 0 };
        if (!c->token) {
            drop_queue(c);
            return CHECKPOINT_CLOSED;
        }
        if (send_batch(c, &why) < 0)
            return fail(c, class_of(&why), &why, err);
    }
    return CHECKPOINT_OK;
}
