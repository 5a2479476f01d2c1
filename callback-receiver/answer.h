/* answer.h - the answers that the API gives: states and problem documents. Any thread; a request is
 * answered once (httpd.h). */
#ifndef RECEIVER_ANSWER_H
#define RECEIVER_ANSWER_H

#include "callback-receiver/callback.h"
#include "callback-receiver/metrics.h"
#include "shared/base/httpd.h"

#define ANSWER_RETRY_AFTER "1" /* seconds: for 429 and 503 */

/* {"state":...}; wait_s > 0 is confirmed as Preference-Applied (RFC 7240). */
void answer_state(struct httpd_request *req, struct metrics *m, int status,
                  enum callback_state state, int wait_s);
/* What a job that has reported is told: 202 accepted, 200 delivered or unconfirmed, 410 dead or
 * closed. */
void answer_reported(struct httpd_request *req, struct metrics *m, enum callback_state state,
                     int wait_s);
/* A problem document (RFC 9457), with the member "state" where `state` is not ABSENT. `header` and
 * `value` may be NULL. */
void answer_problem(struct httpd_request *req, struct metrics *m, int status,
                    enum callback_state state, const char *header, const char *value,
                    const char *detail, ...) __attribute__((format(printf, 7, 8)));
/* 503 with Retry-After. */
void answer_unavailable(struct httpd_request *req, struct metrics *m, const char *detail);
/* A body as it is, with Cache-Control: no-store. */
void answer_body(struct httpd_request *req, struct metrics *m, int status, const char *type,
                 const void *body, size_t len);

#endif
