/* workflow_id.h - the public name of a workflow: `function.version.name.executionId`.
 *
 * It says everything that a durable execution's ARN says but where it is; with the partition,
 * region and account of our own functions the ARN is built again, so that finding an execution
 * takes no look-up. Also the words that follow from it: startedBy. Pure, any thread. */
#ifndef LAUNCHER_WORKFLOW_ID_H
#define LAUNCHER_WORKFLOW_ID_H

#include <stdbool.h>

#include "shared/base/mem.h"

#define WORKFLOW_ID_PART 64                         /* characters of a part at most */
#define WORKFLOW_ID_TEXT (4 * WORKFLOW_ID_PART + 4) /* of the whole, with the NUL */
#define WORKFLOW_ARN     512
#define WORKFLOW_STARTED 80 /* of "durable/ID" with the NUL */

struct workflow_id {
    char function[WORKFLOW_ID_PART + 1];
    char version[WORKFLOW_ID_PART + 1]; /* digits or $LATEST, never an alias */
    char name[WORKFLOW_ID_PART + 1];
    char execution[WORKFLOW_ID_PART + 1];
};

/* "aws", "us-east-1", "123456789012". */
struct workflow_place {
    char partition[32];
    char region[32];
    char account[13];
};

/* Strict; -1 where the text is not one. */
int workflow_id_parse(struct workflow_id *id, const char *text) CHECKED;
/* The same for a durable execution's ARN; `place` may be NULL. */
int workflow_id_from_arn(struct workflow_id *id, struct workflow_place *place,
                         const char *arn) CHECKED;
/* The place in any ARN of a Lambda function. */
int workflow_place_from_arn(struct workflow_place *place, const char *arn) CHECKED;

void workflow_id_text(const struct workflow_id *id, char out[WORKFLOW_ID_TEXT]);
void workflow_id_arn(const struct workflow_id *id, const struct workflow_place *place,
                     char out[WORKFLOW_ARN]);
/* What every task of the execution is started by. */
void workflow_id_started_by(const struct workflow_id *id, char out[WORKFLOW_STARTED]);

#endif
