/* console_page.h - the console's files, which are in the binary. Any thread. */
#ifndef LOCAL_CONSOLE_PAGE_H
#define LOCAL_CONSOLE_PAGE_H

#include <stddef.h>

struct console_file {
    const char *path; /* "/console/console.js" */
    const char *type;
    const char *data;
    size_t len;
};

/* NULL where there is none. */
const struct console_file *console_file(const char *path);

#endif
