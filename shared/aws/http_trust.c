#include "shared/aws/http_trust.h"

#include <dirent.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/base/opts.h"

static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Alpine, distroless */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL, Amazon Linux */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL */
    "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
    "/etc/ssl/cert.pem",                                 /* Alpine without the package */
};

const char *http_trust_place(unsigned n)
{
    return n < ARRAY_LEN(bundles) ? bundles[n] : NULL;
}

bool http_trust_find(char *const *env, struct http_trust *out)
{
    out->file = opts_env(env, "SSL_CERT_FILE");
    out->dir = opts_env(env, "SSL_CERT_DIR");
    for (size_t i = 0; i < ARRAY_LEN(bundles) && !out->file && !out->dir; i++)
        if (access(bundles[i], R_OK) == 0)
            out->file = bundles[i];
    return out->file || out->dir;
}

/* As openssl-rehash(1) names them: eight hexadecimal digits, ".0". */
static bool is_hash(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && strcmp(name + 8, ".0") == 0;
}

static bool has_hashes(const char *path)
{
    bool found = false;
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    for (struct dirent *e = readdir(dir); e && !found; e = readdir(dir))
        found = is_hash(e->d_name);
    closedir(dir);
    return found;
}

const char *http_trust_hashed(char *const *env)
{
    static const char folder[] = "/etc/ssl/certs";
    if (opts_env(env, "SSL_CERT_FILE") || opts_env(env, "SSL_CERT_DIR"))
        return NULL;
    return has_hashes(folder) ? folder : NULL;
}
