/* names.h - the names of Lambda's durable API: patterns, ARNs, tokens and callback ids
 * (durable-protocol sections 1.3 and 1.11). Pure; any thread. */
#ifndef LOCAL_AWS_NAMES_H
#define LOCAL_AWS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/digest.h"
#include "shared/base/error.h"

/* 1 to `max` letters, digits, hyphens and underscores: operation ids, execution names, subtypes. */
bool name_is_word(const char *s, size_t max);
/* 1 to `max` printable ASCII characters: operation names. */
bool name_is_printable(const char *s, size_t max);
/* 1 to `max` characters from '!' to '~': client tokens. */
bool name_is_visible(const char *s, size_t max);
/* 1 to `max` characters of base64 with up to two '=' at the end. */
bool name_is_base64(const char *s, size_t max);

/* A tenant's id. */
bool name_is_tenant(const char *s);

/* A function as a caller writes it: "fn", "fn:1", "123456789012:function:fn:live" or a full ARN. */
struct function_name {
    char account[13]; /* "" where not given */
    char region[32];
    char name[65];
    char qualifier[129]; /* "" where not given */
};
/* `qualifier` is the Qualifier parameter, or NULL. -1: ERR_INVALID with the service's text. */
int function_name_parse(const char *text, const char *qualifier, struct function_name *out,
                        struct error *err) CHECKED;

/* arn:aws:lambda:REGION:ACCOUNT:function:NAME:VERSION/durable-execution/EXECUTION/ID */
struct execution_arn {
    char region[32];
    char account[13];
    char function[65];
    char version[24];
    char name[65];
    char id[65];
};
int execution_arn_parse(const char *text, struct execution_arn *out, struct error *err) CHECKED;

/* An opaque checkpoint token, valid only as long as somebody remembers it; '+' and '/' are in it on
 * purpose: clients must encode them. */
#define CHECKPOINT_TOKEN 128
void checkpoint_token_make(char out[CHECKPOINT_TOKEN]);

/* A callback id: names the execution (a UUID) and the operation's number, which are there to find
 * it, and holds 197 random bytes, which make it a secret. */
#define CALLBACK_ID 304
void callback_id_make(const char *execution_id, uint32_t operation, char out[CALLBACK_ID]);
/* -1 where the text can't be a callback id. It is genuine only where it equals the one kept. */
int callback_id_parse(const char *text, char execution_id[RANDOM_UUID], uint32_t *operation);

#endif
