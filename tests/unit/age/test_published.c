#include "published.h"

#include <sodium.h>
#include <string.h>

#include "age/identity.h"
#include "age/open.h"
#include "expect.h"

static struct secret *identities_of(const struct published *row)
{
    const char *text = published_identities[row->identity];
    struct err e = ERR_INIT;
    struct secret *s = age_identities_parse("identity", (struct bytes){(const uint8_t *)text, strlen(text)}, &e);

    expect_success(s, &e);
    return s;
}

static void expect_plain(const struct published *row, const struct secret *plain)
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof(digest) + 1];

    if (strcmp(row->name, "stream_empty_payload") == 0) {
        assert_int_equal(secret_len(plain), 0);
        return;
    }
    (void)crypto_hash_sha256(digest, secret_const_data(plain), secret_len(plain));
    assert_string_equal(sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest)), published_digest);
}

static enum age_fault fault_of(enum published_end end)
{
    switch (end) {
    case NO_MATCH:
        return AGE_FAULT_NO_MATCH;
    case HEADER:
        return AGE_FAULT_SHAPE;
    default:
        return AGE_FAULT_DAMAGED;
    }
}

static void each_ends_as_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        const struct published *row = &published[i];
        _cleanup_secret_ struct secret *identities = identities_of(row), *plain = NULL;
        struct err e = ERR_INIT;
        struct age_file f;

        if (age_file_parse((struct bytes){(const uint8_t *)row->file, row->len}, &f, &e) == 0)
            plain = age_open(&f, identities, &e);
        if (!plain != (row->end != OPENS))
            fail_msg("%s: %s", row->name, plain ? "opens" : e.text);
        if (plain)
            expect_plain(row, plain);
        else if (e.kind != ERR_INTEGRITY || e.domain != ERR_DOMAIN_AGE || e.code != (int64_t)fault_of(row->end))
            fail_msg("%s: %s (%d)", row->name, e.text, (int)e.code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_ends_as_published)};

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("age_published", tests, NULL, NULL);
}
