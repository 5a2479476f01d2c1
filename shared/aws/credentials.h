/* credentials.h - where the keys that sign AWS calls come from.
 *
 * A source hands out what is valid now; it may have to fetch it anew. There are two kinds: keys
 * that were given at start (Lambda's own are of this kind: they last as long as their sandbox), and
 * those that the container's endpoint hands out (ECS task roles, EKS Pod Identity), which are
 * fetched again before they expire. One thread at a time. */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include "shared/base/clock.h"
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
/* AWS says that what was lent last has expired: the next credentials_get fetches it anew, where the
 * source can. */
void credentials_forget(struct credentials_source *s);
/* Wipes what it holds; takes NULL. */
void credentials_free(struct credentials_source *s);

/* Copies. NULL with ERR_DENIED where access key or secret key is missing: the message names the
 * variables. An empty session token counts as none. */
struct credentials_source *credentials_fixed_new(const char *access_key, const char *secret_key,
                                                 const char *session_token,
                                                 struct error *err) CHECKED;

/* https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * NULL members are absent. */
struct credentials_container {
    const char *relative_uri; /* path at http://169.254.170.2; goes before full_uri */
    const char *full_uri;     /* https, or http to the loopback interface, 169.254.170.2,
                                 169.254.170.23 or fd00:ec2::23 */
    const char *token_file;   /* read before each fetch; goes before `token` */
    const char *token;        /* sent as Authorization */
};

/* Copies; `clock` is borrowed. Fetches nothing yet: that is credentials_get's, which then fails
 * with ERR_DENIED (whatever the cause: an operator must act), but lends what it has while that is
 * valid and the endpoint is away. NULL with ERR_INVALID for a URI that is not allowed. */
struct credentials_source *credentials_container_new(const struct credentials_container *c,
                                                     const struct clock *clock,
                                                     struct error *err) CHECKED;
/* The URL that would be asked; the caller's. NULL with ERR_INVALID. Pure. */
char *credentials_container_url(const struct credentials_container *c, struct error *err) CHECKED;

#endif
