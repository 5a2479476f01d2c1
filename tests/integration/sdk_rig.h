/* sdk_rig.h - one real local-aws whose functions are handlers of the test itself, served by the
 * SDK. A test program that names its handlers is started again for each function. A failed call
 * fails the test.
 *
 * The rig is a lambda_rig: what that offers works here, with "NAME:$LATEST" for a function. */
#ifndef TESTS_SDK_RIG_H
#define TESTS_SDK_RIG_H

#include "shared/durable/durable.h"
#include "tests/integration/history_rules.h"
#include "tests/integration/lambda_rig.h"

struct sdk_rig_handler {
    const char *name; /* NULL ends the list */
    durable_fn *handler;
    const char *more; /* further members of the function's configuration, as JSON; NULL: none */
};
/* The test program's own. */
extern const struct sdk_rig_handler sdk_rig_handlers[];

void sdk_rig_start(struct lambda_rig *r);
/* Orders a fault of local-aws (docs/faults.md); `json` NULL: takes all back. */
void sdk_rig_fault(struct lambda_rig *r, const char *json);
/* The engine's time runs so many times as fast from now on. */
void sdk_rig_speed(struct lambda_rig *r, int speed);
/* How many orders are not used up. */
size_t sdk_rig_faults_left(struct lambda_rig *r);
/* Runs a handler to its end and asserts its status; then the history's rules. The record
 * (GetDurableExecution) is the caller's. */
struct json_object *sdk_rig_run(struct lambda_rig *r, const char *name, const char *input,
                                const char *status);
/* The same; the result's text, the caller's. */
char *sdk_rig_result(struct lambda_rig *r, const char *name, const char *input);
/* The same with an execution that fails; asserts the error's type and, where given, its message. */
void sdk_rig_fails(struct lambda_rig *r, const char *name, const char *input, const char *type,
                   const char *message);
/* How many lines of a function's log are of execution `arn` and have this message. */
int sdk_rig_logged(struct lambda_rig *r, const char *name, const char *arn, const char *message);
/* Asserts that a history breaks no rule. */
void sdk_rig_history(struct lambda_rig *r, const char *arn, struct history_facts *out);

#endif
