#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "shared/aws/http_trust.h"
#include "shared/base/mem.h"

#define ENV(...) ((char *const[]){ __VA_ARGS__, NULL })

static char file[] = "SSL_CERT_FILE=/of/mine.pem", dir[] = "SSL_CERT_DIR=/of/mine";
static char no_file[] = "SSL_CERT_FILE=", no_dir[] = "SSL_CERT_DIR=", other[] = "SSL_CERT_FILES=/x";

Test(http_trust, what_the_environment_says_is_taken_as_it_is)
{
    struct http_trust t;
    cr_assert(http_trust_find(ENV(file), &t));
    cr_assert_str_eq(t.file, "/of/mine.pem");
    cr_assert_null(t.dir, "no place of the system's beside it");
    cr_assert(http_trust_find(ENV(dir), &t));
    cr_assert_null(t.file);
    cr_assert_str_eq(t.dir, "/of/mine");
    cr_assert(http_trust_find(ENV(dir, file), &t));
    cr_assert(t.file && t.dir);
}

Test(http_trust, otherwise_the_first_place_that_is_there)
{
    char *const *const envs[] = { ENV(NULL), ENV(no_file, no_dir, other) };
    const char *expected = NULL;
    for (unsigned i = 0; http_trust_place(i) && !expected; i++)
        if (access(http_trust_place(i), R_OK) == 0)
            expected = http_trust_place(i);
    for (size_t i = 0; i < ARRAY_LEN(envs); i++) {
        struct http_trust t;
        cr_assert_eq(http_trust_find(envs[i], &t), expected != NULL);
        cr_assert_null(t.dir);
        if (expected)
            cr_assert_str_eq(t.file, expected);
        else
            cr_assert_null(t.file);
    }
}

Test(http_trust, a_folder_with_hashes_only_where_the_environment_is_silent)
{
    cr_assert_null(http_trust_hashed(ENV(file)));
    cr_assert_null(http_trust_hashed(ENV(dir)));
    const char *found = http_trust_hashed(ENV(no_file, other));
    cr_assert(!found || access(found, R_OK | X_OK) == 0);
}

Test(http_trust, knows_the_places_of_debian_alpine_and_red_hat)
{
    static const char *const places[] = { "/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        unsigned n = 0;
        while (http_trust_place(n) && strcmp(http_trust_place(n), places[i]) != 0)
            n++;
        cr_assert_not_null(http_trust_place(n), "%s", places[i]);
    }
}
