/* mem.h - allocation that cannot fail, and owners that release by themselves.
 *
 * Out of memory ends the process with a message (mem_alloc never returns NULL), so every buffer
 * that grows by outside input has a cap of its own: see buf.h. Any thread. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* The caller must look at the result. */
#define CHECKED __attribute__((warn_unused_result))

/* Hands an owned pointer out: reads it and leaves NULL behind. */
#define MOVE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) moved_ = (p);                                                                \
        (p) = NULL;                                                                                \
        moved_;                                                                                    \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Frees what the pointer at `pp` owns and leaves NULL there. */
void mem_free_ptr(void *pp);
/* A pointer that is freed when its scope ends. Initialise it where it is declared. */
#define auto_free __attribute__((cleanup(mem_free_ptr)))

void mem_close_fd(int *fd);
/* A file descriptor that is closed when its scope ends; -1 means none. */
#define auto_close __attribute__((cleanup(mem_close_fd)))

/* Zeroed memory of `size` bytes (at least one), for free(). */
void *mem_alloc(size_t size) CHECKED;
/* Zeroed memory for `count` items of `size` bytes; an overflow of the product aborts. */
void *mem_array(size_t count, size_t size) CHECKED;
/* `p` (or NULL) grown or shrunk to `count` items; what is new is not zeroed. */
void *mem_resize(void *p, size_t count, size_t size) CHECKED;
/* Copies; NULL gives NULL. mem_dup_len adds a NUL behind `len` bytes. */
char *mem_dup(const char *s) CHECKED;
char *mem_dup_len(const void *p, size_t len) CHECKED;
/* printf into new memory. */
char *mem_printf(const char *fmt, ...) CHECKED __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *fmt, va_list ap) CHECKED __attribute__((format(printf, 1, 0)));
/* Overwrites with zeros in a way that the compiler keeps. */
void mem_wipe(void *p, size_t len);
/* Wipes the string's bytes, then frees it; takes NULL. For secrets. */
void mem_free_secret(char *s);
void mem_free_secret_ptr(char **s);
/* A string that is wiped and freed when its scope ends. */
#define auto_secret __attribute__((cleanup(mem_free_secret_ptr)))

#endif
