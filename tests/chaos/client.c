#include "tests/chaos/client.h"

#include <stdlib.h>
#include <string.h>

#include "shared/aws/lambda_client.h"

#define PAGE 1000

void posted_init(struct posted *p, const struct job *job, const char *marks)
{
    *p = (struct posted){ .job = *job, .body = job_body(job, marks) };
}

void posted_release(struct posted *p)
{
    for (size_t i = 0; i < p->id_count; i++)
        free(p->ids[i]);
    free(p->ids);
    free(p->body);
    *p = (struct posted){ 0 };
}

/* 429 and 5xx say "later". */
static bool is_later(int status)
{
    return status == 429 || status >= 500;
}

int client_post(struct cast *c, struct posted *p, struct error *err)
{
    auto_answer struct api_answer a = { 0 };
    const struct http_header headers[] = { { "Content-Type", "application/json" },
                                           { "Idempotency-Key", p->job.key },
                                           { NULL, NULL } };
    struct error away = { 0 };
    if (c->down[CAST_LOCAL_AWS] ||
        api_send(c->api, "POST", "/workflows", headers, p->body, &a, &away) < 0 ||
        is_later(a.status))
        return 0;
    const char *id = json_get_str(a.json, "id");
    if (a.status != 202 || !id)
        return error_set(err, ERR_PROTOCOL, a.status, "POST %s (%s): %d %.400s", p->job.key,
                         job_kind_name(p->job.kind), a.status, a.text);
    p->ids = mem_resize(p->ids, p->id_count + 1, sizeof(*p->ids));
    p->ids[p->id_count++] = mem_dup(id);
    return 1;
}

int client_stop(struct cast *c, struct posted *p, struct error *err)
{
    auto_answer struct api_answer a = { 0 };
    struct error away = { 0 };
    if (p->id_count == 0)
        return 0;
    auto_free char *path = mem_printf("/workflows/%s", p->ids[0]);
    if (c->down[CAST_LOCAL_AWS] || api_send(c->api, "DELETE", path, NULL, NULL, &a, &away) < 0 ||
        is_later(a.status))
        return 0;
    if (a.status != 200 && a.status != 202)
        return error_set(err, ERR_PROTOCOL, a.status, "DELETE %s: %d %.400s", p->job.key, a.status,
                         a.text);
    p->stopped = true;
    return 1;
}

/* FUNCTION.VERSION.NAME.EXECUTION as the API makes it. */
static char *arn_of(const char *id)
{
    char function[80], version[32], name[80], execution[80];
    if (sscanf(id, "%79[^.].%31[^.].%79[^.].%79s", function, version, name, execution) != 4)
        return mem_dup("");
    return mem_printf(
        "arn:aws:lambda:us-east-1:123456789012:function:%s:%s/durable-execution/%s/%s", function,
        version, name, execution);
}

int client_history(struct cast *c, const char *id, struct json_object **out, struct error *err)
{
    auto_free char *arn = arn_of(id);
    auto_free char *marker = NULL;
    auto_json struct json_object *events = json_object_new_array();
    do {
        auto_json struct json_object *page = NULL;
        if (lambda_get_history(c->aws, arn, true, marker, PAGE, &page, err) < 0)
            return error_wrap(err, "history of %s", id);
        struct json_object *list = json_get_arr(page, "Events");
        for (size_t i = 0; list && i < json_object_array_length(list); i++)
            json_object_array_add(events, json_object_get(json_object_array_get_idx(list, i)));
        const char *next = json_get_str(page, "NextMarker");
        free(marker);
        marker = next && *next ? mem_dup(next) : NULL;
    } while (marker);
    *out = MOVE(events);
    return 0;
}

int client_collect(struct cast *c, const struct posted *p, int64_t limit_ms, FILE *out,
                   struct error *err)
{
    auto_json struct json_object *line = json_object_new_object();
    struct json_object *ids = json_object_new_array(), *end = NULL, *history = NULL;
    struct error late = { 0 };
    for (size_t i = 0; i < p->id_count; i++)
        json_object_array_add(ids, json_object_new_string(p->ids[i]));
    json_add_str(line, "key", p->job.key);
    json_add_str(line, "kind", job_kind_name(p->job.kind));
    json_add_int(line, "value", p->job.value);
    json_add_bool(line, "stopped", p->stopped);
    json_add(line, "ids", ids);
    if (p->id_count > 0) {
        if (api_wait(c->api, p->ids[0], limit_ms, &end, &late) == 0)
            json_add(line, "end", end);
        else
            json_add_str(line, "late", late.msg);
        if (client_history(c, p->ids[0], &history, err) < 0)
            return -1;
        json_add(line, "history", history);
    }
    if (fprintf(out, "%s\n", json_text(line, NULL)) < 0)
        return error_set(err, ERR_IO, 0, "cannot write what was collected");
    return 0;
}
