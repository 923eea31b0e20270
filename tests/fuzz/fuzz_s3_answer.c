/*
 * Heads of HTTP answers, cut into lines as curl would: whatever they hold, what is kept of them is bounded and ends.
 */
#include "fuzz.h"

#include <string.h>

#include "s3/answer.h"

static void check(struct s3_answer *a)
{
    s3_answer_finish(a);
    FUZZ_CHECK(a->status >= 0 && a->status <= 999);
    FUZZ_CHECK(memchr(a->etag, '\0', sizeof(a->etag)) && memchr(a->region, '\0', sizeof(a->region)));
    FUZZ_CHECK(a->n_metadata <= S3_ANSWER_METADATA_MAX && a->head_len <= S3_ANSWER_HEAD_MAX);
    FUZZ_CHECK(!a->has_range || a->range_first <= a->range_last);
    for (size_t i = 0; i < a->n_metadata; i++)
        FUZZ_CHECK(strlen(a->params[i].name) + strlen(a->params[i].value) < a->metadata.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct s3_answer a = {0};
    struct err e = ERR_INIT;
    int result = 0;

    s3_answer_reset(&a);
    while (len > 0 && result == 0) {
        const uint8_t *newline = memchr(data, '\n', len);
        const size_t line_len = newline ? (size_t)(newline - data) + 1 : len;

        result = s3_answer_line(&a, (const char *)data, line_len, &e);
        data += line_len;
        len -= line_len;
    }
    if (result == 0)
        check(&a);
    else
        FUZZ_CHECK(e.kind == ERR_PROTOCOL);
    s3_answer_reset(&a);
    return 0;
}
