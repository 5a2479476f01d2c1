/* relay_link.h - one connection through a relay: two sockets, and in each direction at most one
 * piece, which is held until its time has come. One thread. */
#ifndef CHAOS_RELAY_LINK_H
#define CHAOS_RELAY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum link_end {
    LINK_CLIENT,
    LINK_SERVER
};

enum link_fate {
    FATE_NONE,
    FATE_CUT_REQUEST, /* the first bytes of a request go on, the rest does not */
    FATE_CUT_ANSWER,  /* the request goes on whole, its answer does not come back */
    FATE_LATE         /* each piece comes late */
};

struct link_piece {
    char *bytes; /* room for LINK_PIECE; NULL until the first */
    size_t n, sent;
    int64_t due_ms;
};

#define LINK_PIECE 16384

struct link {
    int fds[2];                  /* by link_end; -1: closed */
    struct link_piece pieces[2]; /* by the end that it comes from */
    enum link_fate fate;
};

struct link link_of(int client, int server, enum link_fate fate);
void link_close(struct link *l);
/* The same with a reset: whoever waits for more is told that it does not come. */
void link_reset(struct link *l);
/* The server's end is closed, and the client is not told. False where it was so already. */
bool link_lose(struct link *l);
bool link_open(const struct link *l); /* is it still to be kept? */

/* What to wait for at an end (poll's events; 0: nothing); `still`: nothing passes now. */
short link_events(const struct link *l, enum link_end end, int64_t now_ms, bool still);
/* Takes what has come from an end. True: there is a piece, which goes on when its due_ms is set.
 * False: there is none, or the connection has ended, then it is closed. What comes over a lost
 * connection is thrown away. */
bool link_take(struct link *l, enum link_end from);
/* Sends the piece from `from` on as far as it goes. A connection that fails is closed. */
void link_give(struct link *l, enum link_end from);

#endif
