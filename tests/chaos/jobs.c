#include "tests/chaos/jobs.h"

#include <stdio.h>

#include "shared/base/json.h"
#include "shared/base/mem.h"

#define INPUT_CHARS 20000

/* Waits out what a receiver says, or does not say, while it is away. */
#define POST                                                                                       \
    "post() { while :; do c=$(curl -s -m 10 -o /dev/null -w '%{http_code}' -X POST"                \
    " \"$CALLBACK_URL/$1\" -H \"Authorization: Bearer $CALLBACK_TOKEN\""                           \
    " -H 'Content-Type: application/json' -d \"$2\"); case $c in 2??|40?|41?) break;; esac;"       \
    " sleep 0.3; done; say reported $1 $c; }; "

/* callback-run starts it without its input where that does not come in some seconds. */
#define INPUT                                                                                      \
    "f=$CALLBACK_INPUT_FILE; while [ -z \"$f\" ]; do f=$m.input; curl -sf -m 10 -o \"$f\""         \
    " -H \"Authorization: Bearer $CALLBACK_TOKEN\" \"$CALLBACK_URL/input\" || { f=; sleep 0.3; };" \
    " done; "

/* The start's ends those whose task never starts and whose event of that is lost. It counts from
 * the workflow's own start, which waits for an environment while others hang on dead connections.
 */
#define LIMITS "\"timeoutSeconds\":900,\"startTimeoutSeconds\":240"

static const struct {
    const char *name, *pattern;
    const char *definition; /* NULL: the default, with callback-run */
    unsigned weight;
    unsigned work_ms, work_more_ms;
    const char *script;  /* behind the prologue of job_body */
    const char *members; /* of the body, besides pattern and task */
} kinds[JOB_KINDS] = {
    [JOB_OK] = { "ok", "callback", NULL, 30, 100, 900,
                 "sleep $work; say end; echo \"{\\\"key\\\":\\\"$key\\\",\\\"value\\\":$value}\"",
                 LIMITS },
    [JOB_SLOW] = { "slow", "callback", NULL, 8, 4000, 8000,
                   "sleep $work; say end; echo \"{\\\"key\\\":\\\"$key\\\",\\\"value\\\":$value}\"",
                   LIMITS ",\"heartbeatSeconds\":15" },
    [JOB_INPUT] = { "input", "callback", NULL, 6, 50, 200,
                    "sleep $work; " INPUT "say end; cat \"$f\"", LIMITS },
    [JOB_BIG] = { "big", "callback", NULL, 3, 50, 200,
                  "sleep $work; say end; printf '{\"key\":\"%s\",\"value\":%d,\"text\":\"' $key "
                  "$value;"
                  " head -c 100000 /dev/zero | tr '\\0' x; echo '\"}'",
                  LIMITS },
    [JOB_CURL] = { "curl", "callback", "plain", 12, 50, 900,
                   POST "sleep $work; say end;"
                        " post success \"{\\\"key\\\":\\\"$key\\\",\\\"value\\\":$value}\"",
                   LIMITS },
    [JOB_RETRY] = { "retry", "callback", NULL, 6, 50, 200,
                    "sleep $work; [ $(grep -c ^begin \"$m\") -ge 2 ] || exit 9; say end;"
                    " echo \"{\\\"key\\\":\\\"$key\\\",\\\"value\\\":$value}\"",
                    LIMITS ",\"retry\":{\"maxAttempts\":4,\"firstDelaySeconds\":1,"
                           "\"retryOn\":[\"*\"]}" },
    [JOB_EXIT] = { "exit", "callback", NULL, 8, 50, 900, "sleep $work; say end; exit 7", LIMITS },
    [JOB_SIGNAL] = { "signal", "callback", NULL, 4, 50, 200, "sleep $work; say end; kill -TERM $$",
                     LIMITS },
    [JOB_OWN] = { "own", "callback", "plain", 5, 50, 200,
                  POST
                  "sleep $work; say end; post failure"
                  " \"{\\\"errorType\\\":\\\"Chaos.Own\\\",\\\"errorMessage\\\":\\\"$key\\\"}\"",
                  LIMITS },
    [JOB_SILENT] = { "silent", "callback", "plain", 4, 50, 200, "sleep $work; say end",
                     "\"timeoutSeconds\":240" },
    [JOB_HANG] = { "hang", "callback", "plain", 2, 50, 200,
                   POST "post heartbeat '{}'; say beat; sleep 900",
                   LIMITS ",\"heartbeatSeconds\":6,\"retry\":{\"maxAttempts\":1}" },
    [JOB_STOP] = { "stop", "callback", NULL, 4, 500, 5000, "sleep 900", "\"timeoutSeconds\":1800" },
    [JOB_SYNC] = { "sync", "sync", "plain", 5, 50, 900, "sleep $work; say end",
                   "\"timeoutSeconds\":900" },
    [JOB_SYNCEXIT] = { "sync-exit", "sync", "plain", 3, 50, 900, "sleep $work; say end; exit 7",
                       "\"timeoutSeconds\":900" },
    [JOB_BATCH] = { "batch", "batch", NULL, 4, 50, 900,
                    "sleep $work; say end; [ $CHAOS_INDEX != 2 ] || exit 7;"
                    " echo "
                    "\"{\\\"key\\\":\\\"$key\\\",\\\"value\\\":$value,\\\"index\\\":$CHAOS_INDEX}"
                    "\"",
                    LIMITS ",\"toleratedFailures\":5,\"maxConcurrency\":3" },
    [JOB_SAMPLE] = { "sample", "callback", NULL, 4, 0, 1, NULL, NULL },
};

