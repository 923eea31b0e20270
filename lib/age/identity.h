/*
 * identity.h: who can open: the secret keys of age, "AGE-SECRET-KEY-1…", as age-keygen writes them into a file.
 *
 * Some of them are a struct secret of n times AGE_KEY_LEN bytes. They are a person's, who brings them along for one
 * command; no daemon keeps one.
 */
#pragma once

#include <stddef.h>

#include "age/recipient.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

enum {
    AGE_IDENTITY_LEN = 74, /* its text */
    AGE_IDENTITIES_MAX = 64,
    AGE_IDENTITY_FILE_MAX = 64 * 1024,
};

/* A new one. The caller frees. Errors: ERR_RESOURCE. */
struct secret *age_identity_new(struct err *e);

/* The recipient that identity number `i` opens for. */
void age_identity_recipient(const struct secret *identities, size_t i, struct age_recipient *out);

size_t age_identity_count(const struct secret *identities);

/* What age-keygen would write for the first: its recipient as a comment, and it. The caller frees. Errors:
 * ERR_RESOURCE. */
struct secret *age_identity_file(const struct secret *identity, struct err *e);

/*
 * Reads such a file: one a line, with comments (#) and empty lines. `name` is what errors call it; they never quote it.
 * The caller frees. Errors: ERR_CONFIG: what it is instead (encrypted with a passphrase, a plugin's identity, a
 * recipient, an SSH key), or in which line something is wrong; ERR_RESOURCE.
 */
struct secret *age_identities_parse(const char *name, struct bytes file, struct err *e);
