/* A file of identities, and one recipient: what is read of either is what is written of it again. */
#include "fuzz.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "age/identity.h"
#include "base/cleanup.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    return 0;
}

static void read_recipient(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *text = calloc(1, len + 1);
    char again[AGE_RECIPIENT_MAX];
    struct err e = ERR_INIT;
    struct age_recipient r;

    FUZZ_CHECK(text);
    memcpy(text, data, len);
    if (age_recipient_parse(text, &r, &e) < 0)
        FUZZ_CHECK(e.kind == ERR_CONFIG && e.text[0]);
    else
        FUZZ_CHECK(strcmp(text, age_recipient_format(&r, again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *s = age_identities_parse("x", (struct bytes){data, len}, &e), *file = NULL;

    read_recipient(data, len);
    FUZZ_CHECK(s ? e.kind == ERR_NONE : e.kind == ERR_CONFIG && e.text[0]);
    if (s) {
        FUZZ_CHECK(secret_len(s) % AGE_KEY_LEN == 0 && age_identity_count(s) >= 1);
        file = age_identity_file(s, &e);
        FUZZ_CHECK(file && memmem(data, len, secret_const_data(file) + secret_len(file) - AGE_IDENTITY_LEN - 1,
                                   AGE_IDENTITY_LEN));
    }
    return 0;
}
