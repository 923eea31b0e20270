/* A file of the AWS CLI: what is found lies in the text; a command line is cut into words that fit. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/profile.h"

static void check_inside(struct bytes b, const uint8_t *data, size_t len)
{
    FUZZ_CHECK(!b.data || (b.len > 0 && b.data >= data && b.data + b.len <= data + len));
    FUZZ_CHECK(!b.data || !memchr(b.data, '\n', b.len));
}

static void check_words(struct bytes line)
{
    struct err e = ERR_INIT;
    char **words = cloud_profile_split(line, &e);
    size_t n = 0, letters = 0;

    for (; words && words[n]; n++)
        letters += strlen(words[n]);
    FUZZ_CHECK(words ? n > 0 && n <= CLOUD_PROFILE_ARGS_MAX && letters <= line.len : e.kind == ERR_CONFIG);
    free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct cloud_profile p;
    struct err e = ERR_INIT;

    check_words((struct bytes){data, len});
    if (cloud_profile_parse((struct bytes){data, len}, "p", &p, &e) < 0) {
        FUZZ_CHECK(e.kind == ERR_CONFIG || e.kind == ERR_NOT_FOUND);
        return 0;
    }
    check_inside(p.access_key, data, len);
    check_inside(p.secret_key, data, len);
    check_inside(p.token, data, len);
    check_inside(p.process, data, len);
    FUZZ_CHECK(p.process.data ? !p.access_key.data : p.access_key.data && p.secret_key.data);
    if (p.process.data)
        check_words(p.process);
    return 0;
}
