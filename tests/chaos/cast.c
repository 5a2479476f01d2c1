#include "tests/chaos/cast.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "local/stack/stack_config.h"

#define READY_MS 60000
#define STOP_MS  30000

static int start_second(struct cast *c, const char *bin_dir, const char *store, int port,
                        struct error *err)
{
    int ops = program_free_port();
    auto_free char *program = mem_printf("%s/callback-receiver", bin_dir);
    auto_free char *log = mem_printf("%s/callback-receiver-b.log", c->folder);
    auto_free char *listen = mem_printf("LISTEN=127.0.0.1:%d", port);
    auto_free char *ops_listen = mem_printf("OPS_LISTEN=127.0.0.1:%d", ops);
    auto_free char *aws = mem_printf("AWS_ENDPOINT_URL=%s", stack_aws_url(c->stack));
    auto_secret char *keys = mem_printf("CALLBACK_TOKEN_KEYS=%s", stack_token_keys(c->stack));
    const char *argv[] = { program, NULL };
    const char *env[] = { listen,
                          ops_listen,
                          aws,
                          keys,
                          store,
                          "AWS_REGION=us-east-1",
                          "AWS_ACCESS_KEY_ID=test",
                          "AWS_SECRET_ACCESS_KEY=test",
                          "AWS_SESSION_TOKEN=callback-receiver",
                          STACK_SANITIZER_ENV,
                          NULL };
    c->second_ops = mem_printf("http://127.0.0.1:%d", ops);
    c->second = program_start(argv, env, log, err);
    return c->second ? program_wait_ready(c->second, READY_MS, err) : -1;
}

static int connect_clients(struct cast *c, struct error *err)
{
    c->aws_options = (struct aws_options){ .region = mem_dup("us-east-1"),
                                           .endpoint = mem_dup(stack_aws_url(c->stack)),
                                           .access_key = mem_dup("test"),
                                           .secret_key = mem_dup("test"),
                                           .session_token = mem_dup("chaos") };
    c->api = api_new(stack_http_url(c->stack), err);
    c->local = c->api ? api_new(stack_aws_url(c->stack), err) : NULL;
    c->aws = c->local ? aws_new(&c->aws_options, clock_system(), err) : NULL;
    return c->aws ? 0 : -1;
}

int cast_start(struct cast *c, const char *bin_dir, const char *folder, uint64_t seed,
               struct error *err)
{
    *c = (struct cast){ .folder = mem_dup(folder) };
    auto_free char *redis_dir = mem_printf("%s/redis", folder);
    auto_free char *state_dir = mem_printf("%s/state", folder);
    int ports[CAST_RECEIVERS] = { program_free_port(), program_free_port() };
    int relay_port = program_free_port();
    mkdir(redis_dir, 0700);
    c->redis = redis_server_start(redis_dir, false, err);
    if (!c->redis)
        return -1;
    auto_free char *store =
        mem_printf("CALLBACK_STORE=redis://127.0.0.1:%d", redis_server_port(c->redis));
    auto_free char *base = mem_printf("CALLBACK_BASE_URL=http://127.0.0.1:%d", relay_port);
    const char *receiver_env[] = { store, NULL };
    const char *launcher_env[] = { base, NULL };
    const struct stack_options o = { .bin_dir = bin_dir,
                                     .state_dir = state_dir,
                                     .callbacks_port = ports[0],
                                     .launcher_env = launcher_env,
                                     .receiver_env = receiver_env,
                                     .events = true };
    c->stack = stack_start(&o, err);
    if (!c->stack || start_second(c, bin_dir, store, ports[1], err) < 0)
        return -1;
    c->relay = relay_start(relay_port, ports, CAST_RECEIVERS, seed, err);
    return c->relay ? connect_clients(c, err) : -1;
}

static enum stack_part stack_part(enum cast_part part)
{
    return part == CAST_LOCAL_AWS ? STACK_LOCAL_AWS : STACK_RECEIVER;
}

void cast_kill(struct cast *c, enum cast_part part)
{
    if (c->down[part])
        return;
    c->down[part] = true;
    if (part == CAST_RECEIVER_B)
        program_kill(c->second);
    else
        stack_kill(c->stack, stack_part(part));
}

int cast_revive(struct cast *c, enum cast_part part, struct error *err)
{
    if (!c->down[part])
        return 0;
    c->down[part] = false;
    if (part != CAST_RECEIVER_B)
        return stack_revive(c->stack, stack_part(part), err);
    return program_restart(c->second, err) < 0 ? -1 : program_wait_ready(c->second, READY_MS, err);
}

int cast_revive_all(struct cast *c, struct error *err)
{
    for (int part = 0; part < CAST_PARTS; part++)
        if (cast_revive(c, (enum cast_part)part, err) < 0)
            return -1;
    return 0;
}

const char *cast_ops_url(const struct cast *c, size_t receiver)
{
    return receiver == 0 ? stack_ops_url(c->stack) : c->second_ops;
}

int cast_stop(struct cast *c)
{
    int status = 0;
    aws_free(c->aws);
    api_free(c->local);
    api_free(c->api);
    free(c->aws_options.region);
    free(c->aws_options.endpoint);
    free(c->aws_options.access_key);
    free(c->aws_options.secret_key);
    free(c->aws_options.session_token);
    relay_stop(c->relay);
    if (c->second && program_stop(c->second, STOP_MS) != 0)
        status = -1;
    program_free(c->second);
    if (stack_stop(c->stack) < 0)
        status = -1;
    redis_server_free(c->redis);
    free(c->second_ops);
    free(c->folder);
    *c = (struct cast){ 0 };
    return status;
}
