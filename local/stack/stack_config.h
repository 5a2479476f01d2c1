/* stack_config.h - the configuration of local-aws that makes it run this product. Any thread. */
#ifndef STACK_STACK_CONFIG_H
#define STACK_STACK_CONFIG_H

#include <stdbool.h>

/* A sanitizer's finding in a program must end it, so that a test sees it. */
#define STACK_SANITIZER_ENV "ASAN_OPTIONS=abort_on_error=1:detect_leaks=1"

struct stack_config {
    const char *bin_dir;
    const char *callbacks_url;
    const char *token_keys;
    const char *const
        *launcher_env;       /* "NAME=value", NULL-ended, before what is set here; may be NULL */
    int launcher_timeout_s;  /* 0: 60 */
    int execution_timeout_s; /* 0: a day */
    bool events;             /* a function for events, and the events that it is for */
};

/* The JSON text of the configuration file; the caller's. It holds the token keys. */
char *stack_config_text(const struct stack_config *c);

#endif
