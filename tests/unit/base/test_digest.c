#include "shared/base/digest.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shared/base/encode.h"

Test(digest, gives_the_published_sums)
{
    /* FIPS 180-4's examples and RFC 1321's. */
    char hex[DIGEST_SHA256_HEX];
    digest_sha256_hex("", 0, hex);
    cr_expect_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_sha256_hex("abc", 3, hex);
    cr_expect_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    char md5[DIGEST_MD5_HEX];
    digest_md5_hex("", 0, md5);
    cr_expect_str_eq(md5, "d41d8cd98f00b204e9800998ecf8427e");
    digest_md5_hex("message digest", 14, md5);
    cr_expect_str_eq(md5, "f96b697d7cb7938d525a2f31aaf161d0");
}

Test(digest, authenticates_as_rfc_4231_shows)
{
    uint8_t mac[DIGEST_SHA256];
    char hex[DIGEST_SHA256_HEX];
    digest_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
    encode_hex(hex, mac, sizeof(mac));
    cr_expect_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t key[131]; /* longer than a block */
    memset(key, 0xaa, sizeof(key));
    digest_hmac_sha256(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First",
                       54, mac);
    encode_hex(hex, mac, sizeof(mac));
    cr_expect_str_eq(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    digest_hmac_sha256("", 0, "", 0, mac);
    encode_hex(hex, mac, sizeof(mac));
    cr_expect_str_eq(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

Test(digest, compares_all_bytes)
{
    cr_expect(digest_equal("abc", "abd", 2));
    cr_expect(!digest_equal("abc", "abd", 3));
    cr_expect(!digest_equal("xbc", "abc", 3));
    cr_expect(digest_equal("a", "b", 0));
}

Test(random, makes_version_4_uuids_that_differ)
{
    char a[RANDOM_UUID];
    char b[RANDOM_UUID];
    for (int i = 0; i < 100; i++) {
        random_uuid(a);
        random_uuid(b);
        cr_expect_str_neq(a, b);
        cr_expect_eq(strlen(a), 36);
        cr_expect_eq(strspn(a, "0123456789abcdef-"), 36, "%s", a);
        cr_expect(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-', "%s", a);
        cr_expect_eq(a[14], '4');
        cr_expect_not_null(strchr("89ab", a[19]));
    }
    cr_expect_neq(random_u64(), random_u64());
}
