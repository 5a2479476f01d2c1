#include "tests/integration/history_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"

#define PAGE 1000

/* One operation as the history has shown it so far. */
struct seen {
    char *id;
    char *stem; /* "Step", "Context", ...: the event type without its end */
    char *name; /* NULL: none */
    bool open;  /* started, and not ended */
    bool retry; /* a step between two attempts */
};

struct check {
    struct seen *items;
    size_t count;
    int64_t last_event;
    bool over; /* the execution has ended */
    struct history_facts *facts;
};

static const char *const STEMS[] = { "Step", "Context", "Callback", "Wait", "ChainedInvoke" };

static int broken(struct error *err, struct json_object *event, const char *why)
{
    return error_set(err, ERR_PROTOCOL, 0, "%s: %s", why, json_text(event, NULL));
}

static struct seen *find(struct check *c, const char *id)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->items[i].id, id) == 0)
            return &c->items[i];
    return NULL;
}

static bool equal(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

/* The stem of an operation's event and where its end begins; NULL for other events. */
static const char *stem_of(const char *type, const char **ending)
{
    for (size_t i = 0; i < ARRAY_LEN(STEMS); i++) {
        size_t len = strlen(STEMS[i]);
        if (strncmp(type, STEMS[i], len) == 0) {
            *ending = type + len;
            return STEMS[i];
        }
    }
    return NULL;
}

/* A step's attempt that will be repeated. */
static bool is_retry(struct json_object *event, const char *type)
{
    auto_free char *key = mem_printf("%sDetails", type);
    struct json_object *retry = json_get_obj(json_get_obj(event, key), "RetryDetails");
    return json_get(retry, "NextAttemptDelaySeconds") != NULL;
}

static int check_parent(struct check *c, struct json_object *event, struct error *err)
{
    const char *parent = json_get_str(event, "ParentId");
    if (!parent)
        return json_get(event, "ParentId") ? broken(err, event, "ParentId is no text") : 0;
    const struct seen *p = find(c, parent);
    if (!p || strcmp(p->stem, "Context") != 0)
        return broken(err, event, "ParentId names no context that has started");
    return p->open ? 0 : broken(err, event, "its context has ended");
}

static int started(struct check *c, struct json_object *event, const char *stem, const char *id,
                   struct seen *s, struct error *err)
{
    const char *name = json_get_str(event, "Name");
    c->facts->metered++;
    if (s && (!s->retry || !equal(s->name, name)))
        return broken(err, event, "the id is another operation's");
    if (!s) {
        c->items = mem_resize(c->items, c->count + 1, sizeof(*c->items));
        s = &c->items[c->count++];
        *s = (struct seen){ .id = mem_dup(id), .stem = mem_dup(stem), .name = mem_dup(name) };
    }
    s->open = true;
    s->retry = false;
    return 0;
}

static int check_operation(struct check *c, struct json_object *event, const char *type,
                           const char *stem, const char *ending, struct error *err)
{
    const char *id = json_get_str(event, "Id");
    if (!id)
        return broken(err, event, "an operation without an id");
    struct seen *s = find(c, id);
    if (s && strcmp(s->stem, stem) != 0)
        return broken(err, event, "the id is another operation's");
    /* What was invoked, or waits for somebody, may end behind the context that has given it up. */
    bool on_its_own = strcmp(stem, "ChainedInvoke") == 0 || strcmp(stem, "Callback") == 0;
    bool starts = strcmp(ending, "Started") == 0;
    if ((starts || !on_its_own) && check_parent(c, event, err) < 0)
        return -1;
    if (starts)
        return started(c, event, stem, id, s, err);
    if (!s)
        return broken(err, event, "it ends what has not started");
    if (!s->open)
        return broken(err, event, "the operation has ended before");
    s->open = false;
    s->retry = is_retry(event, type);
    return 0;
}

static int check_event(struct check *c, struct json_object *event, struct error *err)
{
    const char *type = json_get_str(event, "EventType"), *ending = NULL;
    if (!type || json_get_int(event, "EventId", 0) != ++c->last_event)
        return broken(err, event, "not the next event");
    if (strcmp(type, "InvocationCompleted") == 0) {
        struct json_object *details = json_get_obj(event, "InvocationCompletedDetails");
        c->facts->invocations++;
        c->facts->crashes += json_get(details, "Error") != NULL;
        return 0;
    }
    if (c->over)
        return broken(err, event, "the execution has ended before");
    const char *stem = stem_of(type, &ending);
    if (stem)
        return check_operation(c, event, type, stem, ending, err);
    if (strncmp(type, "Execution", 9) != 0)
        return broken(err, event, "an event of no known type");
    if ((strcmp(type, "ExecutionStarted") == 0) != (c->last_event == 1))
        return broken(err, event, "the execution starts first, and once");
    if (c->last_event == 1)
        c->facts->metered++;
    else
        c->over = true;
    return 0;
}

static int check_pages(struct aws *aws, const char *arn, struct check *c, struct error *err)
{
    auto_free char *marker = NULL;
    do {
        auto_json struct json_object *page = NULL;
        if (lambda_get_history(aws, arn, true, marker, PAGE, &page, err) < 0)
            return -1;
        struct json_object *events = json_get_arr(page, "Events");
        for (size_t i = 0; events && i < json_object_array_length(events); i++)
            if (check_event(c, json_object_array_get_idx(events, i), err) < 0)
                return -1;
        free(marker);
        marker = mem_dup(json_get_str(page, "NextMarker"));
    } while (marker && *marker);
    return 0;
}

int history_check(struct aws *aws, const char *arn, struct history_facts *out, struct error *err)
{
    *out = (struct history_facts){ 0 };
    struct check c = { .facts = out };
    int rc = check_pages(aws, arn, &c, err);
    for (size_t i = 0; i < c.count; i++) {
        free(c.items[i].id);
        free(c.items[i].stem);
        free(c.items[i].name);
    }
    free(c.items);
    return rc;
}
