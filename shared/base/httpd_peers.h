/* httpd_peers.h - how many connections each address has. Any thread. */
#ifndef BASE_HTTPD_PEERS_H
#define BASE_HTTPD_PEERS_H

#include <stdbool.h>
#include <sys/socket.h>

struct httpd_peers;

struct httpd_peers *httpd_peers_new(unsigned max);
void httpd_peers_free(struct httpd_peers *p); /* takes NULL */
/* Counts a connection from `address`, which leaves again in any case. False: it is one too many. An
 * address that is neither IPv4 nor IPv6 is not counted. */
bool httpd_peers_enter(struct httpd_peers *p, const struct sockaddr *address);
void httpd_peers_leave(struct httpd_peers *p, const struct sockaddr *address);

#endif
