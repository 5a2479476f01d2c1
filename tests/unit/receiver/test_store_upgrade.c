/* What the version before has written is read, goes on, and is brought to this version's form. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callback-receiver/columns.h"
#include "callback-receiver/redis_record.h"
#include "callback-receiver/redis_scripts.h"
#include "callback-receiver/store.h"
#include "shared/base/mem.h"
#include "tests/redis_server.h"

#define CALLBACK_ID "QQ=="
#define EXPIRES     4102444800 /* s */

/* The file as schema 1 made it, with one report that was on its way. */
static const char schema_1[] =
    "CREATE TABLE callback ("
    " id TEXT PRIMARY KEY, callback_id TEXT NOT NULL, state INTEGER NOT NULL,"
    " registered INTEGER NOT NULL, registration BLOB NOT NULL, workflow TEXT NOT NULL,"
    " job TEXT NOT NULL, heartbeat_s INTEGER NOT NULL, start_timeout_s INTEGER NOT NULL,"
    " expires_s INTEGER NOT NULL, created_ms INTEGER NOT NULL, first_contact_ms INTEGER NOT NULL,"
    " last_contact_ms INTEGER NOT NULL, first_heartbeat_ms INTEGER NOT NULL,"
    " judge_ms INTEGER NOT NULL, reported_ms INTEGER NOT NULL, delivered_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, report_by INTEGER NOT NULL, report_kind INTEGER NOT NULL,"
    " report_media INTEGER NOT NULL, report_sha BLOB NOT NULL, attempts INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, due_ms INTEGER NOT NULL, in_flight INTEGER NOT NULL,"
    " unanswered INTEGER NOT NULL, last_error TEXT NOT NULL, outcome TEXT NOT NULL,"
    " traceparent TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX callback_due ON callback (due_ms) WHERE due_ms > 0;"
    "CREATE INDEX callback_judge ON callback (judge_ms) WHERE judge_ms > 0;"
    "CREATE INDEX callback_state ON callback (state, created_ms);"
    "CREATE INDEX callback_expires ON callback (expires_s);"
    "CREATE TABLE payload (id TEXT NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL,"
    " UNIQUE (id, kind));"
    "CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), at_ms INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

static void run(struct store *s, struct store_op *op)
{
    struct error err;
    cr_assert_eq(store_run(s, &op, 1, &err), 0, "%s", err.msg);
}

static struct store_op make(enum store_action action, const char *callback_id)
{
    struct store_op op = { .action = action, .now_ms = 5000, .limit = 10, .lease_ms = 60000 };
    token_public_id(callback_id, op.id);
    op.who = (struct callback_holder){ callback_id, CALLBACK_BY_LAUNCHER, EXPIRES, NULL };
    op.registration.workflow = op.registration.job = "";
    op.registration.heartbeat_s = 60;
    return op;
}

/* It is delivered, and what is new works beside it. */
static void goes_on(const char *url)
{
    struct error err;
    struct store *s = store_open(url, &err);
    cr_assert_not_null(s, "%s", err.msg);
    struct store_op claim = make(STORE_CLAIM, CALLBACK_ID),
                    finish = make(STORE_FINISH, CALLBACK_ID);
    run(s, &claim);
    cr_assert_eq(claim.count, 1);
    const struct callback *c = &claim.items[0].record;
    cr_assert_str_eq(c->callback_id, CALLBACK_ID);
    cr_assert_str_eq(c->workflow, "old");
    cr_assert_eq(c->attempts, 3);
    cr_assert_eq(c->engine_heartbeat_s, 0);
    cr_assert_str_eq(claim.items[0].body.text, "[1]");
    struct store_op count = make(STORE_COUNT, CALLBACK_ID);
    run(s, &count);
    cr_assert_eq(count.oldest_ms, 1000, "%lld", (long long)count.oldest_ms);
    finish.attempt = (struct callback_attempt){ CALLBACK_ATTEMPT_OK, "", 0 };
    run(s, &finish);
    cr_assert_eq(finish.record.state, CALLBACK_DELIVERED);
    struct store_op reg = make(STORE_REGISTER, "QUE=");
    reg.registration.engine_heartbeat_s = 30;
    run(s, &reg);
    cr_assert_eq(reg.verdict, CALLBACK_CREATED);
    cr_assert_gt(reg.record.beat_ms, 0);
    store_op_release(&claim);
    store_op_release(&finish);
    store_op_release(&count);
    store_op_release(&reg);
    store_close(s);
    s = store_open(url, &err);
    cr_assert_not_null(s, "%s", err.msg);
    struct store_op again = make(STORE_READ, "QUE=");
    run(s, &again);
    cr_assert_eq(again.record.engine_heartbeat_s, 30);
    store_op_release(&again);
    store_close(s);
}

