#include "launcher/batch_result.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/utf8.h"

#define MESSAGE_MAX 200 /* bytes of an error's message */
#define TYPE_MAX    100
#define ENVELOPE    100 /* the document around the jobs, and a comma for each counted apart */
#define SIZE_MEMBER 24  /* ,"resultBytes":262144 */

/* A job's entry, and what it says only where there is room: `value` as `member` of `target`. */
struct entry {
    struct json_object *doc;
    struct json_object *target; /* `doc` or its error */
    const char *member;         /* NULL: there is nothing */
    struct json_object *value;
    size_t len; /* of the value's text */
    bool failed;
};

struct batch_result {
    struct entry *entries;
    size_t count;
    size_t failed;
};

struct batch_result *batch_result_new(void)
{
    return mem_alloc(sizeof(struct batch_result));
}

void batch_result_free(struct batch_result *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->count; i++) {
        json_object_put(b->entries[i].doc);
        json_object_put(b->entries[i].value);
    }
    free(b->entries);
    free(b);
}

static struct entry *add(struct batch_result *b, size_t index, const char *status,
                         const char *workflow)
{
    b->entries = mem_resize(b->entries, b->count + 1, sizeof(*b->entries));
    struct entry *e = &b->entries[b->count++];
    *e = (struct entry){ .doc = json_object_new_object() };
    e->target = e->doc;
    json_add_int(e->doc, "index", (int64_t)index);
    json_add_str(e->doc, "status", status);
    json_add_str(e->doc, "workflow", workflow);
    return e;
}

static void set_value(struct entry *e, const char *member, struct json_object *value)
{
    size_t len;
    json_text(value, &len);
    e->member = member;
    e->value = json_object_get(value);
    e->len = len;
}

void batch_result_succeeded(struct batch_result *b, size_t index, struct json_object *value)
{
    struct entry *e = add(b, index, "SUCCEEDED", json_get_str(value, "workflow"));
    struct json_object *bytes = json_get(value, "resultBytes");
    if (bytes)
        json_add(e->doc, "resultBytes", json_object_get(bytes));
    else
        set_value(e, "result", json_get(value, "result"));
}

static void add_cut(struct json_object *o, const char *key, const char *text, size_t most)
{
    size_t len = strlen(text);
    if (len > most)
        len = utf8_cut(text, len, most);
    json_add(o, key, json_new_str_len(text, len));
}

void batch_result_failed(struct batch_result *b, size_t index, const struct durable_error *err)
{
    struct error not_json;
    auto_json struct json_object *data = NULL;
    if (err->data && json_parse_str(err->data, &data, &not_json) < 0)
        data = json_new_str(err->data);
    struct entry *e = add(b, index, "FAILED", json_get_str(data, "workflow"));
    if (json_object_is_type(data, json_type_object))
        json_object_object_del(data, "workflow");
    e->failed = true;
    b->failed++;
    e->target = json_object_new_object();
    add_cut(e->target, "type", err->type ? err->type : "Task.Failed", TYPE_MAX);
    add_cut(e->target, "message", err->message ? err->message : "", MESSAGE_MAX);
    json_add(e->doc, "error", e->target);
    if (data)
        set_value(e, "data", data);
}

static int smaller(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* What an entry takes without its value, as if the value's size were told. */
static size_t base_len(const struct entry *e)
{
    size_t len;
    json_text(e->doc, &len);
    return len + 1 + SIZE_MEMBER;
}

/* Too many jobs for even their names: the last ones lose them. */
static size_t drop_names(struct entry *const *list, size_t count, size_t used, size_t room)
{
    for (size_t i = count; i-- > 0 && used > room;) {
        size_t before, after;
        json_text(list[i]->doc, &before);
        json_object_object_del(list[i]->doc, "workflow");
        json_text(list[i]->doc, &after);
        used -= before - after;
    }
    return used;
}

/* The small values first: so that as many as can be are there. */
static void add_values(struct entry **list, size_t count, size_t used, size_t room)
{
    auto_free struct entry **by_size = mem_array(count + 1, sizeof(struct entry *));
    memcpy(by_size, list, count * sizeof(*list));
    qsort(by_size, count, sizeof(*by_size), smaller);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = by_size[i];
        if (!e->member)
            continue;
        size_t cost = e->len + strlen(e->member) + 4;
        if (used + cost <= room) {
            json_add(e->target, e->member, json_object_get(e->value));
            used += cost;
        } else if (!e->failed) {
            json_add_int(e->doc, "resultBytes", (int64_t)e->len);
        }
    }
}

struct json_object *batch_result_doc(struct batch_result *b, size_t total, bool only_failed,
                                     size_t room)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *jobs = json_object_new_array();
    auto_free struct entry **list = mem_array(b->count + 1, sizeof(struct entry *));
    size_t count = 0;
    for (size_t i = 0; i < b->count; i++)
        if (!only_failed || b->entries[i].failed)
            list[count++] = &b->entries[i];
    size_t used = ENVELOPE;
    for (size_t i = 0; i < count; i++)
        used += base_len(list[i]);
    while (only_failed && count > 0 && used > room)
        used -= base_len(list[--count]);
    used = drop_names(list, count, used, room);
    add_values(list, count, used, room);
    for (size_t i = 0; i < count; i++)
        json_push(jobs, json_object_get(list[i]->doc));
    json_add_int(doc, "total", (int64_t)total);
    json_add_int(doc, "succeeded", (int64_t)(b->count - b->failed));
    json_add_int(doc, "failed", (int64_t)b->failed);
    json_add(doc, "jobs", jobs);
    return doc;
}
