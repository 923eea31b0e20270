/*
 * scratch.h: files for tests, in a folder of their own that goes with the test, and what several tests of conf do.
 */
#pragma once

#include <sys/types.h>

#include "conf/conf.h"

/* For cmocka: makes the folder, makes it the working directory and initialises libsodium; removes it with its files. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* Writes a file into the folder. */
void scratch_write(const char *name, const void *data, size_t len, mode_t mode);
void scratch_text(const char *name, const char *text);

/* Loads "test.yml" with this text; fails the test unless that works. The caller frees. */
struct conf *scratch_load(const char *text);

/* A text that does not load, and the line that says so when its file is called "f.yml". */
struct scratch_refused {
    const char *text;
    const char *line;
};

/* Fails the test unless each is refused with its line. */
void scratch_expect_refused(const struct scratch_refused *cases, size_t n);

/* The mandatory keys of each of the two sections, a line each. */
#define ETCD "etcd_client: {endpoints: [a]}\n"
#define S3   "s3_client: {endpoint: e, bucket: bbb, auth: {key_auth: k}}\n"

/* The least that is a configuration. */
extern const char scratch_minimal[];
