/* console.h - the page for people at /console on the AWS port, and the JSON that it lives on.
 *
 *   GET  /console, /console/console.css, /console/console.js      the page itself
 *   GET  /console/api/overview?since=V&function=&status=&name=&before=&limit=
 *   GET  /console/api/execution?arn=A&since=V&after=E
 *   POST /console/api/callback  {"arn","operation","action":"succeed"|"fail"|"heartbeat","text"}
 *   POST /console/api/stop      {"arn"}
 *
 * Everything under api/ wants the header X-Console-Secret: a new one at each start, in
 * STATE/console.url (mode 0600) as part of the page's address, behind '#', so that no server or log
 * sees it. Besides that a request must name a Host of ours, come from the page's own origin where a
 * browser says whence, and a post must be application/json: pages of others can do nothing.
 *
 * With since=V, the "version" of an earlier answer, the answer waits until something has changed
 * (204 after 25 s). The loop's thread only. */
#ifndef LOCAL_CONSOLE_H
#define LOCAL_CONSOLE_H

#include "local/aws/ecs.h"
#include "local/local.h"

struct console;

/* Installs itself at the AWS port, whose URL must be known. NULL with *err where the file with the
 * address cannot be written. */
struct console *console_new(const struct local *local, struct ecs *ecs, struct error *err) CHECKED;
/* Requests that wait are ended: call it before the AWS port stops. Takes NULL. */
void console_free(struct console *c);

#endif
