/*
 * fuzz.h: what a fuzz target is.
 *
 * A target is one file fuzz_NAME.c that feeds hostile bytes to one parser and asserts what must hold whatever they are.
 * It is built twice, from one line in meson.build:
 *
 *     fuzz_NAME       with driver.c, by any compiler: runs the files of corpus/NAME, a plain regression test
 *     fuzz_NAME_more  by clang, with libFuzzer and the address and undefined-behaviour sanitizers: starts from the
 * corpus and makes up inputs of its own, a fixed number of them from a fixed seed; to search for longer:
 *                     tests/fuzz/more.sh BUILD/tests/fuzz/fuzz_NAME_more tests/fuzz/corpus/NAME -runs=-1 -seed=0
 *
 * An input that once broke something is put into the corpus under a name that says what it was.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The target: `data` is exactly `len` bytes, len >= 0, valid during the call. Always returns 0; a failure is an abort.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Optional: called once before the first input (sodium_init and the like). Returns 0. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* An assertion that NDEBUG does not remove. */
#define FUZZ_CHECK(cond)                                                                                               \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            fuzz_failed(__FILE__, __LINE__, #cond);                                                                    \
    } while (0)

/* Says what does not hold and aborts. */
_Noreturn void fuzz_failed(const char *file, int line, const char *what);
