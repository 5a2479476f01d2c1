/* log_file.h - a file that text is appended to and that keeps within bounds: once it has grown to
 * its limit it becomes PATH.1, in the place of an earlier one, and begins anew. So the newest text
 * is there, at least one limit's worth and at most two.
 *
 * The same path may be open several times in one process. One thread. */
#ifndef LOCAL_AWS_LOG_FILE_H
#define LOCAL_AWS_LOG_FILE_H

#include <stddef.h>

#include "shared/base/error.h"

struct log_file;

/* `limit` in bytes. The file is for this user alone. */
struct log_file *log_file_open(const char *path, size_t limit, struct error *err) CHECKED;
/* Appends; what cannot be written (a full disk) is lost. */
void log_file_write(struct log_file *f, const char *text, size_t len);
void log_file_close(struct log_file *f); /* takes NULL */

#endif
