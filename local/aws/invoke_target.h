/* invoke_target.h - which function and version a name means. The loop's thread only. */
#ifndef LOCAL_AWS_INVOKE_TARGET_H
#define LOCAL_AWS_INVOKE_TARGET_H

#include "local/aws/lambda_state.h"

struct invoke_target {
    struct function *function;
    const struct config_function *config;
    const char *version; /* digits or $LATEST; borrowed from the configuration, or static */
    bool qualified;      /* a version, an alias or $LATEST was named */
};

/* Resolves "fn", "fn:1", "fn:live", an ARN, with `qualifier` (NULL: none); an alias is resolved
 * here and now. -1: ERR_INVALID, or ERR_NOT_FOUND with the service's text. */
int invoke_target_find(struct lambda *l, const char *name, const char *qualifier,
                       struct invoke_target *out, struct error *err) CHECKED;

#endif
