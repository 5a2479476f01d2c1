/* workspace.h - the private temporary folder with the command's input and result files.
 *
 * The folder (mode 0700) and the input (mode 0600) are for the user of callback-run alone, whose
 * processes the command's are. One thread. */
#ifndef CONTAINER_WORKSPACE_H
#define CONTAINER_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "container/outcome.h"
#include "shared/base/buf.h"
#include "shared/base/error.h"

struct workspace {
    char *folder; /* NULL: there is none */
    char *input_path;
    char *result_path;
    /* private: what a result file that was there before looked like */
    bool existed;
    struct stat before;
};

/* Makes the folder in `temp_dir`, or where that cannot be written, in /tmp or /dev/shm. Where
 * `result_file` is given the result is expected there instead. -1 where no folder could be made;
 * `result_file` works all the same. */
int workspace_open(struct workspace *w, const char *temp_dir, const char *result_file,
                   struct error *err) CHECKED;
/* Removes the folder and the files in it. Safe on zeroed memory. */
void workspace_close(struct workspace *w);
/* Writes the input and sets input_path. */
int workspace_write_input(struct workspace *w, const char *p, size_t len,
                          struct error *err) CHECKED;
/* Reads the result file into `bytes`, which *out borrows. Absent: nobody has written it since
 * workspace_open, or it is empty. -1 where it cannot be read. */
int workspace_read_result(const struct workspace *w, struct buf *bytes, struct result *out,
                          struct error *err) CHECKED;

#endif
