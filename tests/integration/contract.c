#include "tests/integration/contract.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/schema.h"

#define FILE_NAME "docs/openapi.json"
#define FILE_MAX  (1U << 20)

struct contract {
    struct json_object *file;
    struct json_object *met; /* the responses that were seen, by "METHOD PATH STATUS" */
};

struct contract *contract_open(void)
{
    struct error err = { 0 };
    struct contract *c = mem_alloc(sizeof(*c));
    auto_free char *text = mem_alloc(FILE_MAX);
    FILE *f = fopen(FILE_NAME, "r");
    cr_assert_not_null(f, FILE_NAME ": run the tests from the project's folder");
    size_t len = fread(text, 1, FILE_MAX, f);
    fclose(f);
    cr_assert_eq(json_parse(text, len, JSON_DEPTH, &c->file, &err), 0, FILE_NAME ": %s", err.msg);
    c->met = json_object_new_object();
    return c;
}

void contract_close(struct contract *c)
{
    json_object_put(c->file);
    json_object_put(c->met);
    free(c);
}

/* Segment by segment; {name} stands for any one that is not empty. */
static bool path_fits(const char *template, const char *path)
{
    size_t path_len = strcspn(path, "?");
    const char *end = path + path_len;
    while (*template && path < end) {
        size_t t = strcspn(template + 1, "/") + 1;
        size_t p = strcspn(path + 1, "/?") + 1;
        bool any = template[1] == '{' && p > 1;
        if (!any && (t != p || strncmp(template, path, t) != 0))
            return false;
        template += t;
        path += p;
    }
    return !*template && path == end;
}

static struct json_object *find_path(const struct contract *c, const char *path, const char **name)
{
    json_object_object_foreach(json_get_obj(c->file, "paths"), template, item)
    {
        *name = template;
        if (path_fits(template, path))
            return item;
    }
    return NULL;
}

static struct json_object *resolve(const struct contract *c, struct json_object *o)
{
    const char *ref = json_get_str(o, "$ref");
    return ref ? schema_resolve(c->file, ref) : o;
}

static struct json_object *find_operation(struct json_object *item, const char *method)
{
    char name[16] = "";
    for (size_t i = 0; method[i] && i + 1 < sizeof(name); i++)
        name[i] = (char)(method[i] | 0x20);
    return json_get_obj(item, name);
}

/* What is said about the answer: of the operation, of other methods, of paths that there are not.
 */
static struct json_object *find_response(struct contract *c, const char *method, const char *path,
                                         int status)
{
    const char *name = NULL;
    char code[16];
    struct json_object *item = find_path(c, path, &name);
    struct json_object *operation = find_operation(item, method);
    snprintf(code, sizeof(code), "%d", status);
    if (!item)
        return status == 404 ? schema_resolve(c->file, "#/components/responses/NotFound") : NULL;
    if (!operation)
        return status == 405 ? resolve(c, json_get_obj(item, "x-other-methods")) : NULL;
    auto_free char *key = mem_printf("%s %s %s", method, name, code);
    json_add_bool(c->met, key, true);
    return resolve(c, json_get_obj(json_get_obj(operation, "responses"), code));
}

static void check_request(struct contract *c, const char *method, const char *path,
                          const char *request)
{
    const char *name = NULL;
    struct error err = { 0 };
    auto_json struct json_object *value = NULL;
    struct json_object *body =
        json_get_obj(find_operation(find_path(c, path, &name), method), "requestBody");
    struct json_object *schema =
        json_get_obj(json_get_obj(json_get_obj(body, "content"), "application/json"), "schema");
    cr_assert_not_null(schema, "%s %s: no request body in " FILE_NAME, method, path);
    cr_assert_eq(json_parse_str(request, &value, &err), 0, "%s", err.msg);
    cr_assert_eq(schema_check(c->file, schema, value, &err), 0,
                 "%s %s took what " FILE_NAME " does not have: %s: %.300s", method, path, err.msg,
                 request);
}

void contract_check(struct contract *c, const char *method, const char *path, const char *request,
                    int status, const char *type, const char *body)
{
    struct error err = { 0 };
    auto_json struct json_object *value = NULL;
    struct json_object *content = json_get_obj(find_response(c, method, path, status), "content");
    cr_assert_not_null(content, "%s %s: %d is not in " FILE_NAME ": %s", method, path, status,
                       body);
    json_object_object_foreach(content, media, how)
    {
        cr_assert(!type || strcmp(type, media) == 0, "%s %s %d: content type %s, not %s", method,
                  path, status, type, media);
        cr_assert_eq(json_parse_str(body, &value, &err), 0, "%s", err.msg);
        cr_assert_eq(schema_check(c->file, json_get_obj(how, "schema"), value, &err), 0,
                     "%s %s %d: %s: %s", method, path, status, err.msg, body);
    }
    if (request && status < 300)
        check_request(c, method, path, request);
}

int contract_send(struct contract *c, struct api *api, const char *method, const char *path,
                  const struct http_header *headers, const char *body, struct api_answer *out)
{
    struct error err = { 0 };
    cr_assert_eq(api_send(api, method, path, headers, body, out, &err), 0, "%s", err.msg);
    contract_check(c, method, path, body, out->status, out->type ? out->type : "none", out->text);
    return out->status;
}

static void operation_complete(const struct contract *c, const char *path, const char *method,
                               struct json_object *responses)
{
    auto_free char *upper = mem_dup(method);
    for (char *p = upper; *p; p++)
        *p = (char)(*p & ~0x20);
    json_object_object_foreach(responses, status, response)
    {
        (void)response;
        auto_free char *key = mem_printf("%s %s %s", upper, path, status);
        cr_expect_not_null(json_get(c->met, key), "no test has met %s", key);
    }
}

void contract_value(struct contract *c, const char *schema, struct json_object *value)
{
    struct error err = { 0 };
    struct json_object *all = json_get_obj(json_get_obj(c->file, "components"), "schemas");
    cr_assert_not_null(json_get_obj(all, schema), FILE_NAME " has no schema %s", schema);
    cr_assert_eq(schema_check(c->file, json_get_obj(all, schema), value, &err), 0, "%s: %s: %s",
                 schema, err.msg, json_text(value, NULL));
}

void contract_complete(const struct contract *c)
{
    json_object_object_foreach(json_get_obj(c->file, "paths"), path, item)
    {
        json_object_object_foreach(item, method, operation)
        {
            struct json_object *responses = json_get_obj(operation, "responses");
            if (responses)
                operation_complete(c, path, method, responses);
        }
    }
}
