#include "shared/base/mem.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *must(void *p)
{
    if (!p) {
        static const char text[] = "out of memory\n";
        ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
        (void)ignored;
        abort();
    }
    return p;
}

void mem_free_ptr(void *pp)
{
    void *p;
    memcpy(&p, pp, sizeof(p)); /* the owner may be any pointer type */
    free(p);
    p = NULL;
    memcpy(pp, &p, sizeof(p));
}

void mem_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void *mem_alloc(size_t size)
{
    return must(calloc(1, size ? size : 1));
}

void *mem_array(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1));
}

void *mem_resize(void *p, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        abort();
    size_t bytes = count * size;
    return must(realloc(p, bytes ? bytes : 1));
}

char *mem_dup(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

char *mem_dup_len(const void *p, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len)
        memcpy(copy, p, len);
    return copy;
}

char *mem_vprintf(const char *fmt, va_list ap)
{
    char *out = NULL;
    if (vasprintf(&out, fmt, ap) < 0)
        out = NULL;
    return must(out);
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *out = mem_vprintf(fmt, ap);
    va_end(ap);
    return out;
}

void mem_wipe(void *p, size_t len)
{
    OPENSSL_cleanse(p, len);
}

void mem_free_secret(char *s)
{
    if (s)
        OPENSSL_cleanse(s, strlen(s));
    free(s);
}

void mem_free_secret_ptr(char **s)
{
    mem_free_secret(*s);
    *s = NULL;
}
