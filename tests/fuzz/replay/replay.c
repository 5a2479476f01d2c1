/* replay: gives each file of the folders that it is given to the target that it is linked with. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "shared/base/mem.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (4 << 20)

static int replay_file(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > INPUT_MAX) {
        if (f)
            fclose(f);
        return fprintf(stderr, "%s: cannot be read\n", path), -1;
    }
    /* Of its very size, so that a sanitizer sees what is read beyond it. */
    auto_free uint8_t *bytes = mem_array((size_t)st.st_size, 1);
    size_t n = fread(bytes, 1, (size_t)st.st_size, f);
    fclose(f);
    (void)LLVMFuzzerTestOneInput(bytes, n);
    return 0;
}

static int replay_folder(const char *folder)
{
    struct dirent *e;
    int files = 0, rc = 0;
    DIR *d = opendir(folder);
    while (d && rc == 0 && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        auto_free char *path = mem_printf("%s/%s", folder, e->d_name);
        rc = replay_file(path);
        files++;
    }
    if (d)
        closedir(d);
    if (files == 0)
        fprintf(stderr, "%s: no inputs\n", folder);
    else
        printf("%s: %d inputs\n", folder, files);
    return rc < 0 || files == 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    int rc = argc > 1 ? 0 : -1;
    for (int i = 1; i < argc; i++)
        if (replay_folder(argv[i]) < 0)
            rc = -1;
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
