/* commands.h - what people ask a running local-aws on the command line:
 *
 *   local-aws functions                     the functions and their environments
 *   local-aws executions                    the newest executions; --function, --status, --limit
 *   local-aws history ARN                   what happened, event by event; also by name or id
 *   local-aws stop ARN
 *   local-aws callback succeed ID [RESULT]  RESULT - is read from standard input
 *   local-aws callback fail ID [TYPE [MESSAGE]]
 *   local-aws callback heartbeat ID
 *   local-aws console --state DIR           the address of the console, with its secret
 *
 * They are clients: they sign with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the first
 * credential of --config FILE, and ask AWS_ENDPOINT_URL (http://127.0.0.1:4566). One thread. */
#ifndef LOCAL_COMMANDS_H
#define LOCAL_COMMANDS_H

#include <stdbool.h>

#include "shared/base/error.h"

bool commands_has(const char *word);
/* Does what argv says (argv[1] is the command's word); 0, or -1 with *err. */
int commands_run(int argc, char **argv, struct error *err) CHECKED;

#endif
