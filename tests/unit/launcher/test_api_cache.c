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
    api_cache_put(c, "a", "1");
    api_cache_put(c, "b", "2");
    cr_expect_str_eq(api_cache_get(c, "a"), "1");
    api_cache_put(c, "c", "3"); /* b goes: it was used longest ago */
    cr_expect_null(api_cache_get(c, "b"));
    cr_expect_str_eq(api_cache_get(c, "a"), "1");
    cr_expect_str_eq(api_cache_get(c, "c"), "3");
    api_cache_put(c, "c", "4");
    cr_expect_str_eq(api_cache_get(c, "c"), "4");
    api_cache_put(c, "d", big); /* over an eighth */
    cr_expect_null(api_cache_get(c, "d"));
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
        api_cache_put(c, key,
                      "0123456789012345678901234567890123456789012345678901234567890123456");
    }
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        kept += api_cache_get(c, key) != NULL;
    }
    cr_expect(kept >= 8 && kept <= 10, "%zu", kept);
    api_cache_free(c);
}
