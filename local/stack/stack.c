#include "local/stack/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/stack/folder.h"
#include "local/stack/stack_config.h"
#include "shared/base/digest.h"
#include "shared/base/encode.h"
#include "shared/base/opts.h"

#define READY_MS 60000
#define STOP_MS  30000

struct stack {
    char *bin_dir;
    char *state_dir;
    bool temporary;
    char *urls[4];
    char *token_keys;
    struct program *programs[2];
};

enum {
    URL_HTTP,
    URL_CALLBACKS,
    URL_OPS,
    URL_AWS
};

static int make_state_dir(struct stack *s, const char *wanted, struct error *err)
{
    if (wanted) {
        s->state_dir = mem_dup(wanted);
        if (mkdir(wanted, 0700) < 0 && errno != EEXIST)
            return error_set_errno(err, errno, "cannot make the folder %s", wanted);
        return 0;
    }
    s->state_dir = folder_new("lambda-ecs-durable", err);
    s->temporary = s->state_dir != NULL;
    return s->temporary ? 0 : -1;
}

static int write_file(const char *path, const char *text, struct error *err)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        return error_set_errno(err, errno, "cannot write %s", path);
    return 0;
}

/* The keys of the last run, or new ones: tokens must survive a restart of everything. */
static int load_keys(struct stack *s, struct error *err)
{
    auto_free char *path = mem_printf("%s/token-keys.json", s->state_dir);
    char text[512];
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    if (n > 0) {
        s->token_keys = mem_dup_len(text, (size_t)n);
        mem_wipe(text, sizeof(text));
        return 0;
    }
    uint8_t secret[48];
    auto_buf struct buf b = BUF_INIT(256);
    random_bytes(secret, sizeof(secret));
    buf_add_str(&b, "{\"k1\":\"");
    encode_base64url(&b, secret, sizeof(secret));
    buf_add_str(&b, "\"}");
    s->token_keys = buf_take(&b, NULL);
    return write_file(path, s->token_keys, err);
}

static int choose_urls(struct stack *s, const struct stack_options *o, struct error *err)
{
    const int wanted[] = { o->http_port, o->callbacks_port, o->ops_port, o->aws_port };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        int port = wanted[i] ? wanted[i] : program_free_port();
        if (port < 0)
            return error_set(err, ERR_UNAVAILABLE, 0, "no free port on the loopback interface");
        s->urls[i] = mem_printf("http://127.0.0.1:%d", port);
    }
    return 0;
}

static int start_local_aws(struct stack *s, const struct stack_options *o, struct error *err)
{
    const struct stack_config c = {
        .bin_dir = s->bin_dir,
        .callbacks_url = s->urls[URL_CALLBACKS],
        .token_keys = s->token_keys,
        .launcher_env = o->launcher_env,
        .launcher_timeout_s = o->launcher_timeout_s,
        .execution_timeout_s = o->execution_timeout_s,
        .events = o->events,
    };
    auto_free char *config = stack_config_text(&c);
    auto_free char *config_file = mem_printf("%s/local-aws.json", s->state_dir);
    auto_free char *program = mem_printf("%s/local-aws", s->bin_dir);
    auto_free char *log = mem_printf("%s/local-aws.log", s->state_dir);
    if (write_file(config_file, config, err) < 0)
        return -1;
    const char *argv[] = { program,
                           "--config",
                           config_file,
                           "--state",
                           s->state_dir,
                           "--aws-listen",
                           s->urls[URL_AWS] + strlen("http://"),
                           "--http-listen",
                           s->urls[URL_HTTP] + strlen("http://"),
                           NULL };
    /* Tests record what is called (local/record.h). */
    const char *record = opts_env(environ, "LOCAL_AWS_RECORD");
    auto_free char *record_to = mem_printf("LOCAL_AWS_RECORD=%s", record ? record : "");
    const char *env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", STACK_SANITIZER_ENV, record_to,
                          NULL };
    s->programs[STACK_LOCAL_AWS] = program_start(argv, env, log, err);
    return s->programs[STACK_LOCAL_AWS]
               ? program_wait_ready(s->programs[STACK_LOCAL_AWS], READY_MS, err)
               : -1;
}

