/* step.h - what a step's body is told about itself. The body's thread only. */
#ifndef DURABLE_STEP_H
#define DURABLE_STEP_H

#include "shared/base/digest.h"
#include "shared/durable/ctx.h"

struct durable_step {
    const struct op *op;
    unsigned attempt;
    char token[DIGEST_SHA256_HEX];
};

/* The attempt that runs now. `op` must outlive it. */
void step_init(struct durable_step *step, const struct op *op);

#endif
