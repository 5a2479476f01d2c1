#include "local/table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(table, columns_are_as_wide_as_they_must_be_and_nothing_steers_a_terminal)
{
    static const char *const heads[] = { "A", "NAME", "END", NULL };
    const char *const one[] = { "\xc3\xa9\xc3\xa9\xc3\xa9", "x", "1" };
    const char *const two[] = { NULL,
                                "red \x1b[31m\n\xc2\x9b"
                                "2J \xff",
                                "" };
    char text[1024] = "";
    struct table *t = table_new(heads);
    table_row(t, one);
    table_row(t, two);
    FILE *f = fmemopen(text, sizeof(text), "w");
    table_print(t, f);
    fclose(f);
    table_free(t);
    cr_expect_str_eq(text, "A    NAME             END\n"
                           "\xc3\xa9\xc3\xa9\xc3\xa9  x                1\n"
                           "     red ?[31m??2J ?  \n");
}

Test(table, a_long_text_is_cut_between_characters)
{
    static const char *const heads[] = { "A", NULL };
    char text[4096] = "", name[3 * TABLE_CELL + 1];
    for (size_t i = 0; i + 2 < sizeof(name); i += 2)
        memcpy(name + i, "\xc3\xa9", 3);
    const char *const row[] = { name };
    struct table *t = table_new(heads);
    table_row(t, row);
    FILE *f = fmemopen(text, sizeof(text), "w");
    table_print(t, f);
    fclose(f);
    table_free(t);
    cr_expect_eq(strlen(text), 2 + 2 * TABLE_CELL + 3 + 1, "%zu", strlen(text));
}
