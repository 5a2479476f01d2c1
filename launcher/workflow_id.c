#include "launcher/workflow_id.h"

#include <stdio.h>
#include <string.h>

#define DIGITS     "0123456789"
#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_" DIGITS

/* Copies text[0..len) where it is 1 to max characters of `chars`. */
static int take(char *out, size_t max, const char *chars, const char *text, size_t len)
{
    if (len == 0 || len > max)
        return -1;
    memcpy(out, text, len);
    out[len] = '\0';
    return strspn(out, chars) == len ? 0 : -1;
}

static int take_word(char out[WORKFLOW_ID_PART + 1], const char *text, size_t len)
{
    return take(out, WORKFLOW_ID_PART, WORD_CHARS, text, len);
}

static int take_version(char out[WORKFLOW_ID_PART + 1], const char *text, size_t len)
{
    if (take(out, WORKFLOW_ID_PART, WORD_CHARS "$.", text, len) < 0)
        return -1;
    bool latest = strcmp(out, "$LATEST") == 0 || strcmp(out, "$LATEST.PUBLISHED") == 0;
    return latest || strspn(out, DIGITS) == len ? 0 : -1;
}

int workflow_id_parse(struct workflow_id *id, const char *text)
{
    size_t len = strnlen(text, WORKFLOW_ID_TEXT);
    if (len >= WORKFLOW_ID_TEXT)
        return -1;
    /* From both ends: a version may have a dot, the other parts have none. */
    const char *version = strchr(text, '.');
    const char *execution = strrchr(text, '.');
    if (!version || version == execution)
        return -1;
    const char *name = execution - 1;
    while (name > version && *name != '.')
        name--;
    if (name == version)
        return -1;
    if (take_word(id->function, text, (size_t)(version - text)) < 0 ||
        take_version(id->version, version + 1, (size_t)(name - version - 1)) < 0 ||
        take_word(id->name, name + 1, (size_t)(execution - name - 1)) < 0)
        return -1;
    return take_word(id->execution, execution + 1, strlen(execution + 1));
}

/* The length up to `end`, which is where *next begins behind it; -1 where there is none. */
static int segment(const char *text, char end, size_t *len, const char **next)
{
    const char *p = strchr(text, end);
    if (!p)
        return -1;
    *len = (size_t)(p - text);
    *next = p + 1;
    return 0;
}

/* arn:PARTITION:lambda:REGION:ACCOUNT:function: - what is behind it in *rest. */
static int read_place(struct workflow_place *place, const char *arn, const char **rest)
{
    size_t len;
    const char *p = arn;
    if (strncmp(p, "arn:", 4) != 0 || segment(p += 4, ':', &len, rest) < 0 ||
        take(place->partition, sizeof(place->partition) - 1, WORD_CHARS, p, len) < 0)
        return -1;
    if (strncmp(p = *rest, "lambda:", 7) != 0 || segment(p += 7, ':', &len, rest) < 0 ||
        take(place->region, sizeof(place->region) - 1, WORD_CHARS, p, len) < 0)
        return -1;
    p = *rest;
    if (segment(p, ':', &len, rest) < 0 || len != 12 ||
        take(place->account, sizeof(place->account) - 1, DIGITS, p, len) < 0)
        return -1;
    if (strncmp(*rest, "function:", 9) != 0)
        return -1;
    *rest += 9;
    return 0;
}

int workflow_place_from_arn(struct workflow_place *place, const char *arn)
{
    const char *rest;
    return read_place(place, arn, &rest);
}

int workflow_id_from_arn(struct workflow_id *id, struct workflow_place *place, const char *arn)
{
    static const char durable[] = "durable-execution/";
    struct workflow_place where;
    const char *p;
    const char *next;
    size_t len;
    if (read_place(place ? place : &where, arn, &p) < 0)
        return -1;
    if (segment(p, ':', &len, &next) < 0 || take_word(id->function, p, len) < 0)
        return -1;
    p = next;
    if (segment(p, '/', &len, &next) < 0 || take_version(id->version, p, len) < 0)
        return -1;
    if (strncmp(next, durable, sizeof(durable) - 1) != 0)
        return -1;
    p = next + sizeof(durable) - 1;
    if (segment(p, '/', &len, &next) < 0 || take_word(id->name, p, len) < 0)
        return -1;
    return take_word(id->execution, next, strlen(next));
}

void workflow_id_text(const struct workflow_id *id, char out[WORKFLOW_ID_TEXT])
{
    snprintf(out, WORKFLOW_ID_TEXT, "%s.%s.%s.%s", id->function, id->version, id->name,
             id->execution);
}

void workflow_id_arn(const struct workflow_id *id, const struct workflow_place *place,
                     char out[WORKFLOW_ARN])
{
    snprintf(out, WORKFLOW_ARN, "arn:%s:lambda:%s:%s:function:%s:%s/durable-execution/%s/%s",
             place->partition, place->region, place->account, id->function, id->version, id->name,
             id->execution);
}

void workflow_id_started_by(const struct workflow_id *id, char out[WORKFLOW_STARTED])
{
    snprintf(out, WORKFLOW_STARTED, "durable/%s", id->execution);
}
