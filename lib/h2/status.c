#include "h2/status.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "h2/grpc.h"

/* What the caller should decide, by the number of the status. */
static const struct {
    const char *name;
    enum err_kind kind;
} statuses[] = {
        [GRPC_OK] = {"OK", ERR_NONE},
        [GRPC_CANCELLED] = {"CANCELLED", ERR_TRANSIENT}, /* by the server: who cancels here hears nothing more */
        [GRPC_UNKNOWN] = {"UNKNOWN", ERR_TRANSIENT},
        [GRPC_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", ERR_CONFIG},
        [GRPC_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", ERR_TRANSIENT},
        [GRPC_NOT_FOUND] = {"NOT_FOUND", ERR_CONFIG},
        [GRPC_ALREADY_EXISTS] = {"ALREADY_EXISTS", ERR_CONFIG},
        [GRPC_PERMISSION_DENIED] = {"PERMISSION_DENIED", ERR_AUTH},
        [GRPC_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", ERR_TRANSIENT},
        [GRPC_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", ERR_CONFIG},
        [GRPC_ABORTED] = {"ABORTED", ERR_TRANSIENT},
        [GRPC_OUT_OF_RANGE] = {"OUT_OF_RANGE", ERR_CONFIG},
        [GRPC_UNIMPLEMENTED] = {"UNIMPLEMENTED", ERR_CONFIG},
        [GRPC_INTERNAL] = {"INTERNAL", ERR_TRANSIENT},
        [GRPC_UNAVAILABLE] = {"UNAVAILABLE", ERR_TRANSIENT},
        [GRPC_DATA_LOSS] = {"DATA_LOSS", ERR_TRANSIENT},
        [GRPC_UNAUTHENTICATED] = {"UNAUTHENTICATED", ERR_AUTH},
};

static bool is_status(int status)
{
    return status >= 0 && (size_t)status < ARRAY_LEN(statuses);
}

const char *grpc_status_name(int status)
{
    return statuses[is_status(status) ? status : GRPC_UNKNOWN].name;
}

static bool equals(struct bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

/* A decimal number of at most `digits` digits, -1 if it is something else. */
static int number(struct bytes b, size_t digits)
{
    int n = 0;

    if (b.len == 0 || b.len > digits)
        return -1;
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] < '0' || b.data[i] > '9')
            return -1;
        n = n * 10 + (b.data[i] - '0');
    }
    return n;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void grpc_status_decode_message(struct bytes encoded, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < encoded.len && n + 1 < size; i++) {
        int high = -1, low = -1;

        if (encoded.data[i] == '%' && encoded.len - i > 2) {
            high = hex_digit(encoded.data[i + 1]);
            low = hex_digit(encoded.data[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            int c = high << 4 | low;

            out[n++] = (char)(c ? c : '?'); /* a NUL would end the text */
            i += 2;
        } else {
            out[n++] = (char)encoded.data[i];
        }
    }
    out[n] = '\0';
}

void grpc_status_field(struct grpc_answer *a, bool last, struct bytes name, struct bytes value)
{
    static const char type[] = "application/grpc";

    if (equals(name, ":status")) {
        a->http_status = number(value, 3);
    } else if (equals(name, "content-type")) {
        (void)snprintf(a->content_type, sizeof(a->content_type), "%.*s", (int)(value.len < 64 ? value.len : 64),
                (const char *)value.data);
        /* application/grpc, application/grpc+proto, application/grpc;charset=... */
        a->is_grpc = value.len >= sizeof(type) - 1 && memcmp(value.data, type, sizeof(type) - 1) == 0 &&
                     (value.len == sizeof(type) - 1 || strchr("+; ", value.data[sizeof(type) - 1]));
    } else if (last && equals(name, "grpc-status")) {
        a->status = number(value, 9);
        if (a->status < 0)
            a->status = GRPC_UNKNOWN;
    } else if (last && equals(name, "grpc-message")) {
        grpc_status_decode_message(value, a->message, sizeof(a->message));
    }
}

static int status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

int grpc_status_check_head(const struct grpc_answer *a, struct err *e)
{
    if (a->http_status != 200)
        return err_set(e, statuses[status_of_http(a->http_status)].kind, ERR_DOMAIN_GRPC,
                status_of_http(a->http_status), "HTTP %d without grpc-status", a->http_status);
    if (!a->is_grpc)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_GRPC, GRPC_UNKNOWN,
                "the answer is not gRPC but '%s': is this the client port of an etcd?", a->content_type);
    return 0;
}

int grpc_status_result(const struct grpc_answer *a, struct err *e)
{
    int status = is_status(a->status) ? a->status : GRPC_UNKNOWN;

    if (a->status == GRPC_STATUS_NONE) {
        if (grpc_status_check_head(a, e) < 0)
            return -1;
        return err_set(
                e, ERR_TRANSIENT, ERR_DOMAIN_GRPC, GRPC_UNKNOWN, "the server ended the call without grpc-status");
    }
    if (status == GRPC_OK)
        return grpc_status_check_head(a, e);
    return err_set(e, statuses[status].kind, ERR_DOMAIN_GRPC, a->status, "grpc-status %d %s: %s", a->status,
            statuses[status].name, a->message);
}
