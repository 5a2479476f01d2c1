/* runtime_api.h - Lambda's Runtime API (version 2018-06-01) for one environment
 * (durable-protocol section 2.1). The loop's thread only. */
#ifndef LOCAL_AWS_RUNTIME_API_H
#define LOCAL_AWS_RUNTIME_API_H

#include "shared/base/httpd.h"

struct environment;

/* A server without threads on a free port of the loopback interface; the caller has the loop serve
 * it and stops it. */
struct httpd *runtime_api_start(struct environment *env, struct log *log,
                                struct error *err) CHECKED;

#endif
