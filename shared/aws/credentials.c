#include "shared/aws/credentials.h"

#include <stdlib.h>

#include "shared/aws/credentials_source.h"

int credentials_get(struct credentials_source *s, struct credentials *out, struct error *err)
{
    return s->get(s, out, err);
}

void credentials_forget(struct credentials_source *s)
{
    if (s->forget)
        s->forget(s);
}

void credentials_free(struct credentials_source *s)
{
    if (s)
        s->free(s);
}

struct fixed {
    struct credentials_source source; /* first */
    char *access_key;
    char *secret_key;
    char *session_token;
};

static int fixed_get(struct credentials_source *s, struct credentials *out, struct error *err)
{
    (void)err;
    const struct fixed *f = (const struct fixed *)s;
    *out = (struct credentials){ .access_key = f->access_key,
                                 .secret_key = f->secret_key,
                                 .session_token = f->session_token };
    return 0;
}

static void fixed_free(struct credentials_source *s)
{
    struct fixed *f = (struct fixed *)s;
    mem_free_secret(f->access_key);
    mem_free_secret(f->secret_key);
    mem_free_secret(f->session_token);
    free(f);
}

struct credentials_source *credentials_fixed_new(const char *access_key, const char *secret_key,
                                                 const char *session_token, struct error *err)
{
    if (!access_key || !access_key[0] || !secret_key || !secret_key[0]) {
        error_set(err, ERR_DENIED, 0,
                  "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (ECS does)");
        return NULL;
    }
    struct fixed *f = mem_alloc(sizeof(*f));
    f->source = (struct credentials_source){ .get = fixed_get, .free = fixed_free };
    f->access_key = mem_dup(access_key);
    f->secret_key = mem_dup(secret_key);
    f->session_token = session_token && session_token[0] ? mem_dup(session_token) : NULL;
    return &f->source;
}
