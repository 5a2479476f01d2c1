/* cutter.h - a TCP proxy in a thread of its own that loses answers: it passes bytes on in both
 * directions, and cuts the connection instead of passing on the one answer that it is told to, or
 * lets it fall silent. An answer is what the server says between two things that the client says on
 * a connection. A failed call fails the test. */
#ifndef TESTS_CUTTER_H
#define TESTS_CUTTER_H

#include <stdbool.h>

struct cutter;

/* Listens on `port` of 127.0.0.1 and connects to `target_port` there. */
struct cutter *cutter_start(int port, int target_port);
void cutter_stop(struct cutter *c);
/* Cuts the answer after the next `skip` ones; -1: none. */
void cutter_order(struct cutter *c, int skip);
/* The ordered cut has happened. */
bool cutter_done(struct cutter *c);
/* The answer to the request after the next `skip` ones whose beginning has `word` in it (a literal;
 * its head comes in one piece) gets lost, and with it all that is said on its connection later,
 * which stays open: as where the other end, or what lies between, has gone without a word. NULL: to
 * none. */
void cutter_mute(struct cutter *c, const char *word, int skip);
/* The ordered silence has begun. */
bool cutter_muted(struct cutter *c);

#endif
