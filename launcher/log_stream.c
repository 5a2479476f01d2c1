#include "launcher/log_stream.h"

#include <string.h>

char *log_stream_of(const struct config *c, const char *task_arn)
{
    if (!c->log_prefix || !task_arn)
        return NULL;
    const char *slash = strrchr(task_arn, '/');
    return mem_printf("%s/%s/%s", c->log_prefix, c->container, slash ? slash + 1 : task_arn);
}
