/*
 * driver.c: a main for a fuzz target that runs what is there already: every file given as an argument and every file in
 * a folder given as one, and the empty input. Ends with status 1 when there was nothing to run, so that a lost corpus
 * is noticed.
 */
#include "fuzz.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A target need not have one. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static unsigned n_run;

/* Into a block of exactly the right size, so that a sanitizer notices the first byte read past the end. */
static int run_file(const char *path, size_t len)
{
    _cleanup_fclose_ FILE *f = fopen(path, "rbe");
    _cleanup_free_ uint8_t *data = malloc(len ? len : 1);

    if (!f || !data || fread(data, 1, len, f) != len) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    fprintf(stderr, "%s: %zu bytes\n", path, len); /* before it runs: the last line names what crashed */
    n_run++;
    return LLVMFuzzerTestOneInput(data, len);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    return type == FTW_F ? run_file(path, (size_t)st->st_size) : 0;
}

int main(int argc, char **argv)
{
    static const uint8_t nothing[1];

    if (LLVMFuzzerInitialize(&argc, &argv) != 0 || LLVMFuzzerTestOneInput(nothing, 0) != 0)
        return 1;
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], visit, 16, FTW_PHYS) != 0) {
            fprintf(stderr, "%s: cannot be run\n", argv[i]);
            return 1;
        }
    printf("%u inputs\n", n_run);
    return n_run > 0 ? 0 : 1;
}
