#include "local/aws/log_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"

#define LIMIT 100

static char dir[64], path[96], before[128];

static void setup(void)
{
    strcpy(dir, "/tmp/test_log_file_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/f.log", dir);
    snprintf(before, sizeof(before), "%s.1", path);
}

static void teardown(void)
{
    unlink(path);
    unlink(before);
    rmdir(dir);
}

TestSuite(log_file, .init = setup, .fini = teardown);

static struct log_file *open_it(void)
{
    struct error err;
    struct log_file *f = log_file_open(path, LIMIT, &err);
    cr_assert_not_null(f, "%s", err.msg);
    return f;
}

static void expect(const char *file, const char *text)
{
    char got[1024] = "";
    FILE *f = fopen(file, "r");
    size_t n = f ? fread(got, 1, sizeof(got) - 1, f) : 0;
    if (f)
        fclose(f);
    got[n] = '\0';
    cr_assert_str_eq(got, text);
}

/* A line of 40 bytes that begins with `n`. */
static const char *line(int n)
{
    static char text[64];
    snprintf(text, sizeof(text), "%-39d\n", n);
    return text;
}

static void write_line(struct log_file *f, int n)
{
    log_file_write(f, line(n), strlen(line(n)));
}

static char *lines(int first, int last)
{
    auto_free char *head = first < last ? lines(first, last - 1) : mem_dup("");
    return mem_printf("%s%s", head, line(last));
}

static void expect_lines(const char *file, int first, int last)
{
    auto_free char *text = lines(first, last);
    expect(file, text);
}

Test(log_file, keeps_the_newest_and_forgets_the_rest)
{
    struct log_file *f = open_it();
    for (int i = 1; i <= 3; i++)
        write_line(f, i);
    expect_lines(path, 1, 3);
    cr_assert_lt(access(before, F_OK), 0, "nothing is moved before the limit is reached");
    for (int i = 4; i <= 8; i++)
        write_line(f, i);
    expect_lines(before, 4, 6);
    expect_lines(path, 7, 8);
    log_file_close(f);
    f = open_it();
    write_line(f, 9);
    expect_lines(path, 7, 9);
    log_file_close(f);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(log_file, those_who_share_a_path_turn_together)
{
    struct log_file *a = open_it(), *b = open_it();
    for (int i = 1; i <= 3; i++)
        write_line(i % 2 ? a : b, i);
    write_line(b, 4); /* turns */
    write_line(a, 5); /* finds the new file, and moves nothing */
    expect_lines(before, 1, 3);
    expect_lines(path, 4, 5);
    write_line(a, 6);
    write_line(a, 7); /* turns again: what b has open is gone */
    write_line(b, 8);
    expect_lines(before, 4, 6);
    expect_lines(path, 7, 8);
    log_file_close(a);
    log_file_close(b);
}

Test(log_file, goes_on_where_the_file_was_removed_or_cannot_be_moved)
{
    struct log_file *f = open_it();
    for (int i = 1; i <= 3; i++)
        write_line(f, i);
    cr_assert_eq(unlink(path), 0);
    write_line(f, 4);
    expect_lines(path, 4, 4);
    cr_assert_eq(mkdir(before, 0700), 0); /* no file can take its place */
    for (int i = 5; i <= 8; i++)
        write_line(f, i);
    expect_lines(path, 4, 8);
    cr_assert_eq(rmdir(before), 0);
    write_line(f, 9);
    expect_lines(before, 4, 8);
    expect_lines(path, 9, 9);
    log_file_close(f);
}

Test(log_file, says_where_it_cannot_be_opened)
{
    struct error err = { 0 };
    cr_assert_null(log_file_open("/nowhere/at/all.log", LIMIT, &err));
    cr_assert_not_null(strstr(err.msg, "/nowhere/at/all.log"));
}
