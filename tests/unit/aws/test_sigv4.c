#include "shared/aws/sigv4.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shared/aws/sigv4_check.h"
#include "shared/base/json.h"

/* One case of tests/fixtures/sigv4/cases.json, lent by the document. */
struct vector {
    const char *name;
    struct json_object *json;
    struct sigv4_scope scope;
    struct sigv4_request req;
    struct http_header headers[16];
    size_t header_count;
    char body_hash[DIGEST_SHA256_HEX];
    char date[SIGV4_DATE];
    unsigned flags;
    bool date_signed;
};

static struct json_object *load(void)
{
    static char text[256 << 10];
    FILE *f = fopen("tests/fixtures/sigv4/cases.json", "r");
    cr_assert_not_null(f, "run from the project's folder");
    size_t len = fread(text, 1, sizeof(text), f);
    fclose(f);
    struct json_object *doc = NULL;
    struct error err = { 0 };
    cr_assert_eq(json_parse(text, len, JSON_DEPTH, &doc, &err), 0, "%s", err.msg);
    return doc;
}

static void vector_read(struct vector *v, struct json_object *doc, size_t index)
{
    memset(v, 0, sizeof(*v));
    struct json_object *c = json_object_array_get_idx(json_get_arr(doc, "cases"), index);
    v->json = c;
    v->name = json_get_str(c, "name");
    v->scope = (struct sigv4_scope){ .access_key = json_get_str(doc, "accessKey"),
                                     .secret_key = json_get_str(doc, "secretKey"),
                                     .session_token = json_get_str(c, "token"),
                                     .region = json_get_str(c, "region"),
                                     .service = json_get_str(c, "service") };
    cr_assert_eq(clock_parse(json_get_str(c, "time"), &v->scope.time_ms), 0);
    struct json_object *headers = json_get_arr(c, "headers");
    for (; v->header_count < json_object_array_length(headers); v->header_count++) {
        struct json_object *pair = json_object_array_get_idx(headers, v->header_count);
        v->headers[v->header_count] = (struct http_header){
            json_object_get_string(json_object_array_get_idx(pair, 0)),
            json_object_get_string(json_object_array_get_idx(pair, 1)),
        };
    }
    const char *body = json_get_str(c, "body");
    digest_sha256_hex(body, strlen(body), v->body_hash);
    v->req = (struct sigv4_request){ .method = json_get_str(c, "method"),
                                     .path = json_get_str(c, "path"),
                                     .query = json_get_str(c, "query"),
                                     .headers = v->headers,
                                     .body_hash = v->body_hash };
    v->flags = SIGV4_DOUBLE_ENCODE | (json_get_bool(c, "normalize", false) ? SIGV4_NORMALIZE : 0);
    v->date_signed = json_get_bool(c, "dateSigned", true);
}

/* Adds what a signer sends besides: date and token. */
static void vector_complete(struct vector *v)
{
    if (!v->date_signed)
        return;
    sigv4_date_format(v->scope.time_ms, v->date);
    v->headers[v->header_count++] = (struct http_header){ "X-Amz-Date", v->date };
    if (v->scope.session_token)
        v->headers[v->header_count++] =
            (struct http_header){ "X-Amz-Security-Token", v->scope.session_token };
}

static size_t vector_count(struct json_object *doc)
{
    return json_object_array_length(json_get_arr(doc, "cases"));
}

Test(sigv4, gives_the_published_result_at_every_stage)
{
    auto_json struct json_object *doc = load();
    cr_assert_eq(vector_count(doc), 39);
    for (size_t i = 0; i < vector_count(doc); i++) {
        struct vector v;
        struct error err = { 0 };
        auto_sigv4 struct sigv4 s = { 0 };
        vector_read(&v, doc, i);
        vector_complete(&v);
        cr_assert_eq(sigv4_canonical_request(&s, &v.req, v.flags, &err), 0, "%s", err.msg);
        cr_expect_str_eq(buf_str(&s.canonical), json_get_str(v.json, "canonicalRequest"), "%s:\n%s",
                         v.name, buf_str(&s.canonical));
        sigv4_string_to_sign(&s, &v.scope);
        cr_expect_str_eq(buf_str(&s.string_to_sign), json_get_str(v.json, "stringToSign"), "%s",
                         v.name);
        sigv4_signature(&s, &v.scope);
        cr_expect_str_eq(s.signature, json_get_str(v.json, "signature"), "%s", v.name);
        sigv4_authorization(&s, &v.scope);
        auto_free char *header =
            mem_printf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s, SignedHeaders=%s, Signature=%s",
                       buf_str(&s.scope), buf_str(&s.signed_headers), s.signature);
        cr_expect_str_eq(buf_str(&s.authorization), header, "%s", v.name);
    }
}

