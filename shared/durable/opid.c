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

/* FNV-1a. The ids are the service's and ours, both spread well. */
size_t opid_hash(const char *wire)
{
    uint64_t h = 14695981039346656037U;
    for (; *wire; wire++)
        h = (h ^ (unsigned char)*wire) * 1099511628211U;
    return (size_t)(h ^ (h >> 32));
}
