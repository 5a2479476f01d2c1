#include "shared/base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/json.h"

/* A log into a pipe; reading gives what has been written so far. */
struct into {
    int fds[2];
    struct log *log;
    char text[65536];
};

static void into_open(struct into *t, enum log_level level)
{
    memset(t, 0, sizeof(*t));
    cr_assert_eq(pipe2(t->fds, O_NONBLOCK | O_CLOEXEC), 0);
    t->log = log_open(t->fds[1], level, "prog");
}

static const char *into_read(struct into *t)
{
    ssize_t n = read(t->fds[0], t->text, sizeof(t->text) - 1);
    t->text[n > 0 ? n : 0] = '\0';
    return t->text;
}

static void into_close(struct into *t)
{
    log_close(t->log);
    close(t->fds[0]);
    close(t->fds[1]);
}

/* The one line that was written, parsed. */
static struct json_object *line(struct into *t)
{
    const char *text = into_read(t);
    size_t len = strlen(text);
    cr_assert_gt(len, 0);
    cr_assert_eq(strchr(text, '\n'), text + len - 1, "one line: %s", text);
    struct json_object *o = NULL;
    struct error err = { 0 };
    cr_assert_eq(json_parse(text, len, JSON_DEPTH, &o, &err), 0, "%s: %s", err.msg, text);
    return o;
}

Test(log, writes_one_object_a_line)
{
    struct into t;
    into_open(&t, LOG_DEBUG);
    struct error err;
    error_set(&err, ERR_NET, 0, "cut \"off\"\n");
    error_set_type(&err, "X");
    log_warn(t.log, log_event("tried"), log_str("id", "a\xff"), log_int("n", -7),
             log_bool("ok", true), log_str("none", NULL), log_err(&err));
    auto_json struct json_object *o = line(&t);
    json_object_object_del(o, "time");
    cr_expect_str_eq(json_text(o, NULL),
                     "{\"level\":\"warn\",\"program\":\"prog\",\"event\":\"tried\","
                     "\"id\":\"a\xef\xbf\xbd\",\"n\":-7,\"ok\":true,"
                     "\"error\":\"cut \\\"off\\\"\\n\",\"errorCode\":\"net\",\"errorType\":\"X\"}");
    into_close(&t);
}

Test(log, drops_what_is_below_its_level)
{
    struct into t;
    into_open(&t, LOG_WARN);
    log_info(t.log, log_event("quiet"));
    cr_expect_str_eq(into_read(&t), "");
    cr_expect(!log_enabled(t.log, LOG_INFO));
    cr_expect(log_enabled(t.log, LOG_ERROR));
    log_error(t.log, log_event("loud"));
    cr_expect_not_null(strstr(into_read(&t), "\"loud\""));
    log_error(NULL, log_event("nowhere"));
    log_set(NULL, "k", "v");
    log_close(NULL);
    into_close(&t);
}

Test(log, carries_fixed_fields)
{
    struct into t;
    into_open(&t, LOG_INFO);
    log_set(t.log, "requestId", "r1");
    log_set(t.log, "requestId", "r2");
    log_set(t.log, "gone", "x");
    log_set(t.log, "gone", NULL);
    log_set(t.log, "never", NULL);
    log_info(t.log, log_event("e"));
    auto_json struct json_object *o = line(&t);
    cr_expect_str_eq(json_get_str(o, "requestId"), "r2");
    cr_expect_null(json_get(o, "gone"));
    into_close(&t);
}

/* Whatever the length, the line ends and stays JSON; what does not fit is left out. */
Test(log, keeps_lines_whole_at_every_length)
{
    struct into t;
    into_open(&t, LOG_INFO);
    for (size_t len = 16100; len < 16500; len++) {
        auto_free char *text = mem_alloc(len + 1);
        memset(text, 'x', len);
        log_info(t.log, log_event("e"), log_str("long", text), log_str("after", "y"));
        auto_json struct json_object *o = line(&t);
        cr_expect_str_eq(json_get_str(o, "event"), "e");
        const char *kept = json_get_str(o, "long");
        cr_expect(!kept || strlen(kept) == len);
    }
    auto_free char *huge = mem_alloc(20001);
    memset(huge, '"', 20000);
    log_set(t.log, "fixed", huge);
    log_info(t.log, log_event("still"));
    auto_json struct json_object *o = line(&t);
    cr_expect_str_eq(json_get_str(o, "event"), "still");
    into_close(&t);
}

static void *write_many(void *arg)
{
    struct log *log = arg;
    log_hold(log);
    for (int i = 0; i < 100; i++)
        log_info(log, log_event("many"), log_int("i", i), log_str("s", "0123456789"));
    log_flush();
    return NULL;
}

Test(log, does_not_mix_the_lines_of_threads)
{
    struct into t;
    into_open(&t, LOG_INFO);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_many, t.log), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    char *save = NULL;
    size_t lines = 0;
    into_read(&t);
    for (char *l = strtok_r(t.text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        auto_json struct json_object *o = NULL;
        struct error err = { 0 };
        cr_expect_eq(json_parse_str(l, &o, &err), 0, "%s", l);
        lines++;
    }
    cr_expect_eq(lines, 400);
    into_close(&t);
}

Test(log, holds_lines_until_it_is_flushed)
{
    struct into t;
    into_open(&t, LOG_INFO);
    log_hold(t.log);
    log_info(t.log, log_event("held"));
    into_read(&t);
    cr_expect_str_eq(t.text, "");
    log_flush();
    into_read(&t);
    cr_expect_not_null(strstr(t.text, "\"event\":\"held\""));
    log_info(t.log, log_event("not_held"));
    into_read(&t);
    cr_expect_not_null(strstr(t.text, "\"event\":\"not_held\""));
    into_close(&t);
}

Test(log, reads_level_words)
{
    enum log_level level = LOG_DEBUG;
    cr_expect_eq(log_level_parse("error", &level), 0);
    cr_expect_eq(level, LOG_ERROR);
    cr_expect_eq(log_level_parse("debug", &level), 0);
    cr_expect_eq(level, LOG_DEBUG);
    cr_expect_eq(log_level_parse("Info", &level), -1);
    cr_expect_eq(log_level_parse("", &level), -1);
}
