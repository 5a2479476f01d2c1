/* token_cmd.h - `callback-receiver token`: seals a token, for tests and support. One thread. */
#ifndef RECEIVER_TOKEN_CMD_H
#define RECEIVER_TOKEN_CMD_H

#include "shared/base/error.h"

/* argv[0] is "token". Reads the callback id from standard input, so that it is in no process list,
 * and prints the token. Returns the exit status; -1 with *err. */
int token_cmd(int argc, char *const *argv, char *const *env, struct error *err) CHECKED;

#endif
