/* ops.h - the operations port.
 *
 *     GET  /healthz /readyz        200, or 503 while it cannot take reports
 *     GET  /metrics                Prometheus's text; also while the store is away
 *     GET  /pending /dead          {"callbacks":[...],"next":CURSOR}: ?limit=N, ?after=CURSOR of
 * the page before; without `next` it was the last one POST /redeliver/{id}         what is dead or
 * unconfirmed is due again: 202 POST /redeliver              all that is dead, a page at a time,
 * with the same parameters:
 *                                  {"redelivered":N,"next":CURSOR}; ?state=unconfirmed: those
 *
 * A request must carry OPS_TOKEN as a Bearer token, or come over the loopback interface, to a
 * loopback name and not from a web page (no Origin): a page in a browser on this machine could
 * otherwise ask too. /healthz and /readyz are open. Hand ops_handle to httpd_start. */
#ifndef RECEIVER_OPS_H
#define RECEIVER_OPS_H

#include "callback-receiver/delivery.h"

struct ops;

struct ops_config {    /* all borrowed */
    const char *token; /* NULL: loopback only */
    struct writer *writer;
    struct delivery *delivery;
    struct metrics *metrics;
    struct log *log;
};

struct ops *ops_new(const struct ops_config *cfg) CHECKED;
/* Takes NULL. After the server has stopped. */
void ops_free(struct ops *o);
void ops_handle(struct httpd_request *req, void *arg);
/* What /readyz says besides whether the store can be written; false at first. */
void ops_set_ready(struct ops *o, bool ready);
/* New requests get 503 from now on; returns when all that the writer had are answered. */
void ops_drain(struct ops *o);

/* "HOST[:PORT]" names the loopback interface: localhost, 127.0.0.0/8 or [::1]. */
bool ops_loopback(const char *host);

#endif
