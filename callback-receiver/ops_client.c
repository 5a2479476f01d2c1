#include "callback-receiver/ops_client.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/mem.h"

#define TIMEOUT_MS 30000

int ops_client_init(struct ops_client *c, const char *listen, const char *token, struct error *err)
{
    *c = (struct ops_client){ .token = token };
    const char *port = strrchr(listen, ':');
    if (!port || !port[1])
        return error_set(err, ERR_INVALID, 0, "OPS_LISTEN must be HOST:PORT");
    if (strncmp(listen, "0.0.0.0:", 8) == 0)
        c->base = mem_printf("http://127.0.0.1%s", port);
    else if (strncmp(listen, "[::]:", 5) == 0)
        c->base = mem_printf("http://[::1]%s", port);
    else
        c->base = mem_printf("http://%s", listen);
    c->http = http_client_new(err);
    return c->http ? 0 : -1;
}

void ops_client_release(struct ops_client *c)
{
    http_client_free(c->http);
    free(c->base);
    *c = (struct ops_client){ 0 };
}

int ops_client_ask(struct ops_client *c, const char *method, const char *path, int *status,
                   struct json_object **out, struct error *err)
{
    auto_free char *url = mem_printf("%s%s", c->base, path);
    auto_secret char *bearer = c->token ? mem_printf("Bearer %s", c->token) : NULL;
    const struct http_header headers[] = { { bearer ? "Authorization" : NULL, bearer },
                                           { NULL, NULL } };
    const struct http_request req = {
        .method = method, .url = url, .headers = headers, .timeout_ms = TIMEOUT_MS
    };
    auto_response struct http_response resp = { 0 };
    *out = NULL;
    if (http_send(c->http, &req, &resp, err) < 0)
        return error_wrap(err, "no receiver answers at %s (OPS_LISTEN)", c->base);
    *status = resp.status;
    if (resp.body.len > 0 && json_parse(resp.body.data, resp.body.len, JSON_DEPTH, out, err) < 0)
        return error_wrap(err, "what answers at %s (OPS_LISTEN) is no receiver", c->base);
    return 0;
}

int ops_client_refused(int status, const struct json_object *body, struct error *err)
{
    const char *detail = json_get_str(body, "detail");
    return error_set(err, status == 401 || status == 403 ? ERR_DENIED : ERR_UNAVAILABLE, status,
                     "%s (status %d)", detail ? detail : "the receiver refuses", status);
}
