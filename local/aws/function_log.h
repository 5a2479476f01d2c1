/* function_log.h - what a function's processes print: DIR/logs/NAME.log, one JSON object a line,
 * each with the execution that it belongs to.
 *
 * A line that is a JSON object gets the members "executionArn" and "requestId" where it has no
 * executionArn (or durableExecutionArn) of its own; any other line becomes
 * {"timestamp","message","executionArn","requestId"}. Outside an invocation, and without a durable
 * execution, what is not known is left out. Lines over 256 KiB come in pieces. All processes of a
 * function append to one file, a line at a time. Beyond FUNCTION_LOG_MAX it becomes NAME.log.1 and
 * begins anew (log_file.h). The loop's thread only. */
#ifndef LOCAL_AWS_FUNCTION_LOG_H
#define LOCAL_AWS_FUNCTION_LOG_H

#include "local/local.h"

#define FUNCTION_LOG_MAX (16U << 20) /* bytes */

struct function_log;

/* Opens the file and a pipe; *out is the end to write to, the caller's. NULL with *err. */
struct function_log *function_log_open(const struct local *local, const char *function, int *out,
                                       struct error *err) CHECKED;
/* Writes what is there, then closes; takes NULL. */
void function_log_close(struct function_log *log);
/* Whose lines come from now on: copied; "" and NULL: nobody's. What has been printed before is
 * written first. */
void function_log_of(struct function_log *log, const char *request_id, const char *execution_arn);
/* The end of what has been printed since function_log_of named a request, as it was printed: at
 * most FUNCTION_LOG_TAIL bytes. Good until the next call; *len 0: nothing, or it is nobody's. */
#define FUNCTION_LOG_TAIL 4096 /* as much as LogType Tail gives */
const char *function_log_tail(struct function_log *log, size_t *len);
/* Writes every line that has been printed up to now. */
void function_log_drain(struct function_log *log);

/* The line as the file has it, with its newline. Pure. */
struct buf;
void function_log_line(struct buf *out, const char *line, size_t len, int64_t wall_ms,
                       const char *request_id, const char *execution_arn);

#endif