/* A record of the first version: two attempts have failed, another is due. */
static struct callback old_record(void)
{
    struct callback c = { .state = CALLBACK_ACCEPTED,
                          .registered = true,
                          .workflow = "old",
                          .heartbeat_s = 60,
                          .expires_s = EXPIRES,
                          .created_ms = 500,
                          .reported_ms = 1000,
                          .report_by = CALLBACK_BY_JOB,
                          .report_kind = CALLBACK_SUCCESS,
                          .report_media = CALLBACK_JSON,
                          .attempts = 2,
                          .failures = 2,
                          .due_ms = 4000,
                          .last_error = "throttled" };
    token_public_id(CALLBACK_ID, c.id);
    memcpy(c.callback_id, CALLBACK_ID, sizeof(CALLBACK_ID));
    return c;
}

Test(store_upgrade, a_file_of_schema_1)
{
    char dir[] = "/tmp/test_upgrade_XXXXXX", id[TOKEN_PUBLIC_ID];
    cr_assert_not_null(mkdtemp(dir));
    auto_free char *file = mem_printf("%s/c.db", dir);
    auto_free char *url = mem_printf("sqlite:%s", file);
    token_public_id(CALLBACK_ID, id);
    auto_free char *row = mem_printf(
        "INSERT INTO callback VALUES ('%s','" CALLBACK_ID "',2,1,zeroblob(32),'old','',60,0,%lld,"
        "500,0,0,0,0,1000,0,0,1,1,1,zeroblob(32),2,2,4000,0,0,'throttled','','');"
        "INSERT INTO payload VALUES ('%s',1,'[1]');",
        id, (long long)EXPIRES, id);
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, schema_1, NULL, NULL, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, row, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    goes_on(url);
    unlink(file);
    rmdir(dir);
}

Test(store_upgrade, records_of_format_1_in_redis)
{
    struct redis_server redis;
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&redis, NULL);
    if (!redis.program)
        return;
    struct callback c = old_record();
    auto_buf struct buf record = BUF_INIT(REDIS_RECORD_MAX);
    redis_record_write(&record, &c);
    cr_assert_eq(record.data[0], 1, "what has nothing new is written as before");
    redisContext *conn = redis_server_connect(&redis);
    freeReplyObject(redisCommand(conn, "HSET %sr:%s v 7 r %b 1 [1]", REDIS_PREFIX, c.id,
                                 record.data, record.len));
    redisFree(conn);
    redis_server_say(&redis, "SET %sschema 1", REDIS_PREFIX);
    redis_server_say(&redis, "ZADD %sstate:2 500 %s", REDIS_PREFIX, c.id);
    redis_server_say(&redis, "ZADD %sdue 4000 %s", REDIS_PREFIX, c.id);
    goes_on(redis.url);
    redis_server_stop(&redis);
}

Test(store_upgrade, a_record_is_of_the_lowest_version_that_has_its_fields)
{
    struct callback c = old_record(), back;
    struct error err;
    c.engine_heartbeat_s = 30;
    auto_buf struct buf record = BUF_INIT(REDIS_RECORD_MAX);
    redis_record_write(&record, &c);
    cr_assert_eq(record.data[0], 2);
    cr_assert_eq(redis_record_read(record.data, record.len, c.id, &back, &err), 0, "%s", err.msg);
    cr_assert_eq(back.engine_heartbeat_s, 30);
    record.data[0] = 1; /* the first version had no such field */
    cr_assert_eq(redis_record_read(record.data, record.len, c.id, &back, &err), -1);
    cr_assert_eq(err.code, ERR_PROTOCOL);
    record.data[0] = COLUMNS_VERSION + 1;
    cr_assert_eq(redis_record_read(record.data, record.len, c.id, &back, &err), -1);
    cr_assert_eq(err.code, ERR_CONFLICT);
}