/* One kept key for all: whatever differs from case to case, it must not be a wrong one. */
Test(sigv4, a_kept_key_changes_no_signature)
{
    struct json_object *doc = load();
    struct sigv4_key key = { 0 };
    static char other_secret[] = "another secret";
    for (size_t n = 0; n < 3 * vector_count(doc); n++) {
        struct vector v;
        vector_read(&v, doc, n % vector_count(doc));
        vector_complete(&v);
        v.scope.time_ms += (int64_t)(n % 5) * 43200000;
        if (n % 7 == 6)
            v.scope.secret_key = other_secret;
        auto_sigv4 struct sigv4 with = { 0 }, without = { 0 };
        struct error err = { 0 };
        cr_assert_eq(sigv4_canonical_request(&without, &v.req, v.flags, &err), 0);
        sigv4_string_to_sign(&without, &v.scope);
        sigv4_signature(&without, &v.scope);
        for (int again = 0; again < 2; again++) {
            v.scope.key = &key;
            sigv4_release(&with);
            cr_assert_eq(sigv4_canonical_request(&with, &v.req, v.flags, &err), 0);
            sigv4_string_to_sign(&with, &v.scope);
            sigv4_signature(&with, &v.scope);
            cr_expect_str_eq(with.signature, without.signature, "%s", v.name);
        }
    }
    sigv4_key_release(&key);
    sigv4_key_release(&key);
    json_object_put(doc);
}

Test(sigv4, signs_date_and_token_by_itself)
{
    auto_json struct json_object *doc = load();
    size_t signed_count = 0;
    for (size_t i = 0; i < vector_count(doc); i++) {
        struct vector v;
        struct error err = { 0 };
        auto_sigv4 struct sigv4 s = { 0 };
        vector_read(&v, doc, i);
        if (!v.date_signed)
            continue;
        cr_assert_eq(sigv4_sign(&s, &v.scope, &v.req, v.flags, &err), 0, "%s", err.msg);
        cr_expect_str_eq(s.signature, json_get_str(v.json, "signature"), "%s", v.name);
        signed_count++;
    }
    cr_assert_eq(signed_count, 37);
}

Test(sigv4, orders_equal_names_by_value_and_leaves_no_encoding_open)
{
    static const struct {
        const char *query;
        const char *canonical;
    } cases[] = {
        { "b=2&a=2&a=1&a", "a=&a=1&a=2&b=2" },
        { "&&a=1&&", "a=1" },
        { "=v", "=v" },
        { "a=b=c", "a=b%3Dc" },
        { "a=%3a%7e%41", "a=%3A~A" },
        { "a=100%&b=%zz&c=%4", "a=100%25&b=%25zz&c=%254" },
        { "a=x+y%20z", "a=x%2By%20z" },
        { "a=%00", "a=%00" },
        { "Statuses=RUNNING&Statuses=FAILED", "Statuses=FAILED&Statuses=RUNNING" },
        { "", "" },
    };
    static const struct http_header headers[] = { { "Host", "h" }, { NULL, NULL } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_sigv4 struct sigv4 s = { 0 };
        struct error err = { 0 };
        struct sigv4_request req = { .method = "GET",
                                     .path = "/",
                                     .query = cases[i].query,
                                     .headers = headers,
                                     .body_hash = "x" };
        cr_assert_eq(sigv4_canonical_request(&s, &req, SIGV4_USUAL, &err), 0);
        auto_free char *want = mem_printf("GET\n/\n%s\nhost:h\n\nhost\nx", cases[i].canonical);
        cr_expect_str_eq(buf_str(&s.canonical), want, "%s", buf_str(&s.canonical));
    }
}

Test(sigv4, normalises_paths)
{
    static const struct {
        const char *path;
        unsigned flags;
        const char *canonical;
    } cases[] = {
        { "", SIGV4_USUAL, "/" },
        { "/../..", SIGV4_USUAL, "/" },
        { "/a/../../b", SIGV4_USUAL, "/b" },
        { "/a//b/./c/", SIGV4_USUAL, "/a/b/c/" },
        { "/a/...", SIGV4_USUAL, "/a/..." },
        { "/a%2Fb/c%3A", SIGV4_USUAL, "/a%252Fb/c%253A" },
        { "/a%2Fb/../c", 0, "/a%2Fb/../c" },
        { "", 0, "/" },
    };
    static const struct http_header headers[] = { { "Host", "h" }, { NULL, NULL } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_sigv4 struct sigv4 s = { 0 };
        struct error err = { 0 };
        struct sigv4_request req = {
            .method = "GET", .path = cases[i].path, .headers = headers, .body_hash = "x"
        };
        cr_assert_eq(sigv4_canonical_request(&s, &req, cases[i].flags, &err), 0);
        auto_free char *want = mem_printf("GET\n%s\n\nhost:h\n\nhost\nx", cases[i].canonical);
        cr_expect_str_eq(buf_str(&s.canonical), want, "%s", buf_str(&s.canonical));
    }
}

