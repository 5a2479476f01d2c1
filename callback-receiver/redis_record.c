#include "callback-receiver/redis_record.h"

#include <string.h>

#include "callback-receiver/columns.h"

enum wire {
    WIRE_NUMBER = 1,
    WIRE_BYTES
};

static void put_bytes(struct buf *out, uint8_t tag, const char *p, size_t len)
{
    const uint8_t head[] = { tag, WIRE_BYTES, (uint8_t)(len >> 8), (uint8_t)len };
    buf_add(out, head, sizeof(head));
    buf_add(out, p, len);
}

static void put_number(struct buf *out, uint8_t tag, int64_t number)
{
    uint8_t bytes[10] = { tag, WIRE_NUMBER };
    for (int i = 0; i < 8; i++)
        bytes[2 + i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    buf_add(out, bytes, sizeof(bytes));
}

static bool all_zero(const char *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static bool is_bytes(const struct column *col)
{
    return col->type == COLUMN_TEXT || col->type == COLUMN_HASH;
}

static size_t bytes_of(const struct column *col, const struct callback *c)
{
    return col->type == COLUMN_TEXT ? strlen(column_bytes(col, c)) : col->size;
}

/* The field is not zero. */
static bool holds(const struct column *col, const struct callback *c)
{
    return is_bytes(col) ? !all_zero(column_bytes(col, c), bytes_of(col, c))
                         : column_get(col, c) != 0;
}

void redis_record_write(struct buf *out, const struct callback *c)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    uint8_t version = 1;
    for (size_t i = 0; i < count; i++)
        if (columns[i].since > version && holds(&columns[i], c))
            version = columns[i].since;
    buf_add_char(out, (char)version);
    for (size_t i = 0; i < count; i++) {
        const struct column *col = &columns[i];
        uint8_t tag = (uint8_t)(i + 1);
        if (!holds(col, c))
            continue;
        if (is_bytes(col))
            put_bytes(out, tag, column_bytes(col, c), bytes_of(col, c));
        else
            put_number(out, tag, column_get(col, c));
    }
}

static int bad(struct error *err, const char *what)
{
    return error_set(err, ERR_PROTOCOL, 0, "a stored callback makes no sense: %s", what);
}

/* Reads one field at *p; NULL: it is broken. */
static const char *read_field(const char *p, const char *end, const struct column *col,
                              struct callback *c)
{
    const uint8_t *u = (const uint8_t *)p;
    bool bytes = is_bytes(col);
    size_t left = (size_t)(end - p);
    if (left < 4 || u[1] != (bytes ? WIRE_BYTES : WIRE_NUMBER))
        return NULL;
    if (bytes) {
        size_t len = (size_t)u[2] << 8 | u[3];
        bool fits =
            col->type == COLUMN_HASH
                ? len == col->size
                : len < col->size && memchr(p + 4, '\0', len < left - 4 ? len : left - 4) == NULL;
        if (len > left - 4 || !fits)
            return NULL;
        column_set_bytes(col, c, p + 4, len);
        return p + 4 + len;
    }
    if (left < 10)
        return NULL;
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | u[2 + i];
    column_set(col, c, (int64_t)number);
    return p + 10;
}

int redis_record_read(const char *p, size_t len, const char *id, struct callback *c,
                      struct error *err)
{
    size_t count;
    const struct column *columns = columns_all(&count);
    const char *end = p + len;
    memset(c, 0, sizeof(*c));
    if (len == 0)
        return bad(err, "it is empty");
    uint8_t version = (uint8_t)*p++;
    if (version > COLUMNS_VERSION)
        return error_set(err, ERR_CONFLICT, 0,
                         "a stored callback has format %u, this program knows up to %d",
                         (unsigned)version, COLUMNS_VERSION);
    if (version == 0)
        return bad(err, "its version");
    while (p < end) {
        size_t tag = (uint8_t)*p;
        if (tag == 0 || tag > count || columns[tag - 1].since > version)
            return bad(err, "an unknown field");
        p = read_field(p, end, &columns[tag - 1], c);
        if (!p)
            return bad(err, "a broken field");
    }
    if (strcmp(c->id, id) != 0)
        return bad(err, "it is another's");
    return columns_sensible(c) ? 0 : bad(err, "its state");
}
