#include "container/config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/base/opts.h"

#define URL_MAX   2000
#define TOKEN_MAX 4096
#define JOB_MAX   256
#define TABLE_MAX 24

struct table {
    struct opt items[TABLE_MAX];
    struct opts opts;
};

static void fill_table(struct table *t, struct config *cfg)
{
    const struct opt items[] = {
        { "callback-url", "CALLBACK_URL", OPT_STR, &cfg->url, NULL, 0, 0, "URL",
          "this job's callback" },
        { NULL, "CALLBACK_TOKEN", OPT_SECRET, &cfg->token, NULL, 0, 0, NULL,
          "the token that goes with it" },
        { NULL, "CALLBACK_SOCKET", OPT_STR, &cfg->socket, NULL, 0, 0, NULL,
          "of a callback-run above that has the token; it sets this itself" },
        { NULL, "CALLBACK_INPUT_FILE", OPT_STR, &cfg->input_file, NULL, 0, 0, NULL,
          "where it has put the input; it sets this itself" },
        { "hide-token", NULL, OPT_BOOL, &cfg->hide_token, "false", 0, 0, NULL,
          "keep the token from the command, whose calls then go through a socket" },
        { "no-callback", "CALLBACK_DISABLED", OPT_BOOL, &cfg->no_callback, "false", 0, 0, NULL,
          "run the command and report to nobody" },
        { "job", "JOB_NAME", OPT_STR, &cfg->job, NULL, 0, 0, "NAME",
          "goes into the report of a failure" },
        { "heartbeat", "HEARTBEAT_SECONDS", OPT_INT, &cfg->heartbeat_s, "60", 0, 86400, "SECONDS",
          "a heartbeat every third of this; 0: none" },
        { "stop-timeout", "STOP_TIMEOUT_SECONDS", OPT_INT, &cfg->stop_timeout_s, "30", 1, 86400,
          "SECONDS", "from SIGTERM until everything is over and reported" },
        { "report-deadline", NULL, OPT_INT, &cfg->report_deadline_s, "0", 0, 604800, "SECONDS",
          "how long the final report is retried; 0: while the token lives" },
        { "timeout", NULL, OPT_INT, &cfg->timeout_s, "0", 0, 31622400, "SECONDS",
          "how long the command may run; 0: without limit" },
        { "max-output", NULL, OPT_INT, &cfg->max_output, "0", 0, INT64_MAX, "BYTES",
          "how much it may write to stdout and stderr together; 0: without limit" },
        { "result", NULL, OPT_STR, &cfg->result_word, "auto", 0, 0, "WHERE",
          "last-line, file, stdout (all of it), none; auto: the file if written, else the last "
          "line" },
        { "result-file", NULL, OPT_STR, &cfg->result_file, NULL, 0, 0, "PATH",
          "where the command writes its result; CALLBACK_RESULT_FILE tells it" },
        { "no-input", NULL, OPT_BOOL, &cfg->no_input, "false", 0, 0, NULL,
          "do not fetch the job's input for CALLBACK_INPUT_FILE" },
        { "require-input", NULL, OPT_BOOL, &cfg->require_input, "false", 0, 0, NULL,
          "fail rather than start the command without its input" },
        { "input-timeout", NULL, OPT_INT, &cfg->input_timeout_s, "5", 1, 86400, "SECONDS",
          "how long the start may wait for the input" },
        { "stderr-tail", NULL, OPT_INT, &cfg->stderr_tail, "4096", 0, 20000, "BYTES",
          "how much of the end of stderr a failure carries" },
        { "temp-dir", "TMPDIR", OPT_STR, &cfg->temp_dir, "/tmp", 0, 0, "PATH",
          "where temporary files go" },
        { "log-level", NULL, OPT_STR, &cfg->level_word, "info", 0, 0, "LEVEL",
          "debug, info, warn or error, to stderr" },
    };
    _Static_assert(ARRAY_LEN(items) <= TABLE_MAX, "TABLE_MAX");
    memcpy(t->items, items, sizeof(items));
    t->opts = (struct opts){
        .program = "callback-run",
        .synopsis = "[options] -- [command [argument...]]\n"
                    "       callback-run [options] heartbeat\n"
                    "       callback-run [options] progress 0.4 [message]\n"
                    "       callback-run [options] input [pointer]\n"
                    "       callback-run [options] success [result]\n"
                    "       callback-run [options] failure [type [message]]",
        .about =
            "Runs a command as a step of a durable workflow: sends heartbeats while it works,\n"
            "reports its result, or its exit code or signal as a failure, and passes SIGTERM on.\n"
            "Without a command it does the sample's job (MESSAGE, PROCESSING_TIME). The other\n"
            "forms make one call and are for scripts that report by themselves.\n\n"
            "The exit status is the command's own, 128 + signal where one ended it; 64: used\n"
            "wrongly; 66: no input; 71: nothing could be started; 74: the report could not be\n"
            "delivered; 75: the workflow no longer waits; 124: --timeout; 126, 127: the command\n"
            "cannot be executed, is not there; 153: --max-output.",
        .table = t->items,
        .count = ARRAY_LEN(items),
    };
}

