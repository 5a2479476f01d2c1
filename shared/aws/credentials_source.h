/* credentials_source.h - what each kind of source begins with; for credentials*.c. */
#ifndef AWS_CREDENTIALS_SOURCE_H
#define AWS_CREDENTIALS_SOURCE_H

#include "shared/aws/credentials.h"

struct credentials_source {
    int (*get)(struct credentials_source *s, struct credentials *out, struct error *err);
    void (*forget)(struct credentials_source *s); /* NULL: it cannot fetch anew */
    void (*free)(struct credentials_source *s);
};

#endif
