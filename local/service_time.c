#include "local/service_time.h"

#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/json.h"

#define SPEED_MAX 100000
#define YEAR_S    31622400

static const char schema[] =
    "CREATE TABLE service_time (one INTEGER PRIMARY KEY CHECK (one = 1), real INTEGER NOT NULL,"
    " served INTEGER NOT NULL, speed INTEGER NOT NULL)";

struct service_time {
    struct store *store;
    sqlite3_stmt *write;
    struct clock clock;
    int64_t real_ms, served_ms; /* the services' time was so at that time of the machine */
    int64_t speed;
};

static int64_t wall_ms(void *arg)
{
    const struct service_time *t = arg;
    return t->served_ms + (clock_wall_ms(clock_system()) - t->real_ms) * t->speed;
}

static int load(struct service_time *t, struct error *err)
{
    sqlite3_stmt *read;
    if (store_schema(t->store, "service_time", 1, schema, err) < 0 ||
        !(read = store_prepare(t->store, "SELECT real, served, speed FROM service_time", err)) ||
        !(t->write = store_prepare(
              t->store, "INSERT OR REPLACE INTO service_time VALUES (1, ?1, ?2, ?3)", err)))
        return -1;
    t->speed = 1;
    if (store_step(t->store, read)) {
        t->real_ms = sqlite3_column_int64(read, 0);
        t->served_ms = sqlite3_column_int64(read, 1);
        t->speed = sqlite3_column_int64(read, 2);
    }
    store_reset(read);
    return 0;
}

struct service_time *service_time_new(struct store *store, struct error *err)
{
    struct service_time *t = mem_alloc(sizeof(*t));
    t->store = store;
    t->clock = *clock_system();
    t->clock.wall_ms = wall_ms;
    t->clock.arg = t;
    if (load(t, err) == 0)
        return t;
    free(t);
    return NULL;
}

void service_time_free(struct service_time *t)
{
    free(t);
}

const struct clock *service_time_clock(const struct service_time *t)
{
    return &t->clock;
}

int64_t service_time_real_ms(const struct service_time *t, int64_t ms)
{
    return t && ms > 0 ? (ms + t->speed - 1) / t->speed : ms;
}

int service_time_set(struct service_time *t, struct json_object *order, struct error *err)
{
    static const char *const known[] = { "speed", "advanceSeconds", NULL };
    int64_t speed = t->speed, advance_s = 0;
    if (!json_object_is_type(order, json_type_object))
        return error_set(err, ERR_INVALID, 0, "an order for the time is a JSON object");
    if (json_field_known(order, "", known, err) < 0 ||
        json_field_int(order, "", "speed", 1, SPEED_MAX, &speed, err) < 0 ||
        json_field_int(order, "", "advanceSeconds", 0, YEAR_S, &advance_s, err) < 0)
        return -1;
    int64_t now = wall_ms(t);
    t->real_ms = clock_wall_ms(clock_system());
    t->served_ms = now + advance_s * 1000;
    t->speed = speed;
    store_bind_int(t->write, 1, t->real_ms);
    store_bind_int(t->write, 2, t->served_ms);
    store_bind_int(t->write, 3, t->speed);
    store_exec(t->store, t->write);
    return 0;
}

void service_time_describe(const struct service_time *t, struct buf *out)
{
    char text[CLOCK_TEXT];
    int64_t now = clock_wall_ms(&t->clock);
    clock_format(now, text);
    buf_printf(out, "{\"now\":\"%s\",\"speed\":%" PRId64 ",\"aheadSeconds\":%" PRId64 "}", text,
               t->speed, (now - clock_wall_ms(clock_system())) / 1000);
}
