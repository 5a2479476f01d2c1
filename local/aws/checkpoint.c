#include "local/aws/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/aws/checkpoint_apply.h"
#include "local/aws/checkpoint_validate.h"
#include "local/aws/lambda_errors.h"
#include "local/aws/lane.h"
#include "local/aws/state.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"

#define MAX_ANSWER  (64U << 20)
#define REQUEST_MAX 819200 /* the SDKs split at 768,000 bytes of updates */

static bool equal(const char *a, const char *b)
{
    size_t len = strlen(a);
    return len == strlen(b) && digest_equal(a, b, len);
}

/* The execution whose running invocation holds `token`, or NULL after an answer. An ended
 * invocation, an unknown execution and a wrong token are one case: the caller's time is over. */
static struct execution *find_by_token(struct lambda *l, struct aws_request *r, const char *token)
{
    struct execution_arn arn;
    struct error err;
    if (execution_arn_parse(r->segments[2], &arn, &err) < 0) {
        lambda_refuse_arn(r);
        return NULL;
    }
    struct execution *e = map_get(&l->running, arn.id);
    if (!e || e->status != EX_RUNNING || !e->token[0] || strcmp(e->arn, r->segments[2]) != 0 ||
        !equal(e->token, token)) {
        aws_error(r, 400, "InvalidParameterValueException", "Invalid checkpoint token");
        return NULL;
    }
    return e;
}

/* ---- GetDurableExecutionState ------------------------------------------------------------------
 */

void checkpoint_state_run(struct lambda *l, struct aws_request *r)
{
    auto_free char *token = httpd_query_get(r->http, "CheckpointToken");
    auto_free char *marker = httpd_query_get(r->http, "Marker");
    int64_t from = 0, max_items;
    if (!token || !name_is_base64(token, 2048)) {
        aws_error(r, 400, "ValidationException", "CheckpointToken is missing or malformed");
        return;
    }
    if (!lambda_read_max_items(r, &max_items))
        return;
    struct execution *e = find_by_token(l, r, token);
    if (!e)
        return;
    if (marker && *marker && opts_int(marker, 0, (int64_t)e->op_count, &from) < 0) {
        aws_error(r, 400, "InvalidParameterValueException", "Invalid marker");
        return;
    }
    auto_buf struct buf b = BUF_INIT(MAX_ANSWER);
    buf_add_str(&b, "{\"Operations\":");
    uint32_t next = state_write_page(&b, e, (uint32_t)from, (size_t)max_items, TIME_SECONDS);
    if (next)
        buf_printf(&b, ",\"NextMarker\":\"%u\"", next);
    buf_add_char(&b, '}');
    aws_reply(r, 200, "application/json", b.data, b.len, NULL);
}

/* ---- CheckpointDurableExecution ----------------------------------------------------------------
 */

struct checkpoint {
    struct json_object *root; /* the strings below are borrowed from it */
    const char *token;
    const char *client_token; /* or NULL */
    struct update_list updates;
};

static void checkpoint_release(struct checkpoint *c)
{
    update_list_release(&c->updates);
    json_put_ptr(&c->root);
}

static int read_request(struct checkpoint *c, const struct aws_request *r, struct error *err)
{
    struct json_object *updates = NULL;
    if (json_parse(r->body, r->body_len, JSON_DEPTH, &c->root, err) < 0 ||
        (!json_object_is_type(c->root, json_type_object) &&
         error_set(err, ERR_INVALID, 0, "must be a JSON object") < 0) ||
        json_field_str(c->root, "", "CheckpointToken", 4096, &c->token, err) < 0 ||
        json_field_str(c->root, "", "ClientToken", 4096, &c->client_token, err) < 0 ||
        json_field_arr(c->root, "", "Updates", SIZE_MAX, &updates, err) < 0) {
        error_set_type(err, "SerializationException");
        return -1;
    }
    if (!c->token || !name_is_base64(c->token, 2048) ||
        (c->client_token && !name_is_visible(c->client_token, 64))) {
        error_set(err, ERR_INVALID, 0, "CheckpointToken or ClientToken is missing or malformed");
        error_set_type(err, "ValidationException");
        return -1;
    }
    if (update_list_parse(updates, &c->updates, err) < 0)
        return -1;
    if (c->updates.count <= 1 || r->body_len <= REQUEST_MAX)
        return 0;
    error_set(err, ERR_INVALID, 0, "A request of several updates must have at most %d bytes.",
              REQUEST_MAX);
    error_set_type(err, "InvalidParameterValueException");
    return -1;
}

/* The latest checkpoint once more, from a client that did not get its answer. */
static bool is_replay(const struct execution *e, const struct checkpoint *c)
{
    return e && e->replay.answer && c->client_token &&
           strcmp(e->replay.client_token, c->client_token) == 0 && equal(e->replay.token, c->token);
}

static void answer(struct aws_request *r, const struct execution *e)
{
    aws_reply(r, 200, "application/json", e->replay.answer, e->replay.answer_len, NULL);
}

static void remember(struct execution *e, const struct checkpoint *c, struct buf *b)
{
    struct checkpoint_replay *replay = &e->replay;
    free(replay->answer);
    replay->answer = buf_take(b, &replay->answer_len);
    snprintf(replay->token, sizeof(replay->token), "%s", c->token);
    snprintf(replay->client_token, sizeof(replay->client_token), "%s",
             c->client_token ? c->client_token : "");
}

static void apply(struct lambda *l, struct execution *e, const struct checkpoint *c)
{
    auto_buf struct buf b = BUF_INIT(MAX_ANSWER);
    int64_t now = lambda_now_ms(l);
    store_begin(l->local->store);
    checkpoint_apply(l, e, &c->updates, now);
    lane_set_timer(l, e);
    store_commit(l->local->store);
    buf_add_char(&b, '{');
    if (e->status == EX_RUNNING) {
        checkpoint_token_make(e->token);
        buf_printf(&b, "\"CheckpointToken\":\"%s\",", e->token);
    }
    buf_add_str(&b, "\"NewExecutionState\":{\"Operations\":");
    state_write_unseen(&b, e);
    buf_add_str(&b, "}}");
    execution_seen(e);
    remember(e, c, &b);
}

/* What is due is applied first, so that a batch is judged by the state of now. */
static void apply_due(struct lambda *l, struct execution *e)
{
    store_begin(l->local->store);
    if (lane_apply_due(l, e, lambda_now_ms(l)))
        lane_set_timer(l, e);
    store_commit(l->local->store);
}

void checkpoint_run(struct lambda *l, struct aws_request *r)
{
    struct checkpoint c = { 0 };
    struct error err;
    struct execution_arn arn;
    if (execution_arn_parse(r->segments[2], &arn, &err) < 0) {
        lambda_refuse_arn(r);
        return;
    }
    if (read_request(&c, r, &err) < 0) {
        lambda_refuse(r, &err);
        checkpoint_release(&c);
        return;
    }
    struct execution *e = map_get(&l->running, arn.id);
    if (is_replay(e, &c) && strcmp(e->arn, r->segments[2]) == 0) {
        answer(r, e);
    } else if ((e = find_by_token(l, r, c.token))) {
        apply_due(l, e);
        if (checkpoint_validate(e, &c.updates, &err) < 0) {
            lambda_refuse(r, &err);
        } else {
            apply(l, e, &c);
            answer(r, e);
        }
    }
    checkpoint_release(&c);
}
