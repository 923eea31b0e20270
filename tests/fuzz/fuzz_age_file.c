/*
 * A file of age, as it comes from the bucket: its parts lie within it and make it up again; it opens for one who has
 * the identity of the published test vectors only if it is one of them; and nobody vouches for it but the one who did.
 */
#include "fuzz.h"

#include <sodium.h>
#include <string.h>

#include "age/identity.h"
#include "age/open.h"
#include "age/seal.h"
#include "base/cleanup.h"

static const char identity_text[] = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
static const uint8_t vouch_key[AGE_VOUCH_KEY_LEN] = {7};
#define TIMESTAMP "2024-12-06T21:22:25Z"

static struct secret *identity;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e = ERR_INIT;

    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    identity =
            age_identities_parse("identity", (struct bytes){(const uint8_t *)identity_text, strlen(identity_text)}, &e);
    FUZZ_CHECK(identity);
    return 0;
}

static void check_parts(const struct age_file *f, const uint8_t *data, size_t len)
{
    const uint8_t *next = data + strlen("age-encryption.org/v1\n");

    FUZZ_CHECK(f->n_stanzas > 0 && f->n_stanzas <= AGE_STANZAS_MAX);
    for (size_t i = 0; i < f->n_stanzas; i++) {
        const struct age_stanza *s = &f->stanzas[i];
        struct bytes argument;
        size_t n = 0;

        FUZZ_CHECK(s->whole.data == next && s->arguments.data == next + 3);
        FUZZ_CHECK(s->body.data == s->arguments.data + s->arguments.len + 1);
        next += s->whole.len;
        FUZZ_CHECK(s->body.data + s->body.len == next);
        while (age_stanza_argument(s, n, &argument)) {
            FUZZ_CHECK(argument.len > 0);
            n++;
        }
        FUZZ_CHECK(n > 0);
    }
    FUZZ_CHECK(f->header.data == data && next == data + f->header.len - 3);
    FUZZ_CHECK(f->payload.data + f->payload.len == data + len);
}

/* What is read of recipients is what would be written. */
static void check_names(const struct age_file *f)
{
    struct age_recipient named[AGE_RECIPIENTS_MAX];
    size_t n = age_recipients_of(f, named);

    for (size_t i = 0; i < n; i++) {
        char text[AGE_RECIPIENT_MAX];
        struct age_recipient again;
        struct err e = ERR_INIT;

        FUZZ_CHECK(age_recipient_parse(age_recipient_format(&named[i], text), &again, &e) == 0);
        FUZZ_CHECK(memcmp(&again, &named[i], sizeof(again)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *plain = NULL;
    struct age_file f;

    if (age_file_parse((struct bytes){data, len}, &f, &e) < 0) {
        FUZZ_CHECK(e.kind == ERR_INTEGRITY && e.domain == ERR_DOMAIN_AGE && e.code == AGE_FAULT_SHAPE && e.text[0]);
        return 0;
    }
    check_parts(&f, data, len);
    check_names(&f);
    FUZZ_CHECK(!age_vouch_is_by(&f, vouch_key, TIMESTAMP));
    plain = age_open(&f, identity, &e);
    FUZZ_CHECK(plain ? secret_len(plain) == 0 || memcmp(secret_const_data(plain), "age", 3) == 0
                     : e.kind == ERR_INTEGRITY && e.domain == ERR_DOMAIN_AGE && e.text[0]);
    return 0;
}
