/* The signature of a request as a server sees it: Authorization, a header of any name, the path,
 * the query, all of them parts of the input. Nothing of it is right but what we sign ourselves. */
#include <string.h>

#include "shared/aws/sigv4_check.h"
#include "tests/fuzz/parts.h"

#define TIME_MS INT64_C(1440938160000)
#define SECRET  "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DATE    "20150830T123600Z"
#define PARTS   5
#define EMPTY   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void check_any(char *const *part, const struct sigv4_request *req)
{
    struct sigv4_claim claim;
    struct error err = { 0 };
    auto_sigv4 struct sigv4 stages = { 0 };
    if (sigv4_claim_parse(part[0], &claim, &err) < 0) {
        FUZZ_MUST(err.code == ERR_DENIED && err.type[0]);
        return;
    }
    FUZZ_MUST(claim.access_key[0] && claim.date[0] && claim.signed_headers[0]);
    FUZZ_MUST(strlen(claim.signature) == DIGEST_SHA256_HEX - 1);
    FUZZ_MUST(sigv4_check(&claim, SECRET, req, SIGV4_USUAL, TIME_MS, &stages, &err) < 0);
    FUZZ_MUST(err.code == ERR_DENIED && err.type[0]);
}

/* What we have signed is right, whatever is in it. */
static void check_own(struct sigv4_request *req, struct http_header *headers)
{
    const struct sigv4_scope scope = { .access_key = "AKIDEXAMPLE",
                                       .secret_key = SECRET,
                                       .region = "us-east-1",
                                       .service = "lambda",
                                       .time_ms = TIME_MS };
    struct sigv4_claim claim;
    struct error err = { 0 };
    auto_sigv4 struct sigv4 signing = { 0 };
    auto_sigv4 struct sigv4 stages = { 0 };
    headers[1] = headers[2] = (struct http_header){ NULL, NULL }; /* the date comes by itself */
    FUZZ_MUST(sigv4_sign(&signing, &scope, req, SIGV4_USUAL, &err) == 0);
    headers[1] = (struct http_header){ "X-Amz-Date", signing.date };
    FUZZ_MUST(sigv4_claim_parse(buf_str(&signing.authorization), &claim, &err) == 0);
    FUZZ_MUST(sigv4_check(&claim, SECRET, req, SIGV4_USUAL, TIME_MS, &stages, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts p = { data, size };
    char *part[PARTS];
    size_t len;
    for (size_t i = 0; i < PARTS; i++) {
        part[i] = parts_next(&p, &len);
        part[i] = part[i] ? part[i] : mem_dup("");
    }
    struct http_header headers[] = {
        { "Host", part[4] }, { "X-Amz-Date", DATE }, { part[1], part[4] }, { NULL, NULL }
    };
    struct sigv4_request req = {
        .method = "POST", .path = part[2], .query = part[3], .headers = headers, .body_hash = EMPTY
    };
    check_any(part, &req);
    check_own(&req, headers);
    for (size_t i = 0; i < PARTS; i++)
        free(part[i]);
    return 0;
}
