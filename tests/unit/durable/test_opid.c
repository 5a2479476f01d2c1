#include "shared/durable/opid.h"

#include <criterion/criterion.h>

#include "shared/base/mem.h"

Test(opid, gives_the_ids_of_the_published_vectors)
{
    static const struct {
        const char *prefix;
        uint64_t n;
        const char *raw;
        const char *wire;
    } cases[] = {
        { "", 1, "1", "c4ca4238a0b92382" },        { "", 2, "2", "c81e728d9d4c2f63" },
        { "", 3, "3", "eccbc87e4b5ce2fe" },        { "", 10, "10", "d3d9446802a44259" },
        { "1", 1, "1-1", "ea66c06c1e1c05fa" },     { "1", 2, "1-2", "98c6f2c2287f4c73" },
        { "1-2", 1, "1-2-1", "6151f5ab282d90e4" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *raw = opid_raw(cases[i].prefix, cases[i].n);
        char wire[OPID_WIRE];
        opid_wire(raw, wire);
        cr_assert_str_eq(raw, cases[i].raw);
        cr_assert_str_eq(wire, cases[i].wire);
    }
}
