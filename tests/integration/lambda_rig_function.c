/* The function of lambda_rig.h: a test program that is started with LAMBDA_RIG_FUNCTION in its
 * environment serves the Runtime API instead of running tests. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/aws/lambda_client.h"
#include "shared/base/json.h"
#include "shared/lambda/runtime.h"

struct function {
    struct aws *aws;
    const char *arn;
    char *token;
    struct json_object *operations;
    struct json_object *input;
};

static struct json_object *find(const struct function *f, const char *id)
{
    for (size_t i = json_object_array_length(f->operations); i-- > 0;) { /* the latest record */
        struct json_object *o = json_object_array_get_idx(f->operations, i);
        if (strcmp(json_get_str(o, "Id"), id) == 0)
            return o;
    }
    return NULL;
}

static const char *status_of(const struct function *f, const char *id)
{
    struct json_object *o = find(f, id);
    return o ? json_get_str(o, "Status") : "";
}

static int checkpoint(struct function *f, const char *client_token, const char *updates,
                      struct error *err)
{
    auto_json struct json_object *answer = NULL;
    auto_free char *body =
        mem_printf("{\"CheckpointToken\":\"%s\",\"ClientToken\":\"%s\",\"Updates\":%s}", f->token,
                   client_token, updates);
    if (lambda_checkpoint(f->aws, f->arn, body, strlen(body), &answer, err) < 0)
        return -1;
    free(f->token);
    f->token = mem_dup(json_get_str(answer, "CheckpointToken"));
    struct json_object *changed =
        json_get_arr(json_get_obj(answer, "NewExecutionState"), "Operations");
    for (size_t i = 0; i < json_object_array_length(changed); i++)
        json_object_array_add(f->operations,
                              json_object_get(json_object_array_get_idx(changed, i)));
    return 0;
}

static int pending(struct buf *out)
{
    return buf_add_str(out, "{\"Status\":\"PENDING\"}");
}

static int done(struct buf *out, const char *result)
{
    buf_add_str(out, "{\"Status\":\"SUCCEEDED\",\"Result\":");
    buf_add_json_str(out, result);
    return buf_add_char(out, '}');
}

static int run_wait(struct function *f, struct buf *out, struct error *err)
{
    auto_free char *update =
        mem_printf("[{\"Id\":\"w\",\"Type\":\"WAIT\",\"Action\":\"START\",\"WaitOptions\":"
                   "{\"WaitSeconds\":%d}}]",
                   (int)json_get_int(f->input, "seconds", 1));
    if (!find(f, "w") && checkpoint(f, "a", update, err) < 0)
        return -1;
    return strcmp(status_of(f, "w"), "SUCCEEDED") == 0 ? done(out, "\"waited\"") : pending(out);
}

static int run_callback(struct function *f, struct buf *out, struct error *err)
{
    if (!find(f, "c") &&
        checkpoint(f, "a", "[{\"Id\":\"c\",\"Type\":\"CALLBACK\",\"Action\":\"START\"}]", err) < 0)
        return -1;
    struct json_object *c = find(f, "c");
    if (strcmp(json_get_str(c, "Status"), "STARTED") == 0)
        return pending(out);
    const char *result = json_get_str(json_get_obj(c, "CallbackDetails"), "Result");
    return done(out, result ? result : json_get_str(c, "Status"));
}

#define STEP(action) "[{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"" action "\"}]"

/* Ends, hangs or is slow in its first try, and answers in the second. */
static int run_trouble(struct function *f, const char *mode, struct buf *out, struct error *err)
{
    if (!find(f, "s")) {
        if (checkpoint(f, "a", STEP("START"), err) < 0)
            return -1;
        if (strcmp(mode, "exit") == 0)
            _exit(3);
        if (strcmp(mode, "error") == 0) {
            error_set(err, ERR_INTERNAL, 0, "as asked");
            error_set_type(err, "AsAsked");
            return -1;
        }
        sleep(strcmp(mode, "hang") == 0 ? 600 : 2);
    }
    return checkpoint(f, "b", STEP("SUCCEED"), err) < 0 ? -1 : done(out, "\"recovered\"");
}

/* Repeats a checkpoint, then uses its token a second time for another one. */
static int run_tokens(struct function *f, struct buf *out, struct error *err)
{
    auto_free char *first = mem_dup(f->token);
    if (checkpoint(f, "same", STEP("START"), err) < 0)
        return -1;
    auto_free char *second = mem_dup(f->token);
    free(f->token);
    f->token = mem_dup(first);
    if (checkpoint(f, "same", STEP("START"), err) < 0)
        return -1;
    bool replayed = strcmp(f->token, second) == 0;
    free(f->token);
    f->token = mem_dup(first);
    bool refused = checkpoint(f, "other", STEP("SUCCEED"), err) < 0;
    auto_free char *text = mem_printf("\"%s, %s: %s\"", replayed ? "replayed" : "not replayed",
                                      refused ? err->type : "taken", refused ? err->msg : "");
    return done(out, text);
}

