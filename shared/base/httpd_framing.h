/* httpd_framing.h - where a request's body ends, by its headers; for httpd.c. */
#ifndef BASE_HTTPD_FRAMING_H
#define BASE_HTTPD_FRAMING_H

#include "shared/base/httpd.h"

/* False where two programs might see the end of the body in two places (RFC 9112 6.3). */
bool httpd_framing_clear(const struct httpd_request *req);

#endif
