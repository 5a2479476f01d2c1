/* record.h - a file that every request to the AWS port is appended to, for judging what programs
 * call by what their policies allow (tests/deploy).
 *
 * One JSON object a line: {"caller","service","operation","status","path","query","body"}. The
 * caller is the request's session token, which for a function is its name, else its access key. The
 * file holds whole requests (bodies up to 64 KiB), and so what jobs are told: it is for tests.
 * Several local-aws may write to one file. The loop's thread only. */
#ifndef LOCAL_RECORD_H
#define LOCAL_RECORD_H

#include "local/aws/aws_api.h"

struct record_file;

struct record_file *record_open(const char *path, struct error *err) CHECKED;
void record_close(struct record_file *f); /* takes NULL */
/* `f` may be NULL: nothing is recorded. */
void record_add(struct record_file *f, const struct aws_request *r, int status);

#endif
