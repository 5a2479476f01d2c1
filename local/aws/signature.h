/* signature.h - who asks: the SigV4 signature of a request, checked against the configuration's
 * credentials. Pure but for the clock; the loop's thread only. */
#ifndef LOCAL_AWS_SIGNATURE_H
#define LOCAL_AWS_SIGNATURE_H

#include "local/local.h"
#include "shared/base/httpd.h"

/* 0, or -1 with ERR_DENIED and AWS's code in err->type (403). `service` is the scope's. */
int signature_check(const struct local *local, const struct httpd_request *http,
                    const char *service, struct error *err) CHECKED;

#endif
