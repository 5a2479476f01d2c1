#include "local/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local/aws/aws_api.h"
#include "local/aws/lambda_people.h"
#include "local/console_page.h"
#include "local/service_time.h"
#include "shared/base/encode.h"
#include "shared/base/json.h"
#include "shared/base/opts.h"

#define SECRET_BYTES 32
#define SECRET_MAX   64
#define LIST_MAX     200
#define JOBS_MAX     200
#define ANSWER_MAX   (64U << 20)
#define TEXT_MAX     300000
#define LOOK_MS      150   /* how often it is looked whether something has changed */
#define WAIT_MS      25000 /* how long an answer waits for a change */
#define WAITING_MAX  32

/* A request that waits for a change. */
struct waiting {
    struct httpd_request *req;
    int64_t since;
    int64_t until_ms; /* monotonic */
};

struct console {
    const struct local *local;
    struct ecs *ecs;
    char secret[SECRET_MAX];
    char *file;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
    struct loop_timer *look;
};

/* ---- answers -----------------------------------------------------------------------------------
 */

static const struct httpd_header common[] = {
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "
      "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
    { "X-Frame-Options", "DENY" },
    { "X-Content-Type-Options", "nosniff" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cache-Control", "no-store" },
    { NULL, NULL },
};

static void answer_json(struct httpd_request *req, const struct buf *b)
{
    httpd_reply(req, 200, "application/json", b->data, b->len, common);
}

static void refuse(struct httpd_request *req, const struct error *err)
{
    int status = err->code == ERR_NOT_FOUND ? 404 : err->code == ERR_GONE ? 410 : 400;
    httpd_problem(req, status, common, "%s", err->msg);
}

/* ---- what is shown -----------------------------------------------------------------------------
 */

/* Changes with everything that is stored. */
static int64_t version(const struct console *c)
{
    return sqlite3_total_changes(store_db(c->local->store));
}

static void add_job(struct buf *out, const struct console *c, const struct ecs_task *t)
{
    const struct config *config = c->local->config;
    auto_json struct json_object *o = json_object_new_object();
    auto_free char *arn = ecs_task_arn(t, config->region, config->account_id);
    const struct ecs_container *container = t->container_count ? &t->containers[0] : NULL;
    json_add_str(o, "arn", arn);
    json_add_str(o, "family", t->family);
    json_add_str(o, "state", ecs_state_name(t->state));
    json_add_str(o, "startedBy", t->started_by);
    json_add_int(o, "created", t->created_ms);
    json_add_int(o, "started", t->started_ms);
    json_add_int(o, "stopped", t->stopped_ms);
    json_add_str(o, "stopCode", t->stop_code);
    json_add_str(o, "reason", t->stopped_reason);
    if (container && container->ended)
        json_add_int(o, "exitCode", container->exit_code);
    buf_add_str(out, json_text(o, NULL));
}

/* The newest jobs, of one execution where `id` is given: those whose startedBy ends with it. */
static void add_jobs(struct buf *out, const struct console *c, const char *id)
{
    const struct ecs_task *found[JOBS_MAX];
    size_t count = 0, len = id ? strlen(id) : 0;
    for (const struct ecs_task *t = ecs_tasks_first(ecs_tasks(c->ecs)); t; t = t->next) {
        const char *starter = t->started_by ? t->started_by : "";
        size_t by = strlen(starter);
        if (id && (by < len || strcmp(starter + by - len, id) != 0))
            continue;
        found[count++ % JOBS_MAX] = t;
    }
    size_t shown = count < JOBS_MAX ? count : JOBS_MAX;
    buf_add_char(out, '[');
    for (size_t i = 0; i < shown; i++) {
        if (i)
            buf_add_char(out, ',');
        add_job(out, c, found[(count - 1 - i) % JOBS_MAX]);
    }
    buf_add_char(out, ']');
}

static int64_t number(const struct httpd_request *req, const char *name, int64_t otherwise)
{
    auto_free char *text = httpd_query_get(req, name);
    int64_t v;
    return text && opts_int(text, 0, INT64_MAX, &v) == 0 ? v : otherwise;
}

static void begin(struct buf *b, const struct console *c)
{
    buf_printf(b, "{\"version\":%lld,\"now\":%lld,\"time\":", (long long)version(c),
               (long long)clock_wall_ms(c->local->clock));
    service_time_describe(c->local->time, b);
}

static char *text_of(const struct httpd_request *req, const char *name)
{
    char *text = httpd_query_get(req, name);
    if (text && !*text) {
        free(text);
        text = NULL;
    }
    return text;
}

static void overview(struct console *c, struct httpd_request *req)
{
    struct error err;
    auto_buf struct buf b = BUF_INIT(ANSWER_MAX);
    auto_free char *function = text_of(req, "function"), *status = text_of(req, "status"),
                   *name = text_of(req, "name");
    int64_t limit = number(req, "limit", 100);
    const struct people_filter f = { .function = function,
                                     .status = status,
                                     .name = name,
                                     .before = number(req, "before", 0),
                                     .limit = limit < LIST_MAX ? limit : LIST_MAX };
    begin(&b, c);
    buf_add_str(&b, ",\"counts\":");
    people_counts(c->local->lambda, &b);
    buf_add_str(&b, ",\"executions\":");
    if (people_executions(c->local->lambda, &f, &b, &err) < 0) {
        refuse(req, &err);
        return;
    }
    buf_add_str(&b, ",\"callbacks\":");
    people_callbacks(c->local->lambda, LIST_MAX, &b);
    buf_add_str(&b, ",\"jobs\":");
    add_jobs(&b, c, NULL);
    buf_add_str(&b, ",\"functions\":");
    lambda_describe(c->local->lambda, &b);
    buf_add_char(&b, '}');
    answer_json(req, &b);
}

static void execution(struct console *c, struct httpd_request *req)
{
    struct error err;
    auto_buf struct buf b = BUF_INIT(ANSWER_MAX);
    auto_free char *arn = text_of(req, "arn");
    arn = arn ? arn : mem_dup("");
    begin(&b, c);
    buf_add_str(&b, ",\"execution\":");
    if (people_execution(c->local->lambda, arn, number(req, "after", 0), &b, &err) < 0) {
        refuse(req, &err);
        return;
    }
    buf_add_str(&b, ",\"jobs\":");
    const char *id = strrchr(arn, '/');
    add_jobs(&b, c, id ? id + 1 : arn);
    buf_add_char(&b, '}');
    answer_json(req, &b);
}

static void show(struct console *c, struct httpd_request *req)
{
    if (strcmp(httpd_path(req), "/console/api/overview") == 0)
        overview(c, req);
    else
        execution(c, req);
}

/* ---- waiting for a change ----------------------------------------------------------------------
 */

static void look(void *arg)
{
    struct console *c = arg;
    int64_t now = clock_mono_ms(clock_system()), v = version(c);
    size_t kept = 0;
    c->look = NULL;
    for (size_t i = 0; i < c->waiting_count; i++) {
        struct waiting w = c->waiting[i];
        if (httpd_peer_gone(w.req))
            httpd_abort(w.req);
        else if (v != w.since)
            show(c, w.req);
        else if (now >= w.until_ms)
            httpd_reply(w.req, 204, NULL, NULL, 0, common);
        else
            c->waiting[kept++] = w;
    }
    c->waiting_count = kept;
    if (kept > 0)
        c->look = loop_after(c->local->loop, LOOK_MS, look, c);
}

static void show_or_wait(struct console *c, struct httpd_request *req)
{
    int64_t since = number(req, "since", -1);
    if (since != version(c) || c->waiting_count == WAITING_MAX) {
        show(c, req);
        return;
    }
    httpd_park(req);
    c->waiting[c->waiting_count++] = (struct waiting){
        .req = req, .since = since, .until_ms = clock_mono_ms(clock_system()) + WAIT_MS
    };
    if (!c->look)
        c->look = loop_after(c->local->loop, LOOK_MS, look, c);
}

/* ---- buttons -----------------------------------------------------------------------------------
 */

static int read_action(const char *word, enum people_action *action, struct error *err)
{
    static const char *const words[] = { "succeed", "fail", "heartbeat" };
    for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
        if (strcmp(words[i], word) == 0) {
            *action = (enum people_action)i;
            return 0;
        }
    return error_set(err, ERR_INVALID, 0, "/action: must be succeed, fail or heartbeat");
}

static int complete(struct console *c, struct json_object *o, struct error *err)
{
    static const char *const known[] = { "arn", "operation", "action", "text", NULL };
    const char *arn = NULL, *operation = NULL, *word = NULL, *text = NULL;
    enum people_action action = PEOPLE_SUCCEED;
    if (json_field_known(o, "", known, err) < 0 ||
        json_field_str(o, "", "arn", 1024, &arn, err) < 0 ||
        json_field_str(o, "", "operation", 64, &operation, err) < 0 ||
        json_field_str(o, "", "action", 16, &word, err) < 0 ||
        json_field_str(o, "", "text", TEXT_MAX, &text, err) < 0 ||
        read_action(word, &action, err) < 0)
        return -1;
    if (!arn || !operation)
        return error_set(err, ERR_INVALID, 0, "/arn and /operation are needed");
    return people_callback(c->local->lambda, arn, operation, action, text, err);
}

static int stop(struct console *c, struct json_object *o, struct error *err)
{
    static const char *const known[] = { "arn", NULL };
    const char *arn = NULL;
    if (json_field_known(o, "", known, err) < 0 ||
        json_field_str(o, "", "arn", 1024, &arn, err) < 0)
        return -1;
    if (!arn)
        return error_set(err, ERR_INVALID, 0, "/arn is needed");
    return people_stop(c->local->lambda, arn, err);
}

static void act(struct console *c, struct httpd_request *req,
                int (*what)(struct console *, struct json_object *, struct error *))
{
    struct error err;
    auto_json struct json_object *o = NULL;
    size_t len;
    const char *body = httpd_body(req, &len);
    const char *type = httpd_header(req, "Content-Type");
    if (!type || strncmp(type, "application/json", 16) != 0) {
        httpd_problem(req, 415, common, "The body must be application/json.");
        return;
    }
    if (json_parse(body, len, JSON_DEPTH, &o, &err) < 0 ||
        (!json_object_is_type(o, json_type_object) &&
         error_set(&err, ERR_INVALID, 0, "must be a JSON object") < 0) ||
        what(c, o, &err) < 0)
        refuse(req, &err);
    else
        httpd_reply(req, 200, "application/json", "{}", 2, common);
}

/* ---- requests ----------------------------------------------------------------------------------
 */

static bool knows_secret(const struct console *c, const struct httpd_request *req)
{
    const char *given = httpd_header(req, "X-Console-Secret");
    return given && strlen(given) == strlen(c->secret) &&
           digest_equal(given, c->secret, strlen(given));
}

static void api(struct console *c, struct httpd_request *req, bool is_get, bool is_post)
{
    const char *path = httpd_path(req);
    if (!knows_secret(c, req))
        httpd_problem(req, 401, common,
                      "The secret of this start is missing: it is in the address in %s.", c->file);
    else if (is_get && (strcmp(path, "/console/api/overview") == 0 ||
                        strcmp(path, "/console/api/execution") == 0))
        show_or_wait(c, req);
    else if (is_post && strcmp(path, "/console/api/callback") == 0)
        act(c, req, complete);
    else if (is_post && strcmp(path, "/console/api/stop") == 0)
        act(c, req, stop);
    else
        httpd_problem(req, 404, common, "There is nothing at this path.");
}

static void handle(struct httpd_request *req, void *arg)
{
    struct console *c = arg;
    const char *path = httpd_path(req), *site = httpd_header(req, "Sec-Fetch-Site");
    bool is_get = strcmp(httpd_method(req), "GET") == 0;
    bool is_post = strcmp(httpd_method(req), "POST") == 0;
    const struct console_file *file = console_file(path);
    if (strncmp(path, "/console/api/", 13) == 0) {
        if (site && strcmp(site, "same-origin") != 0)
            httpd_problem(req, 403, common, "Other pages are not served here.");
        else
            api(c, req, is_get, is_post);
    } else if (file && is_get) {
        httpd_reply(req, 200, file->type, file->data, file->len, common);
    } else {
        httpd_problem(req, file ? 405 : 404, common, "There is nothing at this path.");
    }
}

/* ---- life --------------------------------------------------------------------------------------
 */

/* An address that a browser on this machine can use, also where all interfaces are listened on. */
static char *own_url(const char *url)
{
    static const char *const any[] = { "http://0.0.0.0:", "http://[::]:" };
    for (size_t i = 0; i < ARRAY_LEN(any); i++)
        if (strncmp(url, any[i], strlen(any[i])) == 0)
            return mem_printf("http://127.0.0.1:%s", url + strlen(any[i]));
    return mem_dup(url);
}

/* The page's address, for the user's eyes only. */
static int write_address(const struct console *c, struct error *err)
{
    auto_free char *url = own_url(c->local->aws_url);
    auto_secret char *text = mem_printf("%s/console#%s\n", url, c->secret);
    size_t len = strlen(text);
    if (unlink(c->file) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "cannot replace %s", c->file);
    auto_close int fd = open(c->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        return error_set_errno(err, errno, "cannot write %s", c->file);
    return 0;
}

struct console *console_new(const struct local *local, struct ecs *ecs, struct error *err)
{
    uint8_t bytes[SECRET_BYTES];
    auto_buf struct buf secret = BUF_INIT(SECRET_MAX - 1);
    struct console *c = mem_alloc(sizeof(*c));
    c->local = local;
    c->ecs = ecs;
    random_bytes(bytes, sizeof(bytes));
    encode_base64url(&secret, bytes, sizeof(bytes));
    memcpy(c->secret, secret.data, secret.len);
    mem_wipe(secret.data, secret.len);
    c->file = mem_printf("%s/console.url", store_dir(local->store));
    if (write_address(c, err) < 0) {
        console_free(c);
        return NULL;
    }
    aws_api_set_pages(local->api, "/console", handle, c);
    log_info(local->log, log_event("console"), log_str("addressIn", c->file));
    return c;
}

void console_free(struct console *c)
{
    if (!c)
        return;
    loop_cancel(c->local->loop, c->look);
    while (c->waiting_count > 0)
        httpd_abort(c->waiting[--c->waiting_count].req);
    aws_api_set_pages(c->local->api, NULL, NULL, NULL);
    mem_wipe(c->secret, sizeof(c->secret));
    free(c->file);
    free(c);
}
