/* config_read.h - small readers for the files of local-aws's configuration (config.c and what it is
 * split into; not for others). Each takes the JSON pointer `at` of the object that it reads from,
 * and its messages begin with the pointer of the member. Any thread. */
#ifndef LOCAL_CONFIG_READ_H
#define LOCAL_CONFIG_READ_H

#include "shared/base/json.h"

#define CONFIG_ITEMS 256        /* of a list */
#define CONFIG_FILE  (1U << 20) /* bytes of the whole */

/* The pointer of member `key` below `at`, and that of an item; the caller's. */
char *config_below(const char *at, const char *key) CHECKED;
char *config_item(const char *at, size_t i) CHECKED;
bool config_is_digits(const char *s);
int config_check_name(const char *at, const char *name, struct error *err) CHECKED;
/* Makes what a reader found (1, 0 or -1) an error where it found nothing. */
int config_required(int found, const char *at, const char *key, struct error *err) CHECKED;
/* A string into *out, which holds the default or NULL and is freed; config_name: one that is a
 * name. 1, 0 where it is absent, or -1. */
int config_str(struct json_object *o, const char *at, const char *key, char **out,
               struct error *err) CHECKED;
int config_name(struct json_object *o, const char *at, const char *key, char **out,
                struct error *err) CHECKED;
/* A list of strings, ended by NULL; absent is an empty one. */
int config_list(struct json_object *o, const char *at, const char *key, char ***out,
                struct error *err) CHECKED;
/* The member "environment", an object of strings, as "NAME=value"; absent is an empty one. */
int config_environment(struct json_object *o, const char *at, char ***out,
                       struct error *err) CHECKED;
/* Takes NULL. */
void config_free_list(char **list);

/* config_functions.c: the members "functions" and "functionDefaults" of the root. */
struct config;
struct config_function;
int config_read_functions(struct config *c, struct json_object *root, struct error *err) CHECKED;
void config_release_function(struct config_function *f);

#endif