Test(sigv4, refuses_a_head_without_end)
{
    char *path = mem_alloc(400000);
    memset(path, '%', 399999); /* three bytes each in the canonical path */
    path[0] = '/';
    static const struct http_header headers[] = { { "Host", "h" }, { NULL, NULL } };
    struct sigv4_request req = {
        .method = "GET", .path = path, .headers = headers, .body_hash = "x"
    };
    auto_sigv4 struct sigv4 s = { 0 };
    struct error err = { 0 };
    cr_assert_eq(sigv4_canonical_request(&s, &req, SIGV4_USUAL, &err), -1);
    cr_assert_eq(err.code, ERR_TOO_LARGE);
    free(path);
}

Test(sigv4, reads_dates_strictly)
{
    int64_t ms = 0;
    cr_assert_eq(sigv4_date_parse("20150830T123600Z", &ms), 0);
    char text[SIGV4_DATE];
    sigv4_date_format(ms, text);
    cr_assert_str_eq(text, "20150830T123600Z");
    static const char *const wrong[] = { "",
                                         "20150830T123600",
                                         "20150830 123600Z",
                                         "20151330T123600Z",
                                         "2015083XT123600Z",
                                         "20150830T123600Z ",
                                         "2015-08-30T12:36" };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        cr_expect_eq(sigv4_date_parse(wrong[i], &ms), -1, "%s", wrong[i]);
}

/* ---- check ----------------------------------------------------------------------------------- */

static int check(const struct vector *v, const char *authorization, const char *secret,
                 int64_t now_ms, struct error *err)
{
    struct sigv4_claim claim;
    auto_sigv4 struct sigv4 stages = { 0 };
    if (sigv4_claim_parse(authorization, &claim, err) < 0)
        return -1;
    cr_assert_str_eq(claim.access_key, "AKIDEXAMPLE");
    return sigv4_check(&claim, secret, &v->req, v->flags, now_ms, &stages, err);
}

static char *authorization_of(const struct vector *v, const char *signed_headers)
{
    char date[SIGV4_DATE];
    sigv4_date_format(v->scope.time_ms, date);
    return mem_printf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%.8s/%s/%s/aws4_request, "
                      "SignedHeaders=%s, Signature=%s",
                      date, v->scope.region, v->scope.service, signed_headers,
                      json_get_str(v->json, "signature"));
}

/* What the case's own canonical request names: its line before the last. */
static char *names_of(const struct vector *v)
{
    const char *canonical = json_get_str(v->json, "canonicalRequest");
    const char *end = strrchr(canonical, '\n');
    const char *start = end;
    while (start[-1] != '\n')
        start--;
    return mem_dup_len(start, (size_t)(end - start));
}

Test(sigv4_check, accepts_every_vector_among_other_headers)
{
    auto_json struct json_object *doc = load();
    for (size_t i = 0; i < vector_count(doc); i++) {
        struct vector v;
        struct error err = { 0 };
        vector_read(&v, doc, i);
        if (!v.date_signed)
            continue;
        vector_complete(&v);
        v.headers[v.header_count++] = (struct http_header){ "User-Agent", "not signed" };
        auto_free char *names = names_of(&v);
        auto_free char *authorization = authorization_of(&v, names);
        cr_expect_eq(
            check(&v, authorization, v.scope.secret_key, v.scope.time_ms + SIGV4_SKEW_MS, &err), 0,
            "%s: %s", v.name, err.msg);
    }
}

static void find(struct vector *v, struct json_object *doc, const char *name)
{
    for (size_t i = 0; i < vector_count(doc); i++) {
        vector_read(v, doc, i);
        if (strcmp(v->name, name) == 0) {
            vector_complete(v);
            return;
        }
    }
    cr_assert_fail("no case %s", name);
}

