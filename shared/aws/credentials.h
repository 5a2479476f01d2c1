/* credentials.h - where the keys that sign AWS calls come from.
 *
 * A source hands out what is valid now; it may have to fetch it anew. There is one kind: keys that
 * were given at start (Lambda's own are of this kind: they last as long as their sandbox).
 * One thread at a time. */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include "shared/base/error.h"

/* Lent by the source until the next call to it. */
struct credentials {
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL for keys that last */
};

struct credentials_source;

/* 0, or -1 with *err where none can be had now. */
int credentials_get(struct credentials_source *s, struct credentials *out,
                    struct error *err) CHECKED;
/* Wipes what it holds; takes NULL. */
void credentials_free(struct credentials_source *s);

/* Copies. NULL with ERR_DENIED where access key or secret key is missing: the message names the
 * variables. An empty session token counts as none. */
struct credentials_source *credentials_fixed_new(const char *access_key, const char *secret_key,
                                                 const char *session_token,
                                                 struct error *err) CHECKED;

#endif
