/* cmd_ops.h - `callback-receiver pending|dead|redeliver`: what a running receiver holds, and
 * another try for what is dead, by its operations port. One thread.
 *
 * argv[0] is the command's name. They print to standard output and return the exit status: 0, or 1
 * where something asked for was not done. -1 with *err. */
#ifndef RECEIVER_CMD_OPS_H
#define RECEIVER_CMD_OPS_H

#include "shared/base/error.h"

/* "pending" and "dead". */
int cmd_list(int argc, char *const *argv, char *const *env, struct error *err) CHECKED;
int cmd_redeliver(int argc, char *const *argv, char *const *env, struct error *err) CHECKED;

#endif