/* A batch whose last update is refused leaves nothing behind, and its token is good again. */
static int run_atomic(struct function *f, struct buf *out, struct error *err)
{
    static const char half[] = "[{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"START\"},"
                               "{\"Id\":\"c\",\"Type\":\"CALLBACK\",\"Action\":\"START\"},"
                               "{\"Id\":\"w\",\"Type\":\"WAIT\",\"Action\":\"START\"}]";
    auto_json struct json_object *state = NULL;
    if (checkpoint(f, "half", half, err) == 0)
        return done(out, "\"taken\"");
    auto_free char *why = mem_dup(err->msg);
    if (lambda_get_state(f->aws, f->arn, f->token, NULL, 1000, &state, err) < 0)
        return -1;
    size_t operations = json_object_array_length(json_get_arr(state, "Operations"));
    if (checkpoint(f, "whole", STEP("START"), err) < 0)
        return -1;
    auto_free char *text = mem_printf("\"%s %zu\"", why, operations);
    return done(out, text);
}

static int run_close(struct function *f, struct buf *out, struct error *err)
{
    static const char close[] = "[{\"Id\":\"x\",\"Type\":\"EXECUTION\",\"Action\":\"SUCCEED\","
                                "\"Payload\":\"\\\"large\\\"\"}]";
    if (checkpoint(f, "a", close, err) < 0)
        return -1;
    return done(out, f->token ? "\"there was a token\"" : "");
}

/* Invokes `target` with `payload` and answers how that ended: "STATUS RESULT-OR-ERROR". */
static int run_invoke(struct function *f, struct buf *out, struct error *err)
{
    if (!find(f, "i")) {
        auto_json struct json_object *options = json_object_new_object();
        json_add_str(options, "FunctionName", json_get_str(f->input, "target"));
        json_add_str(options, "TenantId", json_get_str(f->input, "tenant"));
        auto_json struct json_object *update = json_object_new_object();
        json_add_str(update, "Id", "i");
        json_add_str(update, "Type", "CHAINED_INVOKE");
        json_add_str(update, "Action", "START");
        json_add_str(update, "Payload", json_get_str(f->input, "payload"));
        json_add(update, "ChainedInvokeOptions", json_object_get(options));
        auto_free char *updates = mem_printf("[%s]", json_text(update, NULL));
        if (checkpoint(f, "a", updates, err) < 0)
            return -1;
    }
    struct json_object *i = find(f, "i");
    struct json_object *details = json_get_obj(i, "ChainedInvokeDetails");
    const char *status = json_get_str(i, "Status"), *result = json_get_str(details, "Result");
    if (strcmp(status, "STARTED") == 0)
        return pending(out);
    auto_free char *text = mem_printf(
        "%s %s", status, result ? result : json_text(json_get_obj(details, "Error"), NULL));
    return done(out, text);
}

static bool is_open(const struct function *f, const char *id)
{
    return strcmp(status_of(f, id), "STARTED") == 0;
}

/* A step, a wait, a callback and a chained invoke, one after the other. */
static int run_all(struct function *f, struct buf *out, struct error *err)
{
    static const char step[] = "[{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"START\"},"
                               "{\"Id\":\"s\",\"Type\":\"STEP\",\"Action\":\"SUCCEED\"}]";
    static const char wait[] = "[{\"Id\":\"w\",\"Type\":\"WAIT\",\"Action\":\"START\","
                               "\"WaitOptions\":{\"WaitSeconds\":1}}]";
    static const char callback[] = "[{\"Id\":\"c\",\"Type\":\"CALLBACK\",\"Action\":\"START\"}]";
    static const char invoke[] =
        "[{\"Id\":\"i\",\"Type\":\"CHAINED_INVOKE\",\"Action\":\"START\",\"Payload\":\"[7]\","
        "\"ChainedInvokeOptions\":{\"FunctionName\":\"f:1\"}}]";
    static const struct {
        const char *id, *updates;
    } parts[] = { { "s", step }, { "w", wait }, { "c", callback }, { "i", invoke } };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!find(f, parts[i].id) && checkpoint(f, parts[i].id, parts[i].updates, err) < 0)
            return -1;
        if (is_open(f, parts[i].id))
            return pending(out);
    }
    const char *said = json_get_str(json_get_obj(find(f, "c"), "CallbackDetails"), "Result");
    const char *target = json_get_str(json_get_obj(find(f, "i"), "ChainedInvokeDetails"), "Result");
    auto_free char *text = mem_printf("%s %s", said ? said : "?", target ? target : "?");
    return done(out, text);
}

