/* demo.h - workflows of every kind on a stack of its own, shown as they go. One thread. */
#ifndef STACK_DEMO_H
#define STACK_DEMO_H

#include "shared/base/error.h"

/* Prints to standard output. 0: everything was as it should be. -1: something was not (the table
 * says what), or *err. */
int demo_run(const char *bin_dir, struct error *err) CHECKED;

#endif
