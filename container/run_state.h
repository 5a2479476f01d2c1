/* run_state.h - what run.c, run_start.c and run_end.c share: one run and its phases. One thread. */
#ifndef CONTAINER_RUN_STATE_H
#define CONTAINER_RUN_STATE_H

#include "container/broker.h"
#include "container/command.h"
#include "container/config.h"
#include "container/oom.h"
#include "container/outcome.h"
#include "container/relay.h"
#include "container/reporter.h"
#include "container/stop.h"
#include "container/tail.h"
#include "container/workspace.h"

/*  PREPARING --input, first heartbeat--> RUNNING --command ended--> DRAINING --no child is left,
 * all output read--> REPORTING --accepted or given up--> FLUSHING --output written--> DONE. A stop
 * before the start and a command that cannot be started go to REPORTING at once; without anybody to
 * report to, and when the workflow no longer waits, REPORTING is left out. */
enum phase {
    PHASE_PREPARING,
    PHASE_RUNNING,
    PHASE_DRAINING,
    PHASE_REPORTING,
    PHASE_FLUSHING,
    PHASE_DONE
};

struct run {
    const struct config *cfg;
    char *const *env;
    const struct fds *fds;
    struct log *log;
    enum phase phase;
    int signal_fd;
    struct reporter *reporter; /* NULL: nobody to report to */
    struct reporter_news news;
    struct workspace files;
    struct broker *broker; /* NULL: the command has the token itself */
    struct oom oom;
    struct command command;
    struct relay *out, *err;
    struct capture *capture;
    struct tail errors;
    int64_t output_bytes; /* on both streams */
    struct stop stop;
    int64_t started_ms, ended_ms;
    int64_t rest_ms; /* when what the command left behind is killed, and then given up */
    bool rest_killed;
    struct outcome outcome;
    char detail[sizeof(((struct error *)0)->msg)];
    struct report report;
    int64_t abandon_ms;
    bool abandoned;
    int exit_status;
};

#define RUN_ABANDON_MS 300 /* after the report's deadline */

int64_t run_now_ms(void);
/* It wrote more than --max-output. */
bool run_output_over(const struct run *r);

/* run_start.c: PREPARING. */
void run_preparing(struct run *r);
/* run_end.c: the command, or the attempt to start it, is over: its report, or none; and REPORTING.
 */
void run_conclude(struct run *r);
void run_conclude_unstarted(struct run *r, enum outcome_end end, const char *detail);
void run_finish(struct run *r, int exit_status);
void run_reporting(struct run *r);

#endif
