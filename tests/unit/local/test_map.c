#include "local/aws/map.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define KEYS 500

static void count(void *value, void *arg)
{
    size_t *sum = arg;
    *sum += *(size_t *)value;
}

Test(map, finds_what_is_there_and_nothing_else)
{
    static char keys[KEYS][16];
    static size_t values[KEYS];
    struct map m = { 0 };
    size_t sum = 0, wanted = 0;
    cr_assert_null(map_get(&m, "x"));
    map_remove(&m, "x");
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "key-%zu", i * 7);
        values[i] = i;
        map_put(&m, keys[i], &values[i]);
    }
    for (size_t i = 0; i < KEYS; i += 3)
        map_remove(&m, keys[i]);
    for (size_t i = 0; i < KEYS; i++) {
        cr_expect_eq(map_get(&m, keys[i]), i % 3 ? &values[i] : NULL, "%s", keys[i]);
        wanted += i % 3 ? i : 0;
    }
    map_put(&m, keys[1], &values[2]);
    cr_assert_eq(map_get(&m, keys[1]), &values[2]);
    map_put(&m, keys[1], &values[1]);
    map_each(&m, count, &sum);
    cr_assert_eq(sum, wanted);
    cr_assert_eq(m.count, KEYS - (KEYS + 2) / 3);
    map_release(&m);
}
