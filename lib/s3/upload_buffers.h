/*
 * upload_buffers.h: memory for the parts of an upload, from bytes to full parts, and where each of them is on its way.
 * For upload_parts.c alone.
 */
#pragma once

#include "s3/upload_store.h"

struct upload_parts;

/* Where the part in a buffer is. */
enum upload_place {
    BUFFER_FREE,
    BUFFER_FILLING,  /* the owner writes into it; at most one */
    BUFFER_FULL,     /* waits for a request or the spool */
    BUFFER_SENDING,  /* UploadPart is under way */
    BUFFER_SPOOLING, /* the spool writes it */
    BUFFER_LOADING,  /* the spool reads into it; holds a place among the requests already */
};

struct upload_buffer {
    struct upload_parts *owner;
    enum upload_place place;
    uint8_t *data; /* mapped; NULL until it is first used */
    uint32_t number;
    size_t len;
    bool lent;               /* while FILLING: the owner makes bytes in it, on a thread of its own perhaps */
    struct upload_call call; /* while SENDING */
};

struct upload_buffers {
    struct upload_buffer *list;
    unsigned n;
    unsigned usable;  /* the first of them */
    size_t size;      /* bytes of each */
    uint64_t written; /* bytes, into all of them together */
};

/* `n` buffers, none with memory yet. Errors: ERR_RESOURCE. */
int upload_buffers_init(struct upload_buffers *b, unsigned n, size_t size, struct err *e);

/* Nothing may be on its way. */
void upload_buffers_reset(struct upload_buffers *b);

unsigned upload_buffers_count(const struct upload_buffers *b, enum upload_place place);

/* Bytes that upload_buffers_write takes now. */
uint64_t upload_buffers_room(const struct upload_buffers *b, const struct parts *table);

/* As s3_upload_lend. */
uint8_t *upload_buffers_lend(struct upload_buffers *b, const struct parts *table, size_t len);

/* Puts bytes, no more than there is room, behind those that were written; copies what was not made there. Errors:
 * ERR_RESOURCE. */
int upload_buffers_write(struct upload_buffers *b, const struct parts *table, struct bytes bytes, struct err *e);

/* No more bytes come: the one that is being filled counts as full, if there is anything in it. */
void upload_buffers_end(struct upload_buffers *b);

/* The full one with the lowest number, or NULL. */
struct upload_buffer *upload_buffers_first_full(const struct upload_buffers *b);

/* A free buffer with memory into *out, NULL when all are in use. Errors: ERR_RESOURCE. */
int upload_buffers_take(struct upload_buffers *b, struct upload_buffer **out, struct err *e);

/* Nobody makes anything in what was lent any more. */
void upload_buffers_take_back(struct upload_buffers *b);

/* Gives all memory back, but for what is lent; what the spool works on is left to its callback. */
void upload_buffers_release(struct upload_buffers *b);
