#include "local/aws/function.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world {
    struct local local;
    struct config *config;
    struct function *function;
    char dir[32];
    unsigned done, begun;
    char last[512]; /* error */
};

static bool on_begin(void *arg, const char *request_id, int64_t now_ms, struct buf *event)
{
    (void)request_id, (void)now_ms, (void)event;
    struct world *w = arg;
    w->begun++;
    return true;
}

static void on_done(void *arg, const struct invocation_outcome *o)
{
    struct world *w = arg;
    cr_assert_eq(o->end, INVOCATION_ERROR);
    snprintf(w->last, sizeof(w->last), "%.*s", (int)o->len, o->body);
    if (++w->done == 3)
        loop_stop(w->local.loop);
}

static void give_up(void *arg)
{
    struct world *w = arg;
    loop_stop(w->local.loop);
}

static void remove_folder(const char *dir)
{
    static const char *const files[] = { "logs", "local-aws.db", "local-aws.db-wal",
                                         "local-aws.db-shm", "local-aws.lock" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        auto_free char *path = mem_printf("%s/%s", dir, files[i]);
        unlink(path);
    }
    cr_assert_eq(rmdir(dir), 0);
}

/* Its log cannot be opened: in the place of the folder there is a file. */
Test(function, each_that_waits_fails_where_no_process_can_be_started, .timeout = 120)
{
    static const char text[] = "{\"credentials\":{\"k\":\"s\"},\"functions\":{\"f\":{\"command\":"
                               "[\"/bin/false\"]}}}";
    struct error err;
    struct world w = { .local = { .clock = clock_system(), .path = "/bin" },
                       .dir = "/tmp/function-XXXXXX" };
    const struct invocation_handler handler = { on_begin, on_done, &w };
    const struct invocation_context context = { .version = "1" };
    cr_assert_not_null(mkdtemp(w.dir));
    auto_free char *logs = mem_printf("%s/logs", w.dir);
    FILE *f = fopen(logs, "w");
    cr_assert(f && fclose(f) == 0);
    w.local.config = w.config = config_parse(text, strlen(text), "test", &err);
    cr_assert_not_null(w.config, "%s", err.msg);
    w.local.log = log_open(STDERR_FILENO, LOG_ERROR, "test");
    w.local.store = store_open(w.dir, &err);
    w.local.loop = loop_new(&err);
    cr_assert(w.local.store && w.local.loop);
    w.function = function_new(&w.local, &w.config->functions[0], &err);
    cr_assert_not_null(w.function);
    for (int i = 0; i < 3; i++)
        (void)function_invoke(w.function, &context, &handler);
    struct loop_timer *limit = loop_after(w.local.loop, 60000, give_up, &w);
    loop_run(w.local.loop);
    cr_expect_eq(w.done, 3, "%u of 3 have ended", w.done);
    cr_expect_eq(w.begun, 0);
    cr_expect_eq(function_waiting(w.function), 0);
    cr_expect_not_null(strstr(w.last, "\"errorType\":\"Runtime.InvalidEntrypoint\""), "%s", w.last);
    cr_expect_not_null(strstr(w.last, "Not a directory"), "%s", w.last);
    if (w.done == 3)
        loop_cancel(w.local.loop, limit);
    function_free(w.function);
    loop_free(w.local.loop);
    store_close(w.local.store);
    log_close(w.local.log);
    config_free(w.config);
    remove_folder(w.dir);
}
