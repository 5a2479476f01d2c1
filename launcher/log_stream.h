/* log_stream.h - where a task's container logs. The log driver awslogs names its streams
 * prefix/container/task id.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
 * Pure, any thread. */
#ifndef LAUNCHER_LOG_STREAM_H
#define LAUNCHER_LOG_STREAM_H

#include "launcher/config.h"

/* The stream of the job's container in new memory; NULL where the prefix is not configured or
 * `task_arn` is NULL. */
char *log_stream_of(const struct config *c, const char *task_arn) CHECKED;

#endif