static int start_receiver(struct stack *s, const struct stack_options *o, struct error *err)
{
    auto_free char *program = mem_printf("%s/callback-receiver", s->bin_dir);
    auto_free char *log = mem_printf("%s/callback-receiver.log", s->state_dir);
    auto_free char *listen = mem_printf("LISTEN=%s", s->urls[URL_CALLBACKS] + strlen("http://"));
    auto_free char *ops = mem_printf("OPS_LISTEN=%s", s->urls[URL_OPS] + strlen("http://"));
    auto_free char *aws = mem_printf("AWS_ENDPOINT_URL=%s", s->urls[URL_AWS]);
    auto_free char *store = mem_printf("CALLBACK_STORE=sqlite:%s/callbacks.db", s->state_dir);
    auto_free char *keys = mem_printf("CALLBACK_TOKEN_KEYS=%s", s->token_keys);
    const char *env[32];
    size_t n = 0;
    for (const char *const *p = o->receiver_env; p && *p && n < 16; p++)
        env[n++] = *p;
    const char *const own[] = { listen,
                                ops,
                                aws,
                                store,
                                keys,
                                "AWS_REGION=us-east-1",
                                "AWS_ACCESS_KEY_ID=test",
                                "AWS_SECRET_ACCESS_KEY=test",
                                "AWS_SESSION_TOKEN=callback-receiver",
                                STACK_SANITIZER_ENV };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        env[n++] = own[i];
    env[n] = NULL;
    const char *argv[] = { program, NULL };
    s->programs[STACK_RECEIVER] = program_start(argv, env, log, err);
    return s->programs[STACK_RECEIVER]
               ? program_wait_ready(s->programs[STACK_RECEIVER], READY_MS, err)
               : -1;
}

struct stack *stack_start(const struct stack_options *o, struct error *err)
{
    struct stack *s = mem_alloc(sizeof(*s));
    s->bin_dir = realpath(o->bin_dir, NULL);
    if (!s->bin_dir)
        error_set_errno(err, errno, "no folder %s with the programs", o->bin_dir);
    else if (make_state_dir(s, o->state_dir, err) == 0 && load_keys(s, err) == 0 &&
             choose_urls(s, o, err) == 0 && start_local_aws(s, o, err) == 0 &&
             start_receiver(s, o, err) == 0)
        return s;
    stack_stop(s);
    return NULL;
}

int stack_stop(struct stack *s)
{
    if (!s)
        return 0;
    int status = 0;
    for (size_t i = ARRAY_LEN(s->programs); i-- > 0;) {
        if (s->programs[i] && program_stop(s->programs[i], STOP_MS) != 0)
            status = -1;
        program_free(s->programs[i]);
    }
    if (s->temporary && folder_remove(s->state_dir, NULL) < 0)
        status = -1;
    for (size_t i = 0; i < ARRAY_LEN(s->urls); i++)
        free(s->urls[i]);
    mem_free_secret(s->token_keys);
    free(s->state_dir);
    free(s->bin_dir);
    free(s);
    return status;
}

const char *stack_http_url(const struct stack *s)
{
    return s->urls[URL_HTTP];
}

const char *stack_callbacks_url(const struct stack *s)
{
    return s->urls[URL_CALLBACKS];
}

const char *stack_ops_url(const struct stack *s)
{
    return s->urls[URL_OPS];
}

const char *stack_aws_url(const struct stack *s)
{
    return s->urls[URL_AWS];
}

const char *stack_state_dir(const struct stack *s)
{
    return s->state_dir;
}

const char *stack_token_keys(const struct stack *s)
{
    return s->token_keys;
}

struct program *stack_program(struct stack *s, enum stack_part part)
{
    return s->programs[part];
}

void stack_kill(struct stack *s, enum stack_part part)
{
    program_kill(s->programs[part]);
}

int stack_revive(struct stack *s, enum stack_part part, struct error *err)
{
    if (program_restart(s->programs[part], err) < 0)
        return -1;
    return program_wait_ready(s->programs[part], READY_MS, err);
}
