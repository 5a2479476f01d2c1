/* chaos: a storm over the whole product that follows from its seed, and the checker's word on it.
 *
 * Workflows of every kind are posted while programs die, Redis dies, disks are full, answers are
 * lost, calls are throttled, events are lost, doubled and late, the network is slow, still, half
 * open or cut on every road, and tasks are struck down. Then
 * it grows calm; everything is asked for its end, and chaos_check (a program that knows nothing of
 * this one) reads what was seen. Exit status 0 only where it found nothing. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "shared/base/clock.h"
#include "shared/base/opts.h"
#include "shared/base/signals.h"
#include "tests/chaos/keeper.h"
#include "tests/chaos/plant.h"
#include "tests/chaos/weather.h"

#define AGAIN_MS    300
#define END_MS      300000 /* for the first workflow, once it is calm; the others wait meanwhile */
#define SETTLE_MS   60000
#define DELIVER_MS  120000
#define PAUSE_MS    200
#define REPEAT      15 /* percent of posts that are sent again */
#define REPEAT_MS   4000
#define STOP_MS     5000
#define PLANTED_KEY 1 /* the number of the job with a planted fault */

struct args {
    char *bin_dir, *folder, *checker, *plant;
    int64_t seed, seconds, workflows;
    bool keep;
};

/* What the client does, and when. */
struct act {
    int64_t at_ms;
    struct posted *posted;
    bool stop; /* else: post */
};

struct storm {
    struct cast cast;
    struct weather weather;
    struct posted *posted;
    size_t posted_count;
    struct act *acts;
    size_t act_count;
    enum plant plant;
    FILE *orders;
    char *folder;
};

static void add_act(struct storm *s, int64_t at_ms, struct posted *p, bool stop)
{
    s->acts = mem_resize(s->acts, s->act_count + 1, sizeof(*s->acts));
    s->acts[s->act_count++] = (struct act){ .at_ms = at_ms, .posted = p, .stop = stop };
}

static void draw(struct storm *s, const struct args *a)
{
    struct dice d = { .state = (uint64_t)a->seed };
    int64_t duration_ms = a->seconds * 1000;
    auto_free char *marks = mem_printf("%s/marks", s->folder);
    s->posted_count = (size_t)a->workflows;
    s->posted = mem_array(s->posted_count, sizeof(*s->posted));
    for (size_t i = 0; i < s->posted_count; i++) {
        struct job job;
        int64_t at = (int64_t)dice_below(&d, (unsigned)duration_ms);
        job_draw(&job, &d, (unsigned)i);
        if (s->plant != PLANT_NONE && i == PLANTED_KEY) {
            job_of(&job, plant_kind(s->plant), &d, (unsigned)i);
            at = duration_ms; /* when it is calm */
        }
        posted_init(&s->posted[i], &job, marks);
        add_act(s, at, &s->posted[i], false);
        if (dice_hit(&d, REPEAT))
            add_act(s, at + dice_below(&d, REPEAT_MS), &s->posted[i], false);
        if (job.kind == JOB_STOP)
            add_act(s, at + 200 + dice_below(&d, STOP_MS), &s->posted[i], true);
    }
    weather_draw(&s->weather, &d, duration_ms);
}

static struct act *next_act(struct storm *s)
{
    struct act *next = NULL;
    for (size_t i = 0; i < s->act_count; i++)
        if (!next || s->acts[i].at_ms < next->at_ms)
            next = &s->acts[i];
    return next;
}

