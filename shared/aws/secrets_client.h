/* secrets_client.h - the call to Secrets Manager that our programs make, a read, which is repeated
 * where no answer comes. Threads and errors: aws.h.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
#ifndef AWS_SECRETS_CLIENT_H
#define AWS_SECRETS_CLIENT_H

#include "shared/aws/aws.h"

/* GetSecretValue of the current version of `secret` (an ARN or a name). *out is its SecretString,
 * the caller's to free with mem_free_secret; NULL where it fails. ERR_INVALID where the secret is
 * binary. */
int secrets_get_string(struct aws *a, const char *secret, char **out, struct error *err) CHECKED;

#endif
