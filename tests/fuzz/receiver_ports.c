/* The receiver's two ports as they are: any bytes on a connection, through the routes, tokens,
 * bodies, the writer and a store to the answer. The first byte says to which port: 'o' for
 * operations. Of the others, four stand for what nobody can guess: the callback's public name and
 * the values of an Authorization header with the job's, the launcher's and the operator's token.
 * Without a token nothing is granted, and no answer shows the callback's own id. */
#include <signal.h>
#include <sys/time.h>

#include "callback-receiver/api.h"
#include "callback-receiver/ops.h"
#include "callback-receiver/report.h"
#include "shared/base/clock.h"
#include "shared/base/httpd.h"
#include "shared/base/mem.h"
#include "tests/fuzz/dial.h"

#define KEYS       "{\"k1\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"
#define OPS_TOKEN  "an operator's token that is long enough"
#define SECRET_ID  "dGhpcyBpcyBhIGNhbGxiYWNrJ3Mgb3duIGlk"
#define EXPIRES_S  4102444800
#define SENT_MAX   60000
#define SILENCE_US 2000
#define SILENCES   5
#define END_MS     20000 /* longer than any answer takes */

enum stand_in {
    PUBLIC_NAME = 1,
    JOB_TOKEN,
    LAUNCHER_TOKEN,
    OPERATOR_TOKEN,
    STAND_INS
};

static struct {
    struct metrics metrics;
    struct keys *keys;
    struct writer *writer;
    struct waiters *waiters;
    struct delivery *delivery;
    struct api *api;
    struct ops *ops;
    struct httpd *http[2]; /* the API's, the operations' */
    char *words[STAND_INS];
} at;

static char *seal(const struct token_keys *keys, enum token_scope scope)
{
    struct error err;
    auto_buf struct buf token = BUF_INIT(TOKEN_MAX);
    struct token_content c = { SECRET_ID, scope, EXPIRES_S };
    FUZZ_MUST(token_seal(keys, &c, &token, &err) == 0);
    return mem_printf("Bearer %s", buf_str(&token));
}

static void make_words(void)
{
    struct error err;
    char id[TOKEN_PUBLIC_ID];
    struct token_keys *keys = token_keys_new(KEYS, NULL, &err);
    FUZZ_MUST(keys);
    token_public_id(SECRET_ID, id);
    at.words[PUBLIC_NAME] = mem_dup(id);
    at.words[JOB_TOKEN] = seal(keys, TOKEN_SCOPE_JOB);
    at.words[LAUNCHER_TOKEN] = seal(keys, TOKEN_SCOPE_LAUNCHER);
    at.words[OPERATOR_TOKEN] = mem_dup("Bearer " OPS_TOKEN);
    token_keys_free(keys);
}

