#include "tests/conformance/suites.h"

#include <string.h>

static const struct conformance_case *const tables[] = {
    step_cases,
    wait_cases,
    child_cases,
    callback_cases,
    invoke_cases,
    condition_cases,
    wait_for_callback_cases,
    parallel_cases,
    map_cases,
};

const struct conformance_case *conformance_nth(size_t n)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct conformance_case *c = tables[t]; c->id; c++)
            if (n-- == 0)
                return c;
    return NULL;
}

durable_fn *conformance_find(const char *id)
{
    const struct conformance_case *c;
    for (size_t n = 0; (c = conformance_nth(n)); n++)
        if (strcmp(c->id, id) == 0)
            return c->handler;
    return NULL;
}
