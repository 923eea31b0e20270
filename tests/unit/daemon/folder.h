/*
 * folder.h: a folder for one test, which goes with it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"

/* For cmocka: makes the folder, makes it the working directory and initialises libsodium; removes it with its files. */
int folder_setup(void **state);
int folder_teardown(void **state);

/* Its absolute path. */
const char *folder_path(void);

/* Gives this process mounts of its own, for good: nobody else sees what it mounts, and that goes with it. False where
 * that is not allowed. */
bool folder_own_mounts(void);

/* How many entries there are, hidden ones too. */
unsigned folder_count(void);

void folder_write(const char *name, const void *data, size_t len, mode_t mode);

/* The content of a file; the caller frees `data`. */
struct buf folder_read(const char *name);
