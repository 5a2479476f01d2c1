/* conformance ID: serves the function of the requirement ID to the Runtime API (without an argument
 * the one that _HANDLER names, as in Lambda). `conformance --list` prints the ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/suites.h"

static int list(void)
{
    const struct conformance_case *c;
    for (size_t n = 0; (c = conformance_nth(n)); n++)
        puts(c->id);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *id = argc > 1 ? argv[1] : getenv("_HANDLER");
    if (!id) {
        fprintf(stderr, "usage: %s ID | --list\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (strcmp(id, "--list") == 0)
        return list();
    durable_fn *handler = conformance_find(id);
    if (!handler) {
        fprintf(stderr, "%s: no requirement \"%s\": see --list\n", argv[0], id);
        return EXIT_FAILURE;
    }
    struct durable_error err = { 0 };
    int rc = durable_serve(environ, handler, NULL, &err);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    durable_error_release(&err);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
