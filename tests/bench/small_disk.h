/* small_disk.h - a disk that becomes full and has room again when a storm says so: a tmpfs over a
 * folder, in a mount namespace of our own, which the programs that are started later share.
 *
 * It takes the right to mount: root's, or that of any user where the kernel lets users have
 * namespaces. Elsewhere small_disk_possible says why not. A full disk is a real one: files cannot
 * grow, a write may be cut short (ENOSPC behind it), what is there can be written over. One thread.
 */
#ifndef BENCH_SMALL_DISK_H
#define BENCH_SMALL_DISK_H

#include <stdbool.h>

#include "shared/base/error.h"

struct small_disk;

/* Enters the namespace. Once, before the process has a second thread. -1 with *err
 * (ERR_NOT_FOUND): not possible here. */
int small_disk_possible(struct error *err) CHECKED;
/* Over `folder`, which is there and empty; `folder` is copied. */
struct small_disk *small_disk_new(const char *folder, struct error *err) CHECKED;
/* The folder `inner` (inside) is on the disk of the folder `outer` instead; both are there. */
int small_disk_except(const char *inner, const char *outer, struct error *err) CHECKED;
/* Nothing more fits, until it has room again. */
int small_disk_fill(struct small_disk *d, struct error *err) CHECKED;
int small_disk_room(struct small_disk *d, struct error *err) CHECKED;
bool small_disk_full(const struct small_disk *d);
/* Takes the disk away, when nobody uses it any more. `keep`: what is on it is in the folder then,
 * as if there had been none. Takes NULL. */
int small_disk_free(struct small_disk *d, bool keep, struct error *err) CHECKED;

#endif
