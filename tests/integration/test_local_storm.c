/* local-aws killed with SIGKILL again and again while 200 workflows of all operations run. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/digest.h"
#include "tests/integration/history_rules.h"
#include "tests/integration/lambda_rig.h"

#define WORKFLOWS 200
#define KILLS     30
#define LIMIT_MS  150000

struct workflow {
    char *arn; /* NULL: not accepted yet */
    bool answered;
    bool ended;
};

struct storm {
    struct lambda_rig rig;
    struct workflow all[WORKFLOWS];
    atomic_bool calm; /* no more kills */
    atomic_bool over;
    int64_t until_ms;
};

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* A moment that nobody has chosen. */
static unsigned moment_ms(void)
{
    uint16_t r;
    random_bytes(&r, sizeof(r));
    return 10 + r % 250;
}

static void *kill_it(void *arg)
{
    struct storm *s = arg;
    for (int i = 0; i < KILLS; i++) {
        clock_sleep_ms(clock_system(), moment_ms());
        lambda_rig_kill(&s->rig);
        lambda_rig_restart(&s->rig);
    }
    atomic_store(&s->calm, true);
    /* The last local-aws would die with the thread that started it. */
    while (!atomic_load(&s->over))
        clock_sleep_ms(clock_system(), 50);
    return NULL;
}

/* Only what a killed server looks like is forgiven. */
static bool was_away(const struct error *err)
{
    bool away = err->code == ERR_NET || err->code == ERR_TIMEOUT || err->code == ERR_UNAVAILABLE;
    cr_assert(away, "%s: %s", err->type, err->msg);
    return away;
}

static void begin(struct storm *s, int i)
{
    struct error err;
    struct lambda_invoked out = { 0 };
    char name[32];
    snprintf(name, sizeof(name), "storm-%d", i);
    const struct lambda_invoke req = { .function = "f:1",
                                       .type = "Event",
                                       .execution_name = name,
                                       .payload = "{\"mode\":\"all\"}",
                                       .payload_len = 14 };
    if (lambda_invoke(s->rig.aws, &req, &out, &err) < 0)
        was_away(&err);
    else
        s->all[i].arn = MOVE(out.execution_arn);
    lambda_invoked_release(&out);
}

/* The callback's id where it waits for an answer, the caller's. */
static char *open_callback(struct json_object *events)
{
    for (size_t i = 0; i < json_object_array_length(events); i++) {
        struct json_object *details =
            json_get_obj(json_object_array_get_idx(events, i), "CallbackStartedDetails");
        if (details)
            return mem_dup(json_get_str(details, "CallbackId"));
    }
    return NULL;
}

static void answer(struct storm *s, int i)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    char said[16];
    int n = snprintf(said, sizeof(said), "%d", i);
    if (lambda_get_history(s->rig.aws, s->all[i].arn, true, NULL, 1000, &o, &err) < 0) {
        was_away(&err);
        return;
    }
    auto_free char *id = open_callback(json_get_arr(o, "Events"));
    if (!id)
        return;
    if (lambda_callback_success(s->rig.aws, id, said, (size_t)n, &err) == 0 ||
        strcmp(err.type, "CallbackTimeoutException") == 0) /* the first answer was lost, not it */
        s->all[i].answered = true;
    else
        was_away(&err);
}

static void look(struct storm *s, int i)
{
    struct error err;
    auto_json struct json_object *o = NULL;
    if (lambda_get_execution(s->rig.aws, s->all[i].arn, &o, &err) < 0) {
        was_away(&err);
        return;
    }
    const char *status = json_get_str(o, "Status");
    if (strcmp(status, "RUNNING") == 0)
        return;
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "%d [7]", i);
    s->all[i].ended = true;
    cr_expect_str_eq(status, "SUCCEEDED", "%s", json_text(o, NULL));
    cr_expect_str_eq(json_get_str(o, "Result"), wanted);
}

/* One round over all; true where something is left to do. */
static bool sweep(struct storm *s)
{
    bool left = false;
    for (int i = 0; i < WORKFLOWS; i++) {
        struct workflow *w = &s->all[i];
        if (!w->arn)
            begin(s, i);
        else if (!w->answered)
            answer(s, i);
        else if (!w->ended)
            look(s, i);
        left |= !w->ended;
    }
    return left;
}

/* Every name is one execution, and each workflow has invoked one target. */
static void count(struct storm *s)
{
    struct error err;
    size_t found = 0;
    auto_free char *marker = NULL;
    do {
        auto_response struct http_response resp = { 0 };
        auto_json struct json_object *o = NULL;
        auto_free char *query = mem_printf("Qualifier=1&MaxItems=150%s%s", marker ? "&Marker=" : "",
                                           marker ? marker : "");
        const struct aws_call call = { .service = AWS_LAMBDA,
                                       .method = "GET",
                                       .path = "/2025-12-01/functions/f/durable-executions",
                                       .query = query };
        cr_assert_eq(aws_send(s->rig.aws, &call, &resp, &err), 0, "%s", err.msg);
        cr_assert_eq(json_parse_str(buf_str(&resp.body), &o, &err), 0);
        found += json_object_array_length(json_get_arr(o, "DurableExecutions"));
        free(marker);
        marker = mem_dup(json_get_str(o, "NextMarker"));
    } while (marker);
    cr_expect_eq(found, 2 * WORKFLOWS, "%zu executions", found);
}

Test(local_storm, two_hundred_workflows_survive_kills_at_any_moment, .timeout = 240)
{
    static struct storm s;
    pthread_t killer;
    struct error err;
    int crashes = 0;
    lambda_rig_start(&s.rig, NULL);
    s.until_ms = now_ms() + LIMIT_MS;
    cr_assert_eq(pthread_create(&killer, NULL, kill_it, &s), 0);
    while (sweep(&s))
        cr_assert_lt(now_ms(), s.until_ms, "some do not end");
    while (!atomic_load(&s.calm))
        clock_sleep_ms(clock_system(), 50);
    for (int i = 0; i < WORKFLOWS; i++) {
        struct history_facts facts;
        cr_expect_eq(history_check(s.rig.aws, s.all[i].arn, &facts, &err), 0, "%s", err.msg);
        cr_expect_eq(facts.metered, 5, "an execution of four operations, not %d", facts.metered);
        crashes += facts.crashes;
    }
    count(&s);
    printf("%d kills, %d invocations died with it\n", KILLS, crashes);
    for (int i = 0; i < WORKFLOWS; i++)
        free(s.all[i].arn);
    lambda_rig_stop(&s.rig);
    atomic_store(&s.over, true);
    pthread_join(killer, NULL);
}