Test(sigv4_check, refuses_whatever_was_changed)
{
    auto_json struct json_object *doc = load();
    struct vector v;
    find(&v, doc, "lambda-checkpoint");
    auto_free char *names = names_of(&v);
    auto_free char *authorization = authorization_of(&v, names);
    int64_t now = v.scope.time_ms;
    struct error err = { 0 };
    cr_assert_eq(check(&v, authorization, v.scope.secret_key, now, &err), 0, "%s", err.msg);
    for (int what = 0; what < 9; what++) {
        struct vector w = v;
        w.req.headers = w.headers;
        const char *secret = v.scope.secret_key;
        int64_t at = now;
        char other[DIGEST_SHA256_HEX];
        digest_sha256_hex("other", 5, other);
        switch (what) {
        case 0:
            w.req.method = "GET";
            break;
        case 1: /* the same segment, decoded once: what a careless server would sign */
            w.req.path = "/2025-12-01/durable-executions/arn:aws:lambda/checkpoint";
            break;
        case 2:
            w.req.query = "a=b";
            break;
        case 3:
            w.headers[0].value = "evil.example";
            break;
        case 4:
            w.req.body_hash = other;
            break;
        case 5:
            secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ";
            break;
        case 6:
            at = now + SIGV4_SKEW_MS + 1;
            break;
        case 7:
            at = now - SIGV4_SKEW_MS - 1;
            break;
        default: /* the token is named but did not come */
            w.headers[w.header_count - 1] = (struct http_header){ NULL, NULL };
            break;
        }
        err = (struct error){ 0 };
        cr_expect_eq(check(&w, authorization, secret, at, &err), -1, "change %d", what);
        cr_expect_eq(err.code, ERR_DENIED);
        cr_expect_str_eq(err.type, "InvalidSignatureException", "change %d", what);
        cr_expect_null(strstr(err.msg, secret));
    }
}

Test(sigv4_check, wants_host_and_date_signed)
{
    auto_json struct json_object *doc = load();
    struct vector v;
    find(&v, doc, "get-vanilla");
    static const char *const names[] = { "host", "x-amz-date", "xhost;x-amz-date" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_free char *authorization = authorization_of(&v, names[i]);
        struct error err = { 0 };
        cr_expect_eq(check(&v, authorization, v.scope.secret_key, v.scope.time_ms, &err), -1);
        cr_expect_str_eq(err.type, "IncompleteSignatureException");
    }
    auto_free char *authorization = authorization_of(&v, "host;x-amz-date");
    struct error err = { 0 };
    v.headers[1].value = "yesterday";
    cr_expect_eq(check(&v, authorization, v.scope.secret_key, v.scope.time_ms, &err), -1);
    cr_expect_str_eq(err.type, "IncompleteSignatureException");
    v.headers[1].value = "20150831T123600Z";
    cr_expect_eq(check(&v, authorization, v.scope.secret_key, v.scope.time_ms, &err), -1);
    cr_expect_str_eq(err.type, "InvalidSignatureException");
}

#define SIG_64 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

Test(sigv4_check, takes_the_header_apart_or_says_what_is_missing)
{
    static const struct {
        const char *header;
        const char *type; /* NULL: fine */
    } cases[] = {
        { "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host, "
          "Signature=" SIG_64,
          NULL },
        { "AWS4-HMAC-SHA256 Signature=" SIG_64
          ",SignedHeaders=host,Credential=A/20150830/r/s/aws4_request",
          NULL },
        { NULL, "MissingAuthenticationTokenException" },
        { "", "MissingAuthenticationTokenException" },
        { "Bearer x", "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256", "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 ", "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host",
          "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, Signature=" SIG_64,
          "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=" SIG_64,
          "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 Credential=A/20150830/r/s, SignedHeaders=host, Signature=" SIG_64,
          "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_requestX, SignedHeaders=host, "
          "Signature=" SIG_64,
          "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 Credential=/20150830/r/s/aws4_request, SignedHeaders=host, "
          "Signature=" SIG_64,
          "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host, "
          "Signature=abc",
          "IncompleteSignatureException" },
        { "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host, "
          "Signature=" SIG_64 "0",
          "IncompleteSignatureException" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sigv4_claim claim;
        struct error err = { 0 };
        int rc = sigv4_claim_parse(cases[i].header, &claim, &err);
        cr_expect_eq(rc, cases[i].type ? -1 : 0, "case %zu", i);
        cr_expect_str_eq(err.type, cases[i].type ? cases[i].type : "", "case %zu", i);
        if (rc == 0) {
            cr_expect_str_eq(claim.access_key, "A");
            cr_expect_str_eq(claim.date, "20150830");
            cr_expect_str_eq(claim.region, "r");
            cr_expect_str_eq(claim.service, "s");
            cr_expect_str_eq(claim.signed_headers, "host");
            cr_expect_str_eq(claim.signature, SIG_64);
        }
    }
}