void config_release(struct config *cfg)
{
    struct table t;
    fill_table(&t, cfg);
    opts_release(&t.opts);
}

static const struct {
    const char *word;
    enum action action;
    int least, most; /* arguments */
} subcommands[] = {
    { "heartbeat", ACTION_HEARTBEAT, 0, 0 }, { "progress", ACTION_PROGRESS, 1, 2 },
    { "input", ACTION_INPUT, 0, 1 },         { "success", ACTION_SUCCESS, 0, 1 },
    { "failure", ACTION_FAILURE, 0, 2 },     { "sample", ACTION_SAMPLE, 0, -1 },
};

/* `at` is the first argument that is no flag. A command comes behind "--", so that no command's
 * name can be taken for one of ours. */
static int set_action(struct config *cfg, int argc, char *const *argv, int at, struct error *err)
{
    cfg->args = argv + at;
    cfg->arg_count = argc - at;
    cfg->action = ACTION_RUN;
    if (at >= argc || strcmp(argv[at - 1], "--") == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(subcommands); i++) {
        if (strcmp(argv[at], subcommands[i].word) != 0)
            continue;
        cfg->action = subcommands[i].action;
        cfg->args++;
        cfg->arg_count--;
        if (cfg->arg_count < subcommands[i].least ||
            (subcommands[i].most >= 0 && cfg->arg_count > subcommands[i].most))
            return error_set(err, ERR_INVALID, 0, "%s: wrong number of arguments", argv[at]);
        return 0;
    }
    return error_set(err, ERR_INVALID, 0, "%.100s: unknown; a command to run comes behind --",
                     argv[at]);
}

static bool printable(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
            return false;
    return true;
}

static int check_callback(struct config *cfg, struct error *err)
{
    if (cfg->action == ACTION_INPUT && cfg->input_file)
        return 0;
    if (cfg->no_callback) {
        if (cfg->action != ACTION_RUN)
            return error_set(err, ERR_INVALID, 0, "--no-callback: there is nobody to call then");
        return 0;
    }
    if (cfg->action != ACTION_RUN && !cfg->token && cfg->socket)
        return 0;
    if (!cfg->url)
        return error_set(err, ERR_INVALID, 0,
                         "CALLBACK_URL is not set: whom should the result be reported to? "
                         "--no-callback runs the command without reporting");
    if (!cfg->token)
        return error_set(err, ERR_INVALID, 0, "CALLBACK_TOKEN is not set");
    /* Values are not repeated: one is a secret, and they may have been mixed up. */
    size_t scheme = strncasecmp(cfg->url, "http://", 7) == 0    ? 7
                    : strncasecmp(cfg->url, "https://", 8) == 0 ? 8
                                                                : 0;
    if (!scheme || !cfg->url[scheme] || cfg->url[scheme] == '/' || strlen(cfg->url) > URL_MAX ||
        !printable(cfg->url) || strpbrk(cfg->url, "?#"))
        return error_set(err, ERR_INVALID, 0,
                         "CALLBACK_URL: must be an http or https URL without query");
    if (strlen(cfg->token) > TOKEN_MAX || !printable(cfg->token))
        return error_set(err, ERR_INVALID, 0, "CALLBACK_TOKEN: must be printable ASCII, no spaces");
    for (size_t len = strlen(cfg->url); len > 0 && cfg->url[len - 1] == '/'; len--)
        cfg->url[len - 1] = '\0';
    return 0;
}

static int check(struct config *cfg, struct error *err)
{
    if (result_mode_parse(cfg->result_word, &cfg->result) < 0)
        return error_set(err, ERR_INVALID, 0,
                         "--result: must be auto, last-line, file, stdout or none");
    if (log_level_parse(cfg->level_word, &cfg->log_level) < 0)
        return error_set(err, ERR_INVALID, 0, "--log-level: must be debug, info, warn or error");
    if (cfg->require_input && (cfg->no_input || cfg->no_callback))
        return error_set(err, ERR_INVALID, 0, "--require-input: the input is not fetched");
    if (cfg->job && strlen(cfg->job) > JOB_MAX)
        return error_set(err, ERR_INVALID, 0, "JOB_NAME: must be at most %d bytes", JOB_MAX);
    return cfg->action == ACTION_SAMPLE ? 0 : check_callback(cfg, err);
}

int config_load(struct config *cfg, int argc, char *const *argv, char *const *env,
                struct error *err)
{
    struct table t;
    fill_table(&t, cfg);
    int at = opts_load(&t.opts, argc, argv, env, err);
    if (at < 0)
        return at;
    if (set_action(cfg, argc, argv, at, err) < 0 || check(cfg, err) < 0)
        return -1;
    return 0;
}
