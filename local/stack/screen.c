#include "local/stack/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/utf8.h"

#define REASON_WIDTH 46

/* Set once by main before anything is printed. */
static bool colour;

enum {
    PLAIN = 0,
    BOLD = 1,
    DIM = 2,
    RED = 31,
    GREEN = 32,
    YELLOW = 33,
    CYAN = 36
};

void screen_colour(bool on)
{
    colour = on;
}

static void begin(int code)
{
    if (colour)
        printf("\033[%dm", code);
}

static void end(void)
{
    if (colour)
        fputs("\033[0m", stdout);
}

static void line(int code, const char *mark, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
static void line(int code, const char *mark, const char *fmt, va_list ap)
{
    auto_free char *text = mem_vprintf(fmt, ap);
    begin(code);
    fputs(mark, stdout);
    if (code != DIM)
        end();
    size_t len = strlen(text);
    size_t cut = utf8_cut(text, len, 150);
    printf("%.*s%s\n", (int)cut, text, cut < len ? "..." : "");
    if (code == DIM)
        end();
    fflush(stdout);
}

void screen_title(const char *text)
{
    begin(BOLD);
    puts(text);
    end();
}

void screen_step(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line(CYAN, "> ", fmt, ap);
    va_end(ap);
}

void screen_detail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line(DIM, "    ", fmt, ap);
    va_end(ap);
}

void screen_event(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line(YELLOW, "! ", fmt, ap);
    va_end(ap);
}

void screen_table_head(void)
{
    putchar('\n');
    begin(BOLD);
    printf("%-11s %-9s %-*s %5s %11s %12s %13s\n", "WORKFLOW", "STATUS", REASON_WIDTH,
           "RESULT OR REASON", "TASKS", "INVOCATIONS", "LAUNCHER RAN", "WORKFLOW TOOK");
    end();
}

void screen_table_row(const char *name, const struct facts *f, const char *wrong)
{
    const char *text = f->reason ? f->reason : f->result ? f->result : "";
    size_t cut = utf8_cut(text, strlen(text), REASON_WIDTH);
    printf("%-11s ", name);
    begin(wrong ? RED : GREEN);
    printf("%-9s", f->status ? f->status : "?");
    end();
    printf(" %-*.*s %5d %11d %9lld ms %11.1f s", REASON_WIDTH, (int)cut, text, f->tasks,
           f->invocations, (long long)f->launcher_ms, (double)f->took_ms / 1000);
    if (wrong) {
        begin(RED);
        printf("  <- %s", wrong);
        end();
    }
    putchar('\n');
}

void screen_table_end(int bad, const struct facts *sum)
{
    putchar('\n');
    begin(bad ? RED : GREEN);
    if (bad)
        printf("%d workflows are not as they should be.\n", bad);
    else
        printf("All as it should be: one task a job, two invocations a callback; the launcher ran "
               "%lld "
               "ms in %.1f s of workflows.\n",
               (long long)sum->launcher_ms, (double)sum->took_ms / 1000);
    end();
    fflush(stdout);
}
