#include "shared/durable/opid.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/digest.h"
#include "shared/base/mem.h"

char *opid_raw(const char *prefix, uint64_t n)
{
    return mem_printf("%s%s%llu", prefix, prefix[0] ? "-" : "", (unsigned long long)n);
}

void opid_wire(const char *raw, char out[OPID_WIRE])
{
    char hex[DIGEST_MD5_HEX];
    digest_md5_hex(raw, strlen(raw), hex);
    snprintf(out, OPID_WIRE, "%.16s", hex);
}
