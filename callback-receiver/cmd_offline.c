#include "callback-receiver/cmd_offline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callback-receiver/store.h"
#include "callback-receiver/view.h"
#include "shared/base/clock.h"

#define PAGE 200

/* To open a SQLite store makes it, which is not what was asked for. */
static int is_there(const char *url, struct error *err)
{
    static const char sqlite[] = "sqlite:";
    bool file = strncmp(url, sqlite, strlen(sqlite)) == 0;
    return file && access(url + strlen(sqlite), F_OK) < 0
               ? error_set(err, ERR_NOT_FOUND, 0, "there is no store at %s (CALLBACK_STORE)",
                           url + strlen(sqlite))
               : 0;
}

static int list_page(struct store *s, struct store_op *op, cmd_page_fn *page, void *arg,
                     bool *enough, struct error *err)
{
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *list = json_object_new_array();
    json_add(o, "callbacks", list);
    if (store_run(s, &op, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < op->count; i++)
        json_push(list, view_callback(&op->items[i].record, NULL, NULL));
    page(o, arg, enough);
    op->after = op->last;
    *enough |= op->last.state == 0;
    return 0;
}

int cmd_offline_list(const char *url, unsigned states, cmd_page_fn *page, void *arg,
                     struct error *err)
{
    struct store_op op = { .action = STORE_LIST,
                           .states = states,
                           .limit = PAGE,
                           .now_ms = clock_wall_ms(clock_system()) };
    struct store *s = is_there(url, err) == 0 ? store_open(url, err) : NULL;
    bool enough = false;
    int rc = s ? 0 : -1;
    while (rc == 0 && !enough)
        rc = list_page(s, &op, page, arg, &enough, err);
    store_op_release(&op);
    store_close(s);
    return rc;
}