const char *job_kind_name(enum job_kind kind)
{
    return kinds[kind].name;
}

void job_of(struct job *j, enum job_kind kind, struct dice *d, unsigned number)
{
    *j = (struct job){ .kind = kind,
                       .value = 100000 + number,
                       .work_ms = kinds[kind].work_ms + dice_below(d, kinds[kind].work_more_ms) };
    snprintf(j->key, sizeof(j->key), "w%u", number);
}

void job_draw(struct job *j, struct dice *d, unsigned number)
{
    unsigned all = 0, kind = 0;
    for (unsigned k = 0; k < JOB_KINDS; k++)
        all += kinds[k].weight;
    unsigned at = dice_below(d, all);
    while (at >= kinds[kind].weight)
        at -= kinds[kind++].weight;
    job_of(j, (enum job_kind)kind, d, number);
}

static char *script(const struct job *j, const char *folder)
{
    return mem_printf("key=%s; value=%u; work=%u.%03u; m='%s'/$key;"
                      " say() { echo \"$*\" >>\"$m\"; }; say begin ${CALLBACK_URL:-sync} $$; %s",
                      j->key, j->value, j->work_ms / 1000, j->work_ms % 1000, folder,
                      kinds[j->kind].script);
}

static struct json_object *task(const struct job *j, const char *folder)
{
    auto_free char *text = script(j, folder);
    auto_free char *name = mem_printf("%s/%s", folder, j->key);
    const char *const words[] = { "sh", "-c", text, name };
    struct json_object *command = json_object_new_array(), *o = json_object_new_object();
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        json_object_array_add(command, json_object_new_string(words[i]));
    json_add(o, "command", command);
    json_add_str(o, "taskDefinition", kinds[j->kind].definition);
    return o;
}

static struct json_object *input(const struct job *j)
{
    struct json_object *o = json_object_new_object();
    auto_free char *text = mem_alloc(INPUT_CHARS + 1);
    for (size_t i = 0; i < INPUT_CHARS; i++)
        text[i] = (char)('a' + (i + j->value) % 26);
    json_add_str(o, "key", j->key);
    json_add_int(o, "value", j->value);
    json_add_str(o, "text", text);
    return o;
}

static struct json_object *tasks(void)
{
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < JOB_BATCH_SIZE; i++) {
        struct json_object *item = json_object_new_object(), *env = json_object_new_object();
        auto_free char *index = mem_printf("%d", i);
        json_add_str(env, "CHAOS_INDEX", index);
        json_add(item, "environment", env);
        json_object_array_add(list, item);
    }
    return list;
}

char *job_body(const struct job *j, const char *folder)
{
    if (j->kind == JOB_SAMPLE)
        return mem_printf("{\"message\":\"%s\",\"processingTime\":1}", j->key);
    auto_json struct json_object *own = task(j, folder);
    auto_json struct json_object *given = j->kind == JOB_INPUT   ? input(j)
                                          : j->kind == JOB_BATCH ? tasks()
                                                                 : NULL;
    const char *member = j->kind == JOB_INPUT   ? ",\"input\":"
                         : j->kind == JOB_BATCH ? ",\"tasks\":"
                                                : "";
    return mem_printf("{\"pattern\":\"%s\",\"task\":%s,%s%s%s}", kinds[j->kind].pattern,
                      json_text(own, NULL), kinds[j->kind].members, member,
                      given ? json_text(given, NULL) : "");
}
