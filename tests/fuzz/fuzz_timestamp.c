/*
 * Time stamps: what is read is a real instant that can be written and read again; any instant can be written.
 */
#include "fuzz.h"

#include <string.h>

#include "base/timestamp.h"

static const int64_t first = -62135596800, last = 253402300799; /* of the years 0001 and 9999 */

static int64_t clamp(int64_t instant)
{
    return instant < first ? first : instant > last ? last : instant;
}

/* Writes an instant, and reads it back. */
static void check_written(int64_t instant, char text[TIMESTAMP_TEXT_MAX])
{
    struct err e = ERR_INIT;
    int64_t back;

    FUZZ_CHECK(strlen(timestamp_format(instant, text)) == TIMESTAMP_TEXT_LEN);
    FUZZ_CHECK(timestamp_parse(text, TIMESTAMP_TEXT_LEN, &back, &e) == 0 && back == clamp(instant));
}

static void check_read(const char *text, size_t len)
{
    struct err e = ERR_INIT;
    char written[TIMESTAMP_TEXT_MAX];
    int64_t instant = 42;

    if (timestamp_parse(text, len, &instant, &e) < 0) {
        FUZZ_CHECK(e.kind == ERR_CONFIG && e.text[0] != '\0' && instant == 42);
        return;
    }
    FUZZ_CHECK(e.kind == ERR_NONE && (len == 20 || len == 25));
    FUZZ_CHECK(instant >= first - 86400 && instant <= last + 86400);
    check_written(instant, written);
    if (len == 20)
        FUZZ_CHECK(memcmp(text, written, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char written[TIMESTAMP_TEXT_MAX];
    int64_t instant;

    check_read((const char *)data, len);
    if (len >= sizeof(instant)) {
        memcpy(&instant, data, sizeof(instant));
        check_written(instant, written);
        check_written(instant % (2 * last), written);
    }
    return 0;
}
