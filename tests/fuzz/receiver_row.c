/* A callback as it lies in SQLite: columns of any type and size are read or refused; what is read
 * fits its fields. */
#include <string.h>

#include "callback-receiver/columns.h"
#include "callback-receiver/sqlite_rows.h"
#include "shared/base/mem.h"
#include "tests/fuzz/fuzz.h"

/* Each column takes a byte for its type and one for its length, and so many bytes of the input. */
static void bind_next(sqlite3_stmt *st, int at, const uint8_t **data, size_t *size)
{
    if (*size < 2)
        return; /* NULL */
    unsigned type = (*data)[0] % 5;
    size_t len = (*data)[1] * (type == 4 ? 16U : 1U);
    *data += 2;
    *size -= 2;
    len = len < *size ? len : *size;
    int64_t number = 0;
    memcpy(&number, *data, len < sizeof(number) ? len : sizeof(number));
    if (type == 1)
        sqlite3_bind_int64(st, at, number);
    else if (type == 2)
        sqlite3_bind_double(st, at, (double)number / 3);
    else if (type == 3)
        sqlite3_bind_text(st, at, (const char *)*data, (int)len, SQLITE_TRANSIENT);
    else if (type == 4)
        sqlite3_bind_blob(st, at, *data, (int)len, SQLITE_TRANSIENT);
    *data += type ? len : 0;
    *size -= type ? len : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sqlite3 *db;
    static sqlite3_stmt *st;
    size_t count;
    struct callback c;
    struct sqlite_row row;
    struct error err;
    const struct column *columns = columns_all(&count);
    if (!db) {
        auto_buf struct buf sql = BUF_INIT(4096);
        for (size_t i = 0; i <= count; i++)
            buf_printf(&sql, "%s?%zu", i ? "," : "SELECT ", i + 1);
        FUZZ_MUST(sqlite3_open(":memory:", &db) == SQLITE_OK);
        FUZZ_MUST(sqlite3_prepare_v2(db, buf_str(&sql), -1, &st, NULL) == SQLITE_OK);
    }
    sqlite3_clear_bindings(st);
    for (size_t i = 0; i <= count; i++)
        bind_next(st, (int)i + 1, &data, &size);
    FUZZ_MUST(sqlite3_step(st) == SQLITE_ROW);
    if (sqlite_rows_read(st, &row, &c, &err) == 0)
        for (size_t i = 0; i < count; i++)
            FUZZ_MUST(columns[i].type != COLUMN_TEXT ||
                      memchr(column_bytes(&columns[i], &c), '\0', columns[i].size));
    sqlite3_reset(st);
    return 0;
}
