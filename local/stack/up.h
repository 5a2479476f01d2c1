/* up.h - the stack, kept running until a signal. One thread. */
#ifndef STACK_UP_H
#define STACK_UP_H

#include "local/stack/stack.h"

/* Prints the URLs and commands to try, waits for SIGINT or SIGTERM (signals_block has been called)
 * and stops everything. */
int up_run(const struct stack_options *options, struct error *err) CHECKED;

#endif
