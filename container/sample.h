/* sample.h - the job of AWS's sample: waits for a while and says what it has processed.
 *
 * `callback-run sample` does it as a command of its own, which callback-run runs where it was given
 * none: heartbeats, signals and the report are those of any command. */
#ifndef CONTAINER_SAMPLE_H
#define CONTAINER_SAMPLE_H

#include "shared/base/error.h"

/* `argv` begins with the subcommand's own name. MESSAGE and PROCESSING_TIME come from `env` or
 * flags. Writes {"status","message","processingTime","timestamp"} and a newline to `fd`. 0,
 * OPTS_DONE, or -1 with *err. */
int sample_run(int argc, char *const *argv, char *const *env, int fd, struct error *err) CHECKED;

#endif
