#include "callback-receiver/cmd_ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback-receiver/callback.h"
#include "callback-receiver/cmd_offline.h"
#include "callback-receiver/ops_client.h"
#include "shared/base/json.h"
#include "shared/base/mem.h"
#include "shared/base/opts.h"
#include "shared/token/token.h"

#define PAGE 200

struct ops_options {
    char *listen;
    char *token;
    char *store;
    char *state;
    int64_t limit;
    bool json;
    bool all;
    bool offline;
};

#define COMMON(o)                                                                                  \
    { "ops-listen",                                                                                \
      "OPS_LISTEN",                                                                                \
      OPT_STR,                                                                                     \
      &(o)->listen,                                                                                \
      "127.0.0.1:9091",                                                                            \
      0,                                                                                           \
      0,                                                                                           \
      "HOST:PORT",                                                                                 \
      "the receiver's operations port" },                                                          \
    {                                                                                              \
        NULL, "OPS_TOKEN", OPT_SECRET, &(o)->token, NULL, 0, 0, NULL,                              \
            "what opens it beyond the loopback interface"                                          \
    }

/* What others have written may steer a terminal: control characters are not printed. */
static void print_text(const char *s, int width)
{
    int printed = 0;
    for (const char *p = s && *s ? s : "-"; *p; p++, printed++)
        putchar((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
    for (; printed < width; printed++)
        putchar(' ');
}

static void print_row(const struct json_object *c)
{
    const char *since = json_get_str(c, "reportedAt");
    print_text(json_get_str(c, "id"), TOKEN_PUBLIC_ID);
    print_text(json_get_str(c, "state"), 13);
    print_text(since ? since : json_get_str(c, "createdAt"), 25);
    printf("%8lld  ", (long long)json_get_int(c, "attempts", 0));
    print_text(json_get_str(c, "job"), 24);
    putchar(' ');
    print_text(json_get_str(c, "lastError"), 0);
    putchar('\n');
}

static void print_page(const struct json_object *page, bool json, int64_t *left)
{
    struct json_object *list = json_get(page, "callbacks");
    for (size_t i = 0; *left > 0 && i < json_object_array_length(list); i++, (*left)--) {
        struct json_object *c = json_object_array_get_idx(list, i);
        size_t len;
        if (json)
            puts(json_text(c, &len));
        else
            print_row(c);
    }
}

static int flushed(struct error *err)
{
    return fflush(stdout) == 0 ? 0 : error_set_errno(err, errno, "write to standard output");
}

/* GET or POST of `path`, page after page: each one is handed to `page`. */
static int each_page(struct ops_client *c, const char *method, const char *path, cmd_page_fn *page,
                     void *arg, struct error *err)
{
    auto_free char *after = NULL;
    bool enough = false;
    do {
        auto_free char *url = mem_printf("%s%climit=%d%s%s", path, strchr(path, '?') ? '&' : '?',
                                         PAGE, after ? "&after=" : "", after ? after : "");
        auto_json struct json_object *body = NULL;
        int status;
        if (ops_client_ask(c, method, url, &status, &body, err) < 0)
            return -1;
        if (status != 200)
            return ops_client_refused(status, body, err);
        page(body, arg, &enough);
        const char *next = json_get_str(body, "next");
        free(after);
        after = next ? mem_dup(next) : NULL;
    } while (after && !enough);
    return 0;
}

struct listing {
    bool json;
    int64_t left;
};

static void list_page(const struct json_object *page, void *arg, bool *enough)
{
    struct listing *l = arg;
    print_page(page, l->json, &l->left);
    *enough = l->left == 0;
}

/* As ?state= of the operations port. */
static int narrow(const char *word, unsigned *states, struct error *err)
{
    for (unsigned s = 1; word && s < CALLBACK_STATES; s++)
        if (*states & 1U << s && strcmp(word, callback_state_name((enum callback_state)s)) == 0) {
            *states = 1U << s;
            return 0;
        }
    return word ? error_set(err, ERR_INVALID, 0, "--state: state is none that is listed here") : 0;
}

static int run_list(const struct ops_options *o, const char *what, struct error *err)
{
    struct ops_client c;
    struct listing l = { o->json, o->limit ? o->limit : INT64_MAX };
    auto_free char *path =
        mem_printf("/%s%s%s", what, o->state ? "?state=" : "", o->state ? o->state : "");
    unsigned states = strcmp(what, "dead") == 0 ? 1U << CALLBACK_DEAD | 1U << CALLBACK_UNCONFIRMED
                                                : 1U << CALLBACK_ACCEPTED | 1U << CALLBACK_PENDING;
    if (o->offline && narrow(o->state, &states, err) < 0)
        return -1;
    int rc = ops_client_init(&c, o->listen, o->token, err);
    if (rc == 0 && !o->json)
        printf("%-25s%-13s%-25s%8s  %-24s %s\n", "ID", "STATE", "SINCE", "ATTEMPTS", "JOB",
               "LAST ERROR");
    if (rc == 0)
        rc = o->offline ? cmd_offline_list(o->store, states, list_page, &l, err)
                        : each_page(&c, "GET", path, list_page, &l, err);
    ops_client_release(&c);
    return rc == 0 ? flushed(err) : rc;
}

int cmd_list(int argc, char *const *argv, char *const *env, struct error *err)
{
    struct ops_options o = { 0 };
    bool dead = strcmp(argv[0], "dead") == 0;
    const struct opt table[] = {
        COMMON(&o),
        { "state", NULL, OPT_STR, &o.state, NULL, 0, 0, "WORD",
          dead ? "dead or unconfirmed; both by default" : "accepted or pending; both by default" },
        { "limit", NULL, OPT_INT, &o.limit, "0", 0, INT64_MAX, "N", "at most so many; 0: all" },
        { "offline", NULL, OPT_BOOL, &o.offline, NULL, 0, 0, NULL,
          "read the store itself: where no receiver runs" },
        { "store", "CALLBACK_STORE", OPT_STR, &o.store, "sqlite:callbacks.db", 0, 0, "URL",
          "with --offline: as the receiver has it" },
        { "json", NULL, OPT_BOOL, &o.json, NULL, 0, 0, NULL, "a JSON object a line" },
    };
    const struct opts opts = { .program =
                                   dead ? "callback-receiver dead" : "callback-receiver pending",
                               .synopsis = "[options]",
                               .about = dead ? "Lists reports that Lambda will never take (dead), "
                                               "or has perhaps taken (unconfirmed)."
                                             : "Lists reports that wait for their delivery, and "
                                               "jobs that have not reported.",
                               .table = table,
                               .count = ARRAY_LEN(table) };
    http_global_init();
    int rc = opts_load(&opts, argc, argv, env, err);
    if (rc >= 0)
        rc = rc == argc ? run_list(&o, argv[0], err)
                        : error_set(err, ERR_INVALID, 0, "unknown argument %s", argv[rc]);
    http_global_cleanup();
    opts_release(&opts);
    return rc == OPTS_DONE ? 0 : rc;
}

/* ---- redeliver ------------------------------------------------------------------------------- */

static bool valid_id(const char *id)
{
    return strlen(id) == TOKEN_PUBLIC_ID - 1 &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
               TOKEN_PUBLIC_ID - 1;
}

/* Prints what comes of each; 1 where one of them is refused. */
static int redeliver_ids(struct ops_client *c, char *const *ids, struct error *err)
{
    int rc = 0;
    for (; *ids; ids++) {
        auto_json struct json_object *body = NULL;
        int status;
        if (!valid_id(*ids))
            return error_set(err, ERR_INVALID, 0,
                             "%s is no callback's public id (24 characters; `callback-receiver "
                             "dead` lists them)",
                             *ids);
        auto_free char *path = mem_printf("/redeliver/%s", *ids);
        if (ops_client_ask(c, "POST", path, &status, &body, err) < 0)
            return -1;
        const char *detail = json_get_str(body, "detail");
        printf("%s %s\n", *ids, status == 202 ? "is due again" : detail ? detail : "was refused");
        if (status == 401 || status == 403 || status == 503)
            return ops_client_refused(status, body, err);
        rc |= status != 202;
    }
    return rc;
}

static void count_page(const struct json_object *page, void *arg, bool *enough)
{
    *(int64_t *)arg += json_get_int(page, "redelivered", 0);
    *enough = false;
}

static int run_redeliver(const struct ops_options *o, char *const *ids, struct error *err)
{
    struct ops_client c;
    int64_t count = 0;
    if (o->all == (*ids != NULL))
        return error_set(err, ERR_INVALID, 0, "name either ids or --all");
    if (o->state && !o->all)
        return error_set(err, ERR_INVALID, 0, "--state goes with --all");
    auto_free char *path = mem_printf("/redeliver?state=%s", o->state ? o->state : "dead");
    int rc = ops_client_init(&c, o->listen, o->token, err);
    if (rc == 0 && o->all) {
        rc = each_page(&c, "POST", path, count_page, &count, err);
        printf("%lld are due again\n", (long long)count);
    } else if (rc == 0) {
        rc = redeliver_ids(&c, ids, err);
    }
    ops_client_release(&c);
    return rc >= 0 && flushed(err) < 0 ? -1 : rc;
}

int cmd_redeliver(int argc, char *const *argv, char *const *env, struct error *err)
{
    struct ops_options o = { 0 };
    const struct opt table[] = {
        COMMON(&o),
        { "all", NULL, OPT_BOOL, &o.all, NULL, 0, 0, NULL, "all that are dead" },
        { "state", NULL, OPT_STR, &o.state, NULL, 0, 0, "WORD",
          "with --all: dead (the default) or unconfirmed" },
    };
    const struct opts opts = { .program = "callback-receiver redeliver",
                               .synopsis = "[options] ID... | --all",
                               .about = "Makes reports that are dead or unconfirmed due once more.",
                               .table = table,
                               .count = ARRAY_LEN(table) };
    http_global_init();
    int rc = opts_load(&opts, argc, argv, env, err);
    if (rc >= 0)
        rc = run_redeliver(&o, argv + rc, err);
    http_global_cleanup();
    opts_release(&opts);
    return rc == OPTS_DONE ? 0 : rc;
}
