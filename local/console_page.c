#include "local/console_page.h"

#include <string.h>

#include "shared/base/mem.h"

/* The assembler puts a file between two symbols; both are names, which take no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define FILE_OF(symbol, name)                                                                      \
    __asm__(".section .rodata\n" #symbol ":\n.incbin \"local/console/" name "\"\n" #symbol         \
            "_end:\n.byte 0\n.previous\n");                                                        \
    extern const char symbol[] __attribute__((visibility("hidden")));                              \
    extern const char symbol##_end[] __attribute__((visibility("hidden")))
/* NOLINTEND(bugprone-macro-parentheses) */

FILE_OF(console_html, "index.html");
FILE_OF(console_css, "console.css");
FILE_OF(console_js, "console.js");

const struct console_file *console_file(const char *path)
{
    static struct console_file files[] = {
        { "/console", "text/html; charset=utf-8", console_html, 0 },
        { "/console/console.css", "text/css; charset=utf-8", console_css, 0 },
        { "/console/console.js", "text/javascript; charset=utf-8", console_js, 0 },
    };
    static const char *const ends[] = { console_html_end, console_css_end, console_js_end };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (strcmp(files[i].path, path) == 0) {
            files[i].len = (size_t)(ends[i] - files[i].data);
            return &files[i];
        }
    return NULL;
}
