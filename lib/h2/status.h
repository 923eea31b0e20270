/*
 * status.h: how a gRPC call ended, from the header fields of the answer. Pure.
 *
 * A status comes in the block of header fields that ends the stream: the trailers, or, when there is nothing else to
 * say, the only block there is (native gRPC servers) or a second one right behind the first (Go's net/http). An answer
 * without grpc-status comes from something in between that is no gRPC server: the HTTP status then decides
 * (grpc/doc/http-grpc-status-mapping.md).
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"

enum { GRPC_STATUS_NONE = -1, GRPC_MESSAGE_MAX = 320 };

struct grpc_answer {
    int http_status;                /* 0: none yet */
    int status;                     /* grpc-status, GRPC_STATUS_NONE */
    bool is_grpc;                   /* by its content-type */
    char content_type[64];          /* cut */
    char message[GRPC_MESSAGE_MAX]; /* grpc-message, percent-decoded, cut */
};

#define GRPC_ANSWER_INIT ((struct grpc_answer){.status = GRPC_STATUS_NONE})

/* A header field of the answer; `last`: of the block that ends the stream, the only one where a status counts. */
void grpc_status_field(struct grpc_answer *a, bool last, struct bytes name, struct bytes value);

/* Whether messages may follow: HTTP 200 and a content-type of gRPC. Else -1 and *e, as grpc_status_result. */
int grpc_status_check_head(const struct grpc_answer *a, struct err *e);

/* The end of a stream that was not reset: 0 for OK, else -1 and the error that grpc.h describes. */
int grpc_status_result(const struct grpc_answer *a, struct err *e);

/* "UNAVAILABLE"; a static string, "UNKNOWN" for a number that is none. */
const char *grpc_status_name(int status);

/* Decodes %XX in place of a byte, leaves what is malformed as it is (PROTOCOL-HTTP2.md), cuts at size - 1. */
void grpc_status_decode_message(struct bytes encoded, char *out, size_t size);
