/* contract.h - holds the answers of the clients' API against docs/openapi.json, and accepted
 * requests too. What the file says in a word that the checker does not know fails as well, so that
 * nothing in it goes unchecked. */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include "local/stack/api.h"
#include "shared/base/json.h"

struct contract;

/* The test fails where the file cannot be read. */
struct contract *contract_open(void);
void contract_close(struct contract *c);

/* One exchange; JSON texts, or NULL. The test fails, with the place in the answer, where the file
 * does not have it so: path and method, status, content type (NULL: not looked at), body; and the
 * request's body where it was accepted. `path` may have a query. */
void contract_check(struct contract *c, const char *method, const char *path, const char *request,
                    int status, const char *type, const char *body);
/* Sends and checks. Gives the status. */
int contract_send(struct contract *c, struct api *api, const char *method, const char *path,
                  const struct http_header *headers, const char *body, struct api_answer *out);
/* A value that the answers have somewhere in them, against a schema of the file by name. */
void contract_value(struct contract *c, const char *schema, struct json_object *value);
/* The test fails where a status of an operation has not been met yet. */
void contract_complete(const struct contract *c);

#endif
