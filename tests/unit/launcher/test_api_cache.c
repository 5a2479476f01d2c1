#include "launcher/api_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(api_cache, keeps_the_latest_within_its_bounds)
{
    struct api_cache *c = api_cache_new(2, 800);
    char big[200];
    memset(big, 'x', sizeof(big));
    big[199] = '\0';
    api_cache_put(c, "a", "1", 0);
    api_cache_put(c, "b", "2", 0);
    cr_expect_str_eq(api_cache_get(c, "a", 1), "1");
    api_cache_put(c, "c", "3", 0); /* b goes: it was used longest ago */
    cr_expect_null(api_cache_get(c, "b", 1));
    cr_expect_str_eq(api_cache_get(c, "a", 1), "1");
    cr_expect_str_eq(api_cache_get(c, "c", 1), "3");
    api_cache_put(c, "c", "4", 0);
    cr_expect_str_eq(api_cache_get(c, "c", 1), "4");
    api_cache_put(c, "d", big, 0); /* over an eighth */
    cr_expect_null(api_cache_get(c, "d", 1));
    api_cache_free(c);
    api_cache_free(NULL);
}

Test(api_cache, stays_within_its_bytes)
{
    struct api_cache *c = api_cache_new(100, 800);
    char key[16];
    size_t kept = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        api_cache_put(c, key, "0123456789012345678901234567890123456789012345678901234567890123456",
                      0);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        kept += api_cache_get(c, key, 1) != NULL;
    }
    cr_expect(kept >= 8 && kept <= 10, "%zu", kept);
    api_cache_free(c);
}

Test(api_cache, forgets_what_has_expired)
{
    struct api_cache *c = api_cache_new(2, 800);
    api_cache_put(c, "a", "1", 100);
    cr_expect_str_eq(api_cache_get(c, "a", 99), "1");
    cr_expect_null(api_cache_get(c, "a", 100));
    cr_expect_null(api_cache_get(c, "a", 99), "it is gone");
    api_cache_free(c);
}
