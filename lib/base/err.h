/*
 * err.h: one failure, from the place that noticed it to the line that tells the person.
 *
 * A struct err is a value: it owns nothing, can be copied and thrown away. It says
 *
 *     kind    what the caller should decide (try again, stop, wait for the operator)
 *     domain  whose numbering `code` follows (errno, an HTTP status, a gRPC status, ...)
 *     text    one line that names the cause, without secrets
 *
 * The layer that notices a failure sets it with err_set. Every layer above may put its own context before the text with
 * err_prepend ("uploading part 7: ") and changes nothing else. The job decides by the kind and reports once. Libraries
 * never log.
 *
 * `struct err *` is the last parameter of what can fail, and is untouched on success. It may not be NULL. Functions
 * that can fail return 0 or a pointer on success, -1 or NULL on failure.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum err_kind {
    ERR_NONE = 0,
    ERR_TRANSIENT, /* trying again may help: network, overload, a server that restarts */
    ERR_AUTH,      /* credentials or certificates are not accepted: the operator must act */
    ERR_CONFIG,    /* what was configured or asked for is wrong: the operator must act */
    ERR_NOT_FOUND, /* what was addressed does not exist */
    ERR_PROTOCOL,  /* the other side broke its protocol */
    ERR_INTEGRITY, /* bytes are not what was written: never retried, never ignored */
    ERR_RESOURCE,  /* memory, disk space, descriptors: here, not there */
    ERR_BUSY,      /* another job has the place */
    ERR_CANCELLED, /* somebody asked for it */
};

enum err_domain {
    ERR_DOMAIN_NONE = 0,
    ERR_DOMAIN_ERRNO,  /* code: errno, positive */
    ERR_DOMAIN_UV,     /* code: libuv's negative UV_E... */
    ERR_DOMAIN_TLS,    /* code: mbedTLS' negative number */
    ERR_DOMAIN_HTTP2,  /* code: HTTP/2 error code (RFC 9113, section 7) or nghttp2's negative number */
    ERR_DOMAIN_GRPC,   /* code: grpc-status */
    ERR_DOMAIN_CURL,   /* code: CURLcode */
    ERR_DOMAIN_HTTP,   /* code: HTTP status */
    ERR_DOMAIN_FORMAT, /* code: byte offset of what is wrong, 0 if that says nothing */
    ERR_DOMAIN_KEY,    /* code: enum key_fault (seal/key.h) */
    ERR_DOMAIN_AGE,    /* code: enum age_fault (age/header.h) */
    ERR_DOMAIN_S3,     /* code: enum s3_fault (s3/request.h) */
};

enum { ERR_TEXT_MAX = 512 };

struct err {
    enum err_kind kind;
    enum err_domain domain;
    int64_t code;
    char text[ERR_TEXT_MAX];
};

#define ERR_INIT ((struct err){.kind = ERR_NONE})

/*
 * Sets all of *e. The text is cut at ERR_TEXT_MAX - 1 bytes; what a hostile server may have put into a message that is
 * quoted here (control characters, broken UTF-8) becomes '?', so that an error is always one line of UTF-8. The
 * arguments may point into *e. Always returns -1, so that `return err_set(...)` reads well.
 */
int err_set(struct err *e, enum err_kind kind, enum err_domain domain, int64_t code, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

/* The same for an errno: sets the kind by the number (ENOMEM, ENOSPC, ... are ERR_RESOURCE, ECONNREFUSED, ... are
 * ERR_TRANSIENT, ENOENT is ERR_NOT_FOUND, EACCES ERR_CONFIG) and appends ": " and strerror(number). Returns -1. */
int err_errno(struct err *e, int number, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts context in front of the text: err_prepend(e, "part %u: ", n). Keeps kind, domain and code. When both are too
 * long it is the context that is cut, not the cause. Returns -1. */
int err_prepend(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The kind in one word for machines and logs: "transient", "auth", ...; a static string. */
const char *err_kind_name(enum err_kind kind);

/* Whether the same attempt may be made again without anybody's help. */
static inline bool err_is_transient(const struct err *e)
{
    return e->kind == ERR_TRANSIENT;
}
