/* must.h - what holds, or the driver says where it does not and ends. */
#ifndef RACE_MUST_H
#define RACE_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "race: %s:%d: %s: ", __FILE__, __LINE__, #condition);                  \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
