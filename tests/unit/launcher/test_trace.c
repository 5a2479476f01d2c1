#include "launcher/trace.h"

#include <criterion/criterion.h>
#include <string.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"
#define ROOT  "Root=1-0af76519-16cd43dd8448eb211c80319c"

Test(trace, goes_to_xray_and_back)
{
    static const struct {
        const char *w3c;
        const char *xray;
    } table[] = {
        { "00-" TRACE "-" SPAN "-01", ROOT ";Parent=" SPAN ";Sampled=1" },
        { "00-" TRACE "-" SPAN "-00", ROOT ";Parent=" SPAN ";Sampled=0" },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char xray[TRACE_XRAY];
        char w3c[TRACE_PARENT];
        cr_assert_eq(trace_to_xray(table[i].w3c, xray), 0);
        cr_expect_str_eq(xray, table[i].xray);
        cr_assert_eq(trace_from_xray(xray, w3c), 0);
        cr_expect_str_eq(w3c, table[i].w3c);
    }
}

Test(trace, takes_what_else_is_in_the_header)
{
    char w3c[TRACE_PARENT];
    cr_assert_eq(trace_from_xray("Self=1-2-3; Sampled=1;" ROOT ";Lineage=a:0", w3c), 0);
    cr_expect_str_eq(w3c, "00-" TRACE "-8448eb211c80319c-01", "no parent: the end of the trace");
}

Test(trace, refuses_what_is_none)
{
    static const char *const w3c[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "01-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0g",
        "00-" TRACE "-" SPAN "-01-x",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
    };
    static const char *const xray[] = {
        "",
        "Root=",
        "Root=1-0af76519",
        "Root=2-0af76519-16cd43dd8448eb211c80319c",
        "Root=1-0af76519-16cd43dd8448eb211c80319",
        "Root=1-0af76519-16cd43dd8448eb211c80319c0",
        "Root=1-00000000-000000000000000000000000",
        "root=1-0af76519-16cd43dd8448eb211c80319c",
        "Root=1-0af76519-16cd43dd0000000000000000",
    };
    char out[TRACE_XRAY] = "x";
    for (size_t i = 0; i < ARRAY_LEN(w3c); i++) {
        cr_expect_eq(trace_to_xray(w3c[i], out), -1, "%s", w3c[i]);
        cr_expect_str_empty(out);
    }
    for (size_t i = 0; i < ARRAY_LEN(xray); i++) {
        cr_expect_eq(trace_from_xray(xray[i], out), -1, "%s", xray[i]);
        cr_expect_str_empty(out);
    }
}
