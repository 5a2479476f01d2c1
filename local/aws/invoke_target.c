#include "local/aws/invoke_target.h"

#include <string.h>

static int not_found(const struct lambda *l, const struct function_name *n, struct error *err)
{
    const struct config *c = l->local->config;
    return error_set(
        err, ERR_NOT_FOUND, 0, "Function not found: arn:aws:lambda:%s:%s:function:%s%s%s",
        n->region[0] ? n->region : c->region, n->account[0] ? n->account : c->account_id, n->name,
        n->qualifier[0] ? ":" : "", n->qualifier);
}

static const char *resolve(const struct config_function *f, const char *qualifier)
{
    if (!qualifier[0] || strcmp(qualifier, "$LATEST") == 0)
        return "$LATEST";
    if (strcmp(qualifier, f->version) == 0)
        return f->version;
    for (size_t i = 0; i < f->alias_count; i++)
        if (strcmp(qualifier, f->aliases[i].name) == 0)
            return f->aliases[i].version;
    return NULL;
}

int invoke_target_find(struct lambda *l, const char *name, const char *qualifier,
                       struct invoke_target *out, struct error *err)
{
    struct function_name n;
    if (function_name_parse(name, qualifier, &n, err) < 0)
        return -1;
    const struct config *c = l->local->config;
    if ((n.account[0] && strcmp(n.account, c->account_id) != 0) ||
        (n.region[0] && strcmp(n.region, c->region) != 0) ||
        !(out->function = map_get(&l->by_name, n.name)))
        return not_found(l, &n, err);
    out->config = function_config(out->function);
    out->qualified = n.qualifier[0] != '\0';
    out->version = resolve(out->config, n.qualifier);
    return out->version ? 0 : not_found(l, &n, err);
}
