/*
 * header.h: a file of age v1, in its parts (C2SP's age.md).
 *
 *     file    =  "age-encryption.org/v1" LF ‖ stanza … ‖ "--- " Base64(MAC) LF ‖ payload
 *     stanza  =  "-> " argument SP argument … LF ‖ its body in Base64, in lines of 64, the last one shorter or empty
 *
 * Each stanza is one way to the file's key; types that a reader does not know it leaves alone. Base64 is without
 * padding, and there is one text for the same bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum {
    AGE_FILE_MAX = 16 * 1024, /* bytes, of one that is small */
    AGE_STANZAS_MAX = 64,
    AGE_MAC_LEN = 32,
};

/* What is wrong with a file: the code of errors in ERR_DOMAIN_AGE, all of them ERR_INTEGRITY. */
enum age_fault {
    AGE_FAULT_SHAPE = 1, /* it is no such file, or hostile */
    AGE_FAULT_NO_MATCH,  /* none of the identities opens it */
    AGE_FAULT_DAMAGED,   /* the header, or the payload, is not what was written */
};

/* Pointers into the file. */
struct age_stanza {
    struct bytes whole;     /* as it stands, with the end of its last line */
    struct bytes arguments; /* the first line behind "-> ", without its end */
    struct bytes body;      /* lines of Base64, canonical */
};

struct age_file {
    struct bytes header; /* what the MAC is of: up to and with "---" */
    struct age_stanza stanzas[AGE_STANZAS_MAX];
    size_t n_stanzas;
    uint8_t mac[AGE_MAC_LEN];
    struct bytes payload;
};

/* Takes it apart; `out` is valid as long as `file`. Errors: ERR_INTEGRITY, AGE_FAULT_SHAPE: one line of what is wrong
 * and where. */
int age_file_parse(struct bytes file, struct age_file *out, struct err *e);

/* Argument number `i`, from 0, which is the type. False: there are fewer. */
bool age_stanza_argument(const struct age_stanza *s, size_t i, struct bytes *out);

/* Whether it is of that type. */
bool age_stanza_is(const struct age_stanza *s, const char *type);

/* Its body, if that is exactly `len` bytes, len <= 48. */
bool age_stanza_body(const struct age_stanza *s, uint8_t *out, size_t len);

/* Exactly `len` bytes out of canonical Base64, len <= 48. */
bool age_base64_read(struct bytes text, uint8_t *out, size_t len);

/* Each writes its part to the end of `b`. The body is at most 47 bytes, which is one line. Errors: those of buf_append.
 */
int age_write_version(struct buf *b, struct err *e);
int age_write_stanza(struct buf *b, const char *arguments, struct bytes body, struct err *e);
/* The header's end, by the MAC's key (HKDF_LEN bytes), after which comes the payload. */
int age_write_mac(struct buf *b, const uint8_t *key, struct err *e);
