/* history_rules.h - what holds for the history of every durable execution:
 *   1. event ids count up from 1 without a gap, and the id of an operation is that operation's
 * alone;
 *   2. a ParentId is absent or names a context that has started and not ended (callbacks and
 *      invokes may end later: a batch gives up what it no longer needs);
 *   3. nothing follows the terminal event of an operation, or that of the execution, but the end of
 *      the invocation that was running.
 * One thread. */
#ifndef TESTS_HISTORY_RULES_H
#define TESTS_HISTORY_RULES_H

#include "shared/aws/aws.h"

struct history_facts {
    int metered;     /* operations that Lambda counts: the execution, each operation, each retry */
    int invocations; /* that have ended */
    int crashes;     /* of them */
};

/* Reads the whole history of `arn`. -1 with *err where it cannot be read (the error as it came) or
 * breaks a rule (ERR_PROTOCOL, the event is named). */
int history_check(struct aws *aws, const char *arn, struct history_facts *out,
                  struct error *err) CHECKED;

#endif
