/*
 * The header fields of a gRPC answer: whatever they are, the end is one error on one line or a success that was really
 * said. The input is lines "name: value"; an empty line begins the block that ends the stream.
 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "h2/status.h"

static struct bytes take(struct bytes *rest, uint8_t until)
{
    const uint8_t *end = rest->len ? memchr(rest->data, until, rest->len) : NULL;
    struct bytes out = {.data = rest->data, .len = end ? (size_t)(end - rest->data) : rest->len};
    size_t n = out.len + (end ? 1 : 0);

    rest->data += n;
    rest->len -= n;
    return out;
}

static bool says_ok(struct bytes name, struct bytes value)
{
    if (name.len != 11 || memcmp(name.data, "grpc-status", 11) != 0 || value.len == 0)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] != '0')
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct grpc_answer a = GRPC_ANSWER_INIT;
    struct bytes rest = {.data = data, .len = len};
    bool last = false, ok = false;
    struct err e = ERR_INIT;

    while (rest.len > 0) {
        struct bytes value = take(&rest, '\n'), name = take(&value, ':');

        if (name.len == 0)
            last = true;
        ok = ok || (last && says_ok(name, value));
        grpc_status_field(&a, last, name, value);
    }
    FUZZ_CHECK(strlen(a.message) < sizeof(a.message) && strlen(a.content_type) < sizeof(a.content_type));
    if (grpc_status_result(&a, &e) == 0)
        FUZZ_CHECK(ok && e.kind == ERR_NONE);
    else
        FUZZ_CHECK(e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n') && !strchr(e.text, '\x1b'));
    FUZZ_CHECK(grpc_status_name(a.status)[0]);
    return 0;
}