/* In memory where the machine has such a folder, and without a name from the start. */
static struct store *open_store(void)
{
    static const char *const files[] = { "c.db", "c.db-wal" };
    char folder[] = "/dev/shm/fuzz-XXXXXX", other[] = "/tmp/fuzz-XXXXXX";
    struct error err;
    char *dir = mkdtemp(folder);
    dir = dir ? dir : mkdtemp(other);
    FUZZ_MUST(dir);
    auto_free char *url = mem_printf("sqlite:%s/c.db", dir);
    struct store *store = store_open(url, &err);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        auto_free char *path = mem_printf("%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
    return store;
}

static void start(void)
{
    struct error err;
    struct store *store = open_store();
    signal(SIGPIPE, SIG_IGN);
    make_words();
    at.keys = keys_start(&(struct keys_config){ .json = KEYS }, &err);
    at.writer = store ? writer_start(&store, 1, NULL, NULL, &err) : NULL;
    at.waiters = waiters_start(0, &at.metrics, &err); /* nobody waits: nothing is delivered */
    FUZZ_MUST(at.keys && at.writer && at.waiters);
    at.delivery = delivery_start(&(struct delivery_config){ .writer = at.writer,
                                                            .waiters = at.waiters,
                                                            .metrics = &at.metrics },
                                 &err);
    at.api = api_new(&(struct api_config){ .keys = at.keys,
                                           .writer = at.writer,
                                           .waiters = at.waiters,
                                           .delivery = at.delivery,
                                           .metrics = &at.metrics });
    at.ops = ops_new(&(struct ops_config){
        .token = OPS_TOKEN, .writer = at.writer, .delivery = at.delivery, .metrics = &at.metrics });
    ops_set_ready(at.ops, true);
    at.http[0] = httpd_start(&(struct httpd_config){ .listen = "127.0.0.1:0",
                                                     .threads = 1,
                                                     .max_body = REPORT_BODY_MAX,
                                                     .handler = api_handle,
                                                     .on_headers = api_headers,
                                                     .too_large = api_too_large,
                                                     .overloaded = api_overloaded,
                                                     .arg = at.api },
                             &err);
    at.http[1] = httpd_start(&(struct httpd_config){ .listen = "127.0.0.1:0",
                                                     .threads = 1,
                                                     .max_body = 1024,
                                                     .handler = ops_handle,
                                                     .arg = at.ops },
                             &err);
    FUZZ_MUST(at.delivery && at.http[0] && at.http[1]);
}

/* The next input finds nothing of this one. */
static void forget(void)
{
    struct error err;
    struct store_op end = { .action = STORE_CLOSE, .text = "", .now_ms = 1 };
    struct store_op purge = { .action = STORE_PURGE, .limit = 1000 };
    struct store_op *ops[] = { &end, &purge };
    token_public_id(SECRET_ID, end.id);
    end.who = (struct callback_holder){ SECRET_ID, CALLBACK_BY_LAUNCHER, EXPIRES_S, NULL };
    purge.now_ms = INT64_C(2000) * EXPIRES_S;
    FUZZ_MUST(writer_call(at.writer, ops, 2, &err) == 0);
    store_op_release(&end);
    store_op_release(&purge);
}

/* Puts the words in; *granted tells whether a token is among them. */
static void expand(const uint8_t *data, size_t size, struct buf *out, bool *granted)
{
    *granted = false;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0 || data[i] >= STAND_INS) {
            buf_add_char(out, (char)data[i]);
            continue;
        }
        buf_add_str(out, at.words[data[i]]);
        *granted |= data[i] != PUBLIC_NAME;
    }
}

static bool says(const struct buf *b, const char *word)
{
    return memmem(buf_str(b), b->len, word, strlen(word)) != NULL;
}

/* Perhaps granted without a token: what everybody may ask, and the operations port by its own name.
 */
static bool needs_none(const struct buf *sent, bool operations)
{
    if (says(sent, "/healthz") || says(sent, "/readyz"))
        return true;
    return operations &&
           (says(sent, "127.") || says(sent, "[::1]") || strcasestr(buf_str(sent), "localhost") ||
            strlen(buf_str(sent)) < sent->len);
}

static void check(const struct buf *answer, const struct buf *sent, bool operations, bool granted)
{
    const char *text = buf_str(answer);
    if (answer->len == 0)
        return;
    FUZZ_MUST(answer->len > 12 && memcmp(text, "HTTP/1.", 7) == 0);
    FUZZ_MUST(!says(answer, SECRET_ID));
    FUZZ_MUST(text[9] != '2' || granted || needs_none(sent, operations));
}

/* Until the server closes, has answered and has nothing more to do, or waits for more itself. */
static void receive(const struct httpd *h, int fd, struct buf *answer)
{
    struct timeval silence = { .tv_usec = SILENCE_US };
    char chunk[4096];
    FUZZ_MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) == 0);
    for (int silent = 0; silent < SILENCES;) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return;
        if (n > 0)
            buf_add(answer, chunk, (size_t)n);
        else if (answer->len > 0 && httpd_active(h) == 0)
            return;
        silent = n > 0 ? 0 : silent + 1;
    }
}

/* Whatever it was, no request of it stays behind. */
static void await_end(const struct httpd *h)
{
    int64_t until = clock_mono_ms(clock_system()) + END_MS;
    while (httpd_active(h) > 0) {
        FUZZ_MUST(clock_mono_ms(clock_system()) < until);
        usleep(100);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf sent = BUF_INIT(SENT_MAX);
    auto_buf struct buf answer = BUF_INIT(64U << 20);
    bool granted;
    if (!at.http[1])
        start();
    if (size == 0)
        return 0;
    bool operations = data[0] == 'o';
    const struct httpd *h = at.http[operations];
    expand(data + 1, size - 1, &sent, &granted);
    if (buf_overflowed(&sent)) /* goes into the socket at once */
        return 0;
    int fd = dial(httpd_port(h));
    ssize_t taken = send(fd, buf_str(&sent), sent.len, MSG_NOSIGNAL);
    (void)taken; /* it may have been refused already */
    shutdown(fd, SHUT_WR);
    receive(h, fd, &answer);
    close(fd);
    await_end(h);
    check(&answer, &sent, operations, granted);
    forget();
    return 0;
}
