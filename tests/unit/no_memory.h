/* no_memory.h - for tests: does something again and again, each time with another allocation
 * failing.
 *
 * Memory that there is none of ends a program of ours (mem.h). What libraries allocate for it must
 * end it too or be an error; never another result: a field that is missing, a value that is null.
 * Each try is a process of its own. What json-c does inside of its parser and its printer cannot be
 * swept: it tells nobody that a text of its own could not grow. */
#ifndef TESTS_UNIT_NO_MEMORY_H
#define TESTS_UNIT_NO_MEMORY_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/error.h"
#include "shared/base/mem.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_MEMORY_IS_OURS false /* the sanitizer has its own malloc */
#else
#define NO_MEMORY_IS_OURS true
#endif

#define NO_MEMORY_RESULT 65536

static atomic_long no_memory_left = -1; /* allocations until one fails; below 0: none does */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/* This program's functions stand before the C library's, also for libraries. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *no_memory_malloc(size_t size) __asm__("malloc");
void *no_memory_calloc(size_t count, size_t size) __asm__("calloc");
void *no_memory_realloc(void *p, size_t size) __asm__("realloc");

static bool no_memory_now(void)
{
    return atomic_load(&no_memory_left) >= 0 && atomic_fetch_sub(&no_memory_left, 1) == 0;
}

void *no_memory_malloc(size_t size)
{
    return no_memory_now() ? NULL : __libc_malloc(size);
}

void *no_memory_calloc(size_t count, size_t size)
{
    return no_memory_now() ? NULL : __libc_calloc(count, size);
}

void *no_memory_realloc(void *p, size_t size)
{
    return no_memory_now() ? NULL : __libc_realloc(p, size);
}
#endif

static bool no_memory_is_over, no_memory_reached;

/* From here on nothing fails. */
static void no_memory_over(void)
{
    no_memory_reached |= !no_memory_is_over && atomic_load(&no_memory_left) < 0;
    no_memory_is_over = true;
    atomic_store(&no_memory_left, -1);
}

/* Gives its result, from malloc, or NULL with *err. */
typedef char *no_memory_fn(struct error *err);

enum no_memory_may {
    NO_MEMORY_ENDS,  /* an error would be taken for one of the input: only the end, or success */
    NO_MEMORY_FAILS, /* an error is as good */
};

/* In a process of its own: what it wrote is in `out`; returns how it ended. */
static int no_memory_try(no_memory_fn *what, long n, char out[NO_MEMORY_RESULT])
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = { 0, 0 };
        int quiet = open("/dev/null", O_WRONLY);
        setrlimit(RLIMIT_CORE, &none);
        dup2(quiet, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        struct error err = { 0 };
        atomic_store(&no_memory_left, n);
        char *result = what(&err);
        no_memory_over();
        const char *text = result ? result : err.msg;
        size_t len = strlen(text);
        bool written = write(ends[1], text, len) == (ssize_t)len;
        _exit(!written ? 9 : !result ? 3 : no_memory_reached ? 0 : 4);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got; len < NO_MEMORY_RESULT - 1 &&
                      (got = read(ends[0], out + len, NO_MEMORY_RESULT - 1 - len)) > 0;)
        len += (size_t)got;
    out[len] = '\0';
    close(ends[0]);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void no_memory(no_memory_fn *what, enum no_memory_may may)
{
    static char expected[NO_MEMORY_RESULT], found[NO_MEMORY_RESULT];
    if (!NO_MEMORY_IS_OURS) {
        puts("skipped: the sanitizer has its own malloc");
        return;
    }
    int status = no_memory_try(what, -1, expected);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d: %s", status, expected);
    long n = 0;
    for (bool more = true; more; n++) {
        status = no_memory_try(what, n, found);
        if (WIFSIGNALED(status)) {
            cr_expect_eq(WTERMSIG(status), SIGABRT, "allocation %ld: signal %d", n,
                         WTERMSIG(status));
            continue;
        }
        if (WEXITSTATUS(status) == 3) {
            cr_expect(may == NO_MEMORY_FAILS && found[0], "allocation %ld: it says: %s", n, found);
            continue;
        }
        more = WEXITSTATUS(status) == 0;
        cr_expect_str_eq(found, expected, "allocation %ld changes the result", n);
    }
    cr_expect_gt(n, 5, "nothing was reached");
}

#endif
