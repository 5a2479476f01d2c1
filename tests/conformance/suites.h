/* suites.h - a handler for each conformance requirement, one file a suite.
 *
 * The handlers use the SDK's public header, json-c and the C library, and nothing else of this
 * project: what they can express, any user can. */
#ifndef CONFORMANCE_SUITES_H
#define CONFORMANCE_SUITES_H

#include <stddef.h>

#include "shared/durable/durable.h"

struct conformance_case {
    const char *id; /* the requirement's, "4-1"; NULL ends a table */
    durable_fn *handler;
};

/* The targets of chained invokes are functions too; their ids are words. */
extern const struct conformance_case step_cases[], wait_cases[], child_cases[], callback_cases[],
    invoke_cases[], condition_cases[], wait_for_callback_cases[], parallel_cases[], map_cases[];

/* NULL where there is none. */
durable_fn *conformance_find(const char *id);
/* The n-th case of all, or NULL behind the last. */
const struct conformance_case *conformance_nth(size_t n);

#endif
