/*
 * Durations and sizes: any text is either refused with one line or is a number that can be shown.
 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/size.h"

static void check_duration(const char *text)
{
    struct err e = ERR_INIT;
    char shown[DURATION_TEXT_MAX];
    uint64_t ms = UINT64_MAX;

    if (duration_parse(text, &ms, &e) == 0) {
        FUZZ_CHECK(e.kind == ERR_NONE && ms <= INT64_MAX);
        FUZZ_CHECK(*duration_format(ms, shown) != '\0' && strlen(shown) < sizeof(shown));
    } else {
        FUZZ_CHECK(e.kind == ERR_CONFIG && e.text[0] != '\0' && ms == UINT64_MAX);
    }
}

static void check_size(const char *text)
{
    struct err e = ERR_INIT;
    char shown[SIZE_TEXT_MAX];
    uint64_t bytes = 0;

    if (size_parse(text, &bytes, &e) == 0)
        FUZZ_CHECK(e.kind == ERR_NONE && *size_format(bytes, shown) != '\0' && strlen(shown) < sizeof(shown));
    else
        FUZZ_CHECK(e.kind == ERR_CONFIG && strchr(e.text, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *text = strndup((const char *)data, len);

    FUZZ_CHECK(text);
    check_duration(text);
    check_size(text);
    return 0;
}