static int perform(struct storm *s, struct act *act, int64_t now_ms, struct error *err)
{
    struct posted *p = act->posted;
    bool planted = s->plant != PLANT_NONE && p == &s->posted[PLANTED_KEY] && !act->stop;
    if (planted)
        plant_before(s->plant, &s->cast, p);
    int rc = act->stop ? client_stop(&s->cast, p, err) : client_post(&s->cast, p, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        act->at_ms = now_ms + AGAIN_MS;
    else
        *act = s->acts[--s->act_count];
    return planted && rc > 0 && p->id_count == 1 ? plant_after(s->plant, &s->cast, p, err) : 0;
}

/* It is calm: everything is up (local-aws may be about to end on the last full disk), and no order
 * is left. */
static int calm(struct storm *s, struct error *err)
{
    int64_t until = clock_mono_ms(clock_system()) + SETTLE_MS;
    if (cast_calm(&s->cast, err) < 0)
        return -1;
    for (;;) {
        auto_answer struct api_answer a = { 0 };
        int rc = api_send(s->cast.local, "DELETE", "/_local/faults", NULL, NULL, &a, err);
        if (rc == 0 && a.status == 503) /* it is stopping */
            rc = error_set(err, ERR_UNAVAILABLE, a.status, "DELETE /_local/faults: %s", a.text);
        if (rc == 0 || clock_mono_ms(clock_system()) >= until)
            return rc;
        if (cast_tend(&s->cast, err) < 0)
            return -1;
        clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

static int blow(struct storm *s, int64_t duration_ms, struct error *err)
{
    int64_t start = clock_mono_ms(clock_system());
    size_t gust = 0;
    bool is_calm = false;
    for (;;) {
        int64_t now = clock_mono_ms(clock_system()) - start;
        struct act *act = next_act(s);
        if (!is_calm && now >= duration_ms) {
            is_calm = true;
            if (calm(s, err) < 0)
                return -1;
        }
        if (!act && is_calm)
            return 0;
        if (cast_tend(&s->cast, err) < 0)
            return -1;
        if (!is_calm && gust < s->weather.count && s->weather.gusts[gust].at_ms <= now) {
            if (weather_blow(&s->weather.gusts[gust++], &s->cast, s->orders, err) < 0)
                return -1;
        } else if (act && act->at_ms <= now && (is_calm || act->at_ms < duration_ms)) {
            if (perform(s, act, now, err) < 0)
                return -1;
        } else {
            clock_sleep_ms(clock_system(), 5);
        }
    }
}

/* Waits until no task is to run; the checker finds those that do. */
static void settle(struct storm *s)
{
    int64_t until = clock_mono_ms(clock_system()) + SETTLE_MS;
    bool running = true;
    while (running && clock_mono_ms(clock_system()) < until) {
        auto_answer struct api_answer a = { 0 };
        struct error err = { 0 };
        running = api_send(s->cast.local, "GET", "/_local/tasks", NULL, NULL, &a, &err) < 0 ||
                  a.status != 200;
        struct json_object *tasks = json_get_arr(a.json, "tasks");
        for (size_t i = 0; tasks && i < json_object_array_length(tasks); i++) {
            const char *status = json_get_str(json_object_array_get_idx(tasks, i), "lastStatus");
            running = running || (status && strcmp(status, "STOPPED") != 0);
        }
        if (running)
            clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

static int get_metrics(struct storm *s, size_t receiver, struct api_answer *a, struct error *err)
{
    struct api *ops = api_new(cast_ops_url(&s->cast, receiver), err);
    int rc = ops ? api_send(ops, "GET", "/metrics", NULL, NULL, a, err) : -1;
    api_free(ops);
    return rc;
}

/* Waits until the receivers, which share what they have, deliver nothing any more: a report that
 * was refused long enough is tried again a minute later. What the engine would not have, of a
 * workflow that was stopped, is closed by the event of that, whose tries are seconds apart. */
static void await_deliveries(struct storm *s)
{
    int64_t until = clock_mono_ms(clock_system()) + DELIVER_MS;
    for (bool waits = true; waits && clock_mono_ms(clock_system()) < until;) {
        auto_answer struct api_answer a = { 0 };
        struct error err = { 0 };
        waits = get_metrics(s, 0, &a, &err) < 0 ||
                !strstr(a.text, "callback_receiver_callbacks{state=\"accepted\"} 0\n") ||
                !strstr(a.text, "callback_receiver_callbacks{state=\"dead\"} 0\n");
        if (waits)
            clock_sleep_ms(clock_system(), PAUSE_MS);
    }
}

static int save_metrics(struct storm *s, struct error *err)
{
    for (size_t i = 0; i < CAST_RECEIVERS; i++) {
        auto_answer struct api_answer a = { 0 };
        int rc = get_metrics(s, i, &a, err);
        auto_free char *path = mem_printf("%s/metrics-%zu.txt", s->folder, i);
        FILE *f = rc == 0 ? fopen(path, "w") : NULL;
        if (f)
            fputs(a.text, f);
        if (rc < 0 || !f || fclose(f) != 0)
            return rc < 0 ? -1 : error_set(err, ERR_IO, 0, "cannot write %s", path);
    }
    return 0;
}

static int collect(struct storm *s, struct error *err)
{
    auto_free char *path = mem_printf("%s/workflows.jsonl", s->folder);
    FILE *out = fopen(path, "w");
    if (!out)
        return error_set_errno(err, errno, "%s", path);
    int64_t until = clock_mono_ms(clock_system()) + END_MS;
    int rc = 0;
    for (size_t i = 0; i < s->posted_count && rc == 0; i++) {
        int64_t left = until - clock_mono_ms(clock_system());
        rc = client_collect(&s->cast, &s->posted[i], left > 2000 ? left : 2000, out, err);
    }
    if (fclose(out) != 0 && rc == 0)
        rc = error_set(err, ERR_IO, 0, "cannot write %s", path);
    if (rc < 0)
        return rc;
    settle(s);
    await_deliveries(s);
    return save_metrics(s, err);
}

/* The checker's exit status. */
static int check(const char *checker, const char *folder)
{
    pid_t pid;
    int status;
    char *const argv[] = { mem_dup(checker), mem_dup(folder), NULL };
    fflush(stdout);
    bool started = posix_spawn(&pid, checker, NULL, NULL, argv, environ) == 0;
    bool ended = started && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
    free(argv[0]);
    free(argv[1]);
    return ended ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static int prepare(struct storm *s, const struct args *a, struct error *err)
{
    s->folder = mem_dup(a->folder);
    auto_free char *marks = mem_printf("%s/marks", s->folder);
    auto_free char *orders = mem_printf("%s/orders.jsonl", s->folder);
    if ((mkdir(s->folder, 0700) < 0 && errno != EEXIST) || mkdir(marks, 0700) < 0)
        return error_set_errno(err, errno, "cannot make the folder %s", marks);
    s->orders = fopen(orders, "w");
    if (!s->orders)
        return error_set_errno(err, errno, "%s", orders);
    draw(s, a);
    struct error why;
    const struct cast_options o = { .bin_dir = a->bin_dir,
                                    .folder = s->folder,
                                    .seed = (uint64_t)a->seed,
                                    .disks = small_disk_possible(&why) == 0 };
    if (!o.disks)
        printf("  skipped: full disks: %s\n", why.msg);
    return cast_start(&s->cast, &o, err);
}

/* So that one sees that the weather was felt. */
static void print_felt(const struct cast *c)
{
    unsigned broken = 0;
    for (int i = 0; i < CAST_ROADS; i++)
        broken += relay_broken(c->relays[i]);
    printf("  %u connections broken; local-aws ended %u times on a full disk, receivers %u times "
           "at their start without Redis\n",
           broken, c->ended[CAST_LOCAL_AWS], c->ended[CAST_RECEIVER_A] + c->ended[CAST_RECEIVER_B]);
}

static int run(const struct args *a, int *found, struct error *err)
{
    struct storm s = { 0 };
    if (plant_of(a->plant, &s.plant) < 0)
        return error_set(err, ERR_INVALID, 0, "--plant: there is no %s", a->plant);
    printf("chaos: seed %lld, %lld workflows in %lld s%s%s\n", (long long)a->seed,
           (long long)a->workflows, (long long)a->seconds, s.plant ? ", planted: " : "",
           s.plant ? a->plant : "");
    fflush(stdout);
    int rc = prepare(&s, a, err);
    if (rc == 0)
        weather_print(&s.weather);
    if (rc == 0 && (rc = blow(&s, a->seconds * 1000, err)) == 0)
        rc = collect(&s, err);
    if (rc == 0)
        print_felt(&s.cast);
    if (rc == 0)
        *found = check(a->checker, s.folder);
    bool keep = a->keep || rc < 0 || (*found && s.plant == PLANT_NONE);
    if (cast_stop(&s.cast, keep) < 0 && rc == 0)
        rc = error_set(err, ERR_INTERNAL, 0, "a program did not stop cleanly");
    if (s.orders)
        fclose(s.orders);
    for (size_t i = 0; i < s.posted_count; i++)
        posted_release(&s.posted[i]);
    free(s.posted);
    free(s.acts);
    weather_release(&s.weather);
    keep = keep || rc < 0;
    if (s.folder && keep)
        printf("  everything is kept in %s\n", s.folder);
    else if (s.folder && folder_remove(s.folder, err) < 0)
        rc = -1;
    free(s.folder);
    return rc;
}

/* In a process of its own; the exit status. */
static int storm(void *arg)
{
    struct args *a = arg;
    struct error err = { 0 };
    int found = 0;
    signal(SIGPIPE, SIG_IGN);
    int rc = run(a, &found, &err);
    if (rc < 0)
        fprintf(stderr, "chaos: seed %lld: %s\n", (long long)a->seed, err.msg);
    return rc < 0 || found ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* With the folder made, so that an aborted storm leaves nothing either. The exit status. */
static int keep(struct args *a)
{
    struct error err = { 0 };
    int status = EXIT_FAILURE, told = 0;
    if (!*a->folder) {
        free(a->folder);
        a->folder = folder_new("chaos", &err);
    }
    int rc = a->folder ? keeper_run(storm, a, &status, &told, &err) : -1;
    if (rc == 0 && told) {
        fprintf(stderr, "chaos: seed %lld: stopped by %s%s%s\n", (long long)a->seed,
                signals_name(told), a->keep ? "; everything is kept in " : "",
                a->keep ? a->folder : "");
        status = 128 + told;
        rc = a->keep ? 0 : folder_remove(a->folder, &err);
    }
    if (rc < 0)
        fprintf(stderr, "chaos: %s\n", err.msg);
    return rc < 0 ? EXIT_FAILURE : status;
}

int main(int argc, char **argv)
{
    struct args a;
    struct error err = { 0 };
    int status = EXIT_FAILURE;
    auto_free char *now = mem_printf("%lld", (long long)(clock_wall_ms(clock_system()) % 1000000));
    const struct opt table[] = {
        { "bin-dir", "BIN_DIR", OPT_STR, &a.bin_dir, "build/bin", 0, 0, "DIR", "of the programs" },
        { "checker", NULL, OPT_STR, &a.checker, "build/tests/chaos/chaos_check", 0, 0, "FILE",
          "the program that judges" },
        { "folder", NULL, OPT_STR, &a.folder, "", 0, 0, "DIR", "where everything is kept" },
        { "plant", NULL, OPT_STR, &a.plant, "none", 0, 0, "NAME",
          "puts a fault in: lost-report, doubled-task, false-success, orphan or swapped" },
        { "seed", NULL, OPT_INT, &a.seed, now, 0, INT64_MAX / 4, "N", "decides everything" },
        { "seconds", NULL, OPT_INT, &a.seconds, "180", 1, 86400, "N", "that the storm lasts" },
        { "workflows", NULL, OPT_INT, &a.workflows, "2000", 2, 1000000, "N", "that are posted" },
        { "keep", NULL, OPT_BOOL, &a.keep, NULL, 0, 0, NULL, "keep the folder in any case" },
    };
    const struct opts o = { .program = "chaos",
                            .synopsis = "[options]",
                            .about = "A storm over the whole product, and what it broke.",
                            .table = table,
                            .count = ARRAY_LEN(table) };
    memset(&a, 0, sizeof(a));
    int rc = opts_load(&o, argc, argv, environ, &err);
    if (rc == OPTS_DONE)
        status = EXIT_SUCCESS;
    else if (rc < 0)
        fprintf(stderr, "chaos: %s\n", err.msg);
    else
        status = keep(&a);
    opts_release(&o);
    return status;
}