static int run(struct function *f, struct buf *out, struct error *err)
{
    const char *mode = json_get_str(f->input, "mode");
    if (!mode)
        return done(out, json_text(f->input, NULL));
    if (strcmp(mode, "wait") == 0)
        return run_wait(f, out, err);
    if (strcmp(mode, "callback") == 0)
        return run_callback(f, out, err);
    if (strcmp(mode, "all") == 0)
        return run_all(f, out, err);
    if (strcmp(mode, "tokens") == 0)
        return run_tokens(f, out, err);
    if (strcmp(mode, "atomic") == 0)
        return run_atomic(f, out, err);
    if (strcmp(mode, "close") == 0)
        return run_close(f, out, err);
    if (strcmp(mode, "invoke") == 0)
        return run_invoke(f, out, err);
    if (strcmp(mode, "fail") == 0)
        return buf_add_str(out, "{\"Status\":\"FAILED\",\"Error\":{\"ErrorType\":\"Mine\","
                                "\"ErrorMessage\":\"as asked\",\"ErrorData\":\"d\"}}");
    if (strcmp(mode, "pending") == 0)
        return pending(out);
    if (strcmp(mode, "nonsense") == 0)
        return buf_add_str(out, "[]");
    return run_trouble(f, mode, out, err);
}

/* A line for each invocation: its request id and event. */
static void note(const char *path, const struct lambda_invocation *inv)
{
    auto_close int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    auto_free char *line = mem_printf("%s %s\n", inv->request_id, inv->payload);
    if (fd >= 0 && write(fd, line, strlen(line)) < 0)
        perror(path);
}

/* The event itself, after a while or never. */
static int run_plain(struct json_object *event, const struct lambda_invocation *inv,
                     struct buf *out)
{
    const char *path = json_get_str(event, "note");
    note(path ? path : getenv("LAMBDA_RIG_NOTE"), inv);
    for (int64_t i = 1; i <= json_get_int(event, "print", 0); i++)
        fprintf(stderr, "line %lld\n", (long long)i);
    if (json_get(event, "exit"))
        _exit(7);
    sleep((unsigned)json_get_int(event, "sleep", 0));
    return buf_add_str(out, inv->payload);
}

static int handle(const struct lambda_invocation *inv, void *arg, struct buf *out,
                  struct error *err)
{
    auto_json struct json_object *event = NULL;
    auto_json struct json_object *input = NULL;
    if (json_parse(inv->payload, inv->payload_len, JSON_DEPTH, &event, err) < 0)
        return -1;
    struct function f = { .aws = arg, .arn = json_get_str(event, "DurableExecutionArn") };
    if (!f.arn)
        return run_plain(event, inv, out);
    f.operations = json_get_arr(json_get_obj(event, "InitialExecutionState"), "Operations");
    const char *text =
        json_get_str(json_get_obj(json_object_array_get_idx(f.operations, 0), "ExecutionDetails"),
                     "InputPayload");
    if (json_parse_str(text ? text : "{}", &input, err) < 0)
        return -1;
    f.input = input;
    f.token = mem_dup(json_get_str(event, "CheckpointToken"));
    int rc = run(&f, out, err);
    free(f.token);
    return rc;
}

static int serve(void)
{
    struct aws_options o = { .region = mem_dup(getenv("AWS_REGION")),
                             .endpoint = mem_dup(getenv("AWS_ENDPOINT_URL")),
                             .access_key = mem_dup(getenv("AWS_ACCESS_KEY_ID")),
                             .secret_key = mem_dup(getenv("AWS_SECRET_ACCESS_KEY")) };
    struct error err;
    http_global_init();
    struct aws *aws = aws_new(&o, clock_system(), &err);
    const struct lambda_runtime_config cfg = { .api = getenv("AWS_LAMBDA_RUNTIME_API"),
                                               .clock = clock_system() };
    if (!aws || lambda_runtime_run(&cfg, handle, aws, &err) < 0)
        fprintf(stderr, "function: %s\n", err.msg);
    return 1;
}

__attribute__((constructor)) static void serve_instead_of_tests(void)
{
    if (getenv("LAMBDA_RIG_FUNCTION"))
        _exit(serve());
}
