/* listener.h - a listening TCP socket. Any thread. */
#ifndef BASE_LISTENER_H
#define BASE_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

/* Listens on "HOST:PORT" or "[HOST]:PORT" (port 0: any free one): a socket that does not block and
 * is not inherited. The caller's; -1 with *err: ERR_INVALID for an address that makes no sense. */
int listener_open(const char *listen_at, struct error *err) CHECKED;
/* Writes the address in use as "127.0.0.1:43211" and returns its port. */
uint16_t listener_address(int fd, char *out, size_t size);

#endif
