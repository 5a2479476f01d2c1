/* trace.h - one trace from the client to the container: W3C Trace Context on HTTP and in the
 * container, X-Ray's header where Lambda carries it in between. Both have a trace id of 32
 * hexadecimal digits and a parent of 16.
 *
 *     traceparent: 00-TRACE-PARENT-FLAGS                   https://www.w3.org/TR/trace-context/
 *     X-Amzn-Trace-Id: Root=1-TRA-CE;Parent=PARENT;Sampled=1
 *     https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
 *
 * A trace never becomes part of a workflow's payload: an honest repeat comes with another one.
 * Pure, any thread. */
#ifndef LAUNCHER_TRACE_H
#define LAUNCHER_TRACE_H

#include "shared/base/mem.h"

#define TRACE_PARENT 56 /* bytes of a traceparent, with the NUL */
#define TRACE_XRAY   80 /* bytes of an X-Ray header as it is made here, with the NUL */

/* Each gives 0, or -1 where the text is not one; `out` is "" then. */
int trace_to_xray(const char *traceparent, char out[TRACE_XRAY]) CHECKED;
/* A header without Parent gets the end of the trace id as one: W3C allows none without. */
int trace_from_xray(const char *header, char out[TRACE_PARENT]) CHECKED;

#endif
