/*
 * framing.h: gRPC messages out of a stream of bytes. Pure.
 *
 * A message is a flag byte (1: compressed), its length as four bytes in network order, and that many bytes
 * (grpc/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message). The stream comes in pieces that are cut anywhere. A message
 * that lies whole within a piece is handed out where it lies; one that does not is gathered in a buffer of its own.
 *
 *     while ((rc = grpc_framing_next(f, &piece, &message, e)) > 0)
 *         use message
 *
 * Or, for who can do with less than a message, and saves the copy: grpc_framing_part hands out what there is of one. A
 * parser does one or the other.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

enum { GRPC_PREFIX_LEN = 5 };

struct grpc_framing;

/* Messages longer than `limit` bytes are refused. The caller frees. Errors: ERR_RESOURCE. */
struct grpc_framing *grpc_framing_new(size_t limit, struct err *e);

/*
 * Takes bytes from the front of *piece. Returns 1 with a message, valid until the next call and as long as the piece;
 * 0 when the piece is used up; -1 on errors: ERR_PROTOCOL (a compressed message, an unknown flag, one that is too
 * long), ERR_RESOURCE. After an error the parser must not be used again.
 */
int grpc_framing_next(struct grpc_framing *f, struct bytes *piece, struct bytes *message, struct err *e);

/* Some of a message. */
struct grpc_part {
    size_t message_len; /* of the whole one */
    struct bytes bytes; /* the next of it; of a message without bytes none */
    bool begins, ends;  /* whether they are its first, its last */
};

/* As grpc_framing_next, with what the piece has of a message; it lies in the piece. */
int grpc_framing_part(struct grpc_framing *f, struct bytes *piece, struct grpc_part *part, struct err *e);

/* Whether the stream may end here: not within a message. */
bool grpc_framing_at_boundary(const struct grpc_framing *f);

/* Wipes and releases (messages may hold tokens). NULL is fine. */
void grpc_framing_free(struct grpc_framing *f);

CLEANUP_FUNC(struct grpc_framing *, grpc_framing_free)
#define _cleanup_framing_ _cleanup_(cleanup_grpc_framing_free)

/* Writes the prefix of an uncompressed message of `len` bytes. */
void grpc_framing_prefix(uint8_t out[GRPC_PREFIX_LEN], uint32_t len);
