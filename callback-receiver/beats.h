/* beats.h - heartbeats to Lambda, for workflows that asked for its own heartbeat timeout.
 *
 * The store says which fall due (STORE_JUDGE), a little before; a few threads send each at its
 * time. One that fails is not repeated: the next comes a third of the period later. Reports go
 * first (pace.h). Where many were missed, because no receiver ran, they are not made up for in one
 * burst: a few go at once, the others at their next turn. Any thread. */
#ifndef RECEIVER_BEATS_H
#define RECEIVER_BEATS_H

#include "callback-receiver/metrics.h"
#include "callback-receiver/pace.h"
#include "callback-receiver/writer.h"
#include "shared/aws/aws.h"

struct beats;

struct beats_config { /* all borrowed */
    const struct aws_options *aws;
    struct writer *writer;
    struct pace *pace;
    struct metrics *metrics;
    struct log *log;
};

#define BEATS_AHEAD_MS 700 /* how long before its time a heartbeat should be here */

/* NULL with *err where the AWS configuration makes no sense or a thread cannot be had. */
struct beats *beats_start(const struct beats_config *cfg, struct error *err) CHECKED;
/* What is not sent yet is not sent any more. Takes NULL. Before the writer stops. */
void beats_stop(struct beats *b);
/* Sends those of `items` that have a time; the others are ignored. Copies. */
void beats_plan(struct beats *b, const struct store_item *items, size_t count, int64_t now_ms);

#endif
