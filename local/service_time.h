/* service_time.h - the time of the emulated services, which a test may make run faster or jump.
 *
 * It is the machine's time until that is ordered. What is ordered is in the store and outlives
 * local-aws. Waits, retries, timeouts, heartbeats, retention and every timestamp follow it; what
 * happens between real processes does not: signatures, the time limits of functions and the stop
 * timeouts of containers. The loop's thread only. */
#ifndef LOCAL_SERVICE_TIME_H
#define LOCAL_SERVICE_TIME_H

#include <json-c/json.h>

#include "local/store.h"
#include "shared/base/buf.h"
#include "shared/base/clock.h"

struct service_time;

struct service_time *service_time_new(struct store *store, struct error *err) CHECKED;
void service_time_free(struct service_time *t); /* takes NULL */
/* Its wall clock is the services' time, the rest is the machine's. Lives as long as `t`. */
const struct clock *service_time_clock(const struct service_time *t);
/* Real milliseconds until `ms` of the services' time have passed, rounded up; `t` NULL: the same.
 */
int64_t service_time_real_ms(const struct service_time *t, int64_t ms);
/* Orders {"speed":1..100000, "advanceSeconds":0..31622400}, each optional: from now on time runs so
 * many times as fast, after a jump forward. -1: ERR_INVALID, nothing has changed. */
int service_time_set(struct service_time *t, struct json_object *order, struct error *err) CHECKED;
/* {"now":"...","speed":N,"aheadSeconds":N} */
void service_time_describe(const struct service_time *t, struct buf *out);

#endif
