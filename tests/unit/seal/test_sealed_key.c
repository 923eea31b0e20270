/* A data key that is sealed to people: who opens it, who vouches, and what somebody can make who is neither. */
#include "seal/sealed_key.h"

#include <sodium.h>
#include <string.h>

#include "age/identity.h"
#include "base/cleanup.h"
#include "expect.h"

enum { INSTANT = 1733520145 };

static struct secret *master, *stranger, *data_key, *identities, *other_identity;
static struct age_recipient recipients[2];
static struct buf sealed;

static void make(struct buf *out, size_t n, int64_t instant, const struct secret *vouching, const struct secret *key)
{
    const struct sealed_key_spec spec = {
            .recipients = recipients, .n = n, .data_key = key, .instant = instant, .vouching = vouching};
    struct err e = ERR_INIT;

    buf_reset(out);
    *out = BUF_INIT(SEALED_KEY_MAX);
    expect_success(sealed_key_make(&spec, out, &e) == 0, &e);
}

static int setup(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    master = key_new_master(&e);
    stranger = key_new_master(&e);
    data_key = key_new_data(&e);
    identities = secret_new(2 * AGE_KEY_LEN, &e);
    other_identity = age_identity_new(&e);
    if (!master || !stranger || !data_key || !identities || !other_identity)
        return -1;
    randombytes_buf(secret_data(identities), secret_len(identities));
    for (size_t i = 0; i < ARRAY_LEN(recipients); i++)
        age_identity_recipient(identities, i, &recipients[i]);
    make(&sealed, 2, INSTANT, master, data_key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    secret_free(TAKE_PTR(master));
    secret_free(TAKE_PTR(stranger));
    secret_free(TAKE_PTR(data_key));
    secret_free(TAKE_PTR(identities));
    secret_free(TAKE_PTR(other_identity));
    buf_reset(&sealed);
    return 0;
}

/* ---- the way it goes ---- */

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *one =
                secret_copy(secret_const_data(identities) + i * AGE_KEY_LEN, AGE_KEY_LEN, &e);
        _cleanup_secret_ struct secret *opened = sealed_key_open(one, buf_bytes(&sealed), INSTANT, false, &e);

        expect_success(opened, &e);
        assert_true(secret_equal(opened, data_key));
    }
    assert_true(sealed_key_is(buf_bytes(&sealed)));
}

/* The bounds that its header names; and that no two are alike. */
static void test_sizes(void **state)
{
    struct buf one = BUF_INIT(SEALED_KEY_MAX), other = BUF_INIT(SEALED_KEY_MAX);

    (void)state;
    make(&one, 1, INSTANT, NULL, data_key);
    make(&other, 1, INSTANT, NULL, data_key);
    assert_true(one.len >= SEALED_KEY_MIN && one.len < SEALED_KEY_MAX && one.len == other.len);
    assert_memory_not_equal(one.data, other.data, one.len);
    for (size_t len = 0; len < sizeof("age-encryption.org/") - 1; len++)
        assert_false(sealed_key_is((struct bytes){one.data, len}));
    buf_reset(&one);
    buf_reset(&other);
}

static void test_it_names_whom(void **state)
{
    char whom[SEALED_KEY_WHOM_MAX], expected[SEALED_KEY_WHOM_MAX] = "", name[AGE_RECIPIENT_SHORT_MAX];
    struct age_recipient found[AGE_RECIPIENTS_MAX];

    (void)state;
    assert_int_equal(sealed_key_recipients(buf_bytes(&sealed), found), 2);
    assert_memory_equal(found, recipients, sizeof(recipients));
    strcat(expected, age_recipient_short(&recipients[0], name));
    strcat(expected, ", ");
    strcat(expected, age_recipient_short(&recipients[1], name));
    assert_string_equal(sealed_key_whom(buf_bytes(&sealed), whom), expected);
    assert_int_equal(sealed_key_recipients((struct bytes){sealed.data, 40}, found), 0);
    assert_string_equal(sealed_key_whom((struct bytes){sealed.data, 40}, whom), "people whom it does not name");
}

static void test_what_age_has_opened(void **state)
{
    static const char time[] = "2024-12-06T21:22:25Z";
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *plain = secret_new(SEALED_KEY_PLAIN, &e), *taken = NULL, *renamed = NULL;

    (void)state;
    memcpy(secret_data(plain), secret_const_data(data_key), KEY_LEN);
    memcpy(secret_data(plain) + KEY_LEN, time, strlen(time));
    taken = sealed_key_take(plain, INSTANT, false, &e);
    expect_success(taken, &e);
    assert_true(secret_equal(taken, data_key));
    assert_null(sealed_key_take(plain, INSTANT + 1, false, &e));
    assert_int_equal(e.code, KEY_FAULT_BOUND_ELSEWHERE);
    renamed = sealed_key_take(plain, INSTANT + 1, true, &e);
    assert_non_null(renamed);
    secret_truncate(plain, SEALED_KEY_PLAIN - 1);
    assert_null(sealed_key_take(plain, INSTANT, false, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
}

/* ---- what it is not ---- */

static void refused(const struct secret *vouching, struct bytes object, int64_t instant, bool renamed, int fault)
{
    struct err e = ERR_INIT;

    assert_int_equal(sealed_key_check(vouching, object, instant, renamed, &e), -1);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    assert_int_equal(e.domain, ERR_DOMAIN_KEY);
    assert_int_equal(e.code, fault);
}

static void test_who_vouches(void **state)
{
    struct buf unvouched = BUF_INIT(SEALED_KEY_MAX);
    struct err e = ERR_INIT;

    (void)state;
    expect_success(sealed_key_check(master, buf_bytes(&sealed), INSTANT, false, &e) == 0, &e);
    expect_success(sealed_key_check(master, buf_bytes(&sealed), INSTANT + 1, true, &e) == 0, &e);
    refused(master, buf_bytes(&sealed), INSTANT + 1, false, KEY_FAULT_BOUND_ELSEWHERE);
    refused(stranger, buf_bytes(&sealed), INSTANT, false, KEY_FAULT_DOES_NOT_OPEN);
    refused(stranger, buf_bytes(&sealed), INSTANT, true, KEY_FAULT_DOES_NOT_OPEN);
    make(&unvouched, 2, INSTANT, NULL, data_key);
    refused(master, buf_bytes(&unvouched), INSTANT, true, KEY_FAULT_UNVOUCHED);
    buf_reset(&unvouched);
}

static void test_who_does_not_open(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_null(sealed_key_open(other_identity, buf_bytes(&sealed), INSTANT, false, &e));
    assert_int_equal(e.code, KEY_FAULT_SEALED);
    assert_non_null(strstr(e.text, "sealed to age1"));
    assert_null(sealed_key_open(identities, buf_bytes(&sealed), INSTANT + 1, false, &e));
    assert_int_equal(e.code, KEY_FAULT_BOUND_ELSEWHERE);
}

/* Each byte, and each length: never vouched for, but where only the MAC was changed, which whoever opens it sees. */
static void test_each_byte_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sealed.len; i++) {
        struct err e = ERR_INIT, opening = ERR_INIT;

        sealed.data[i] ^= 1;
        assert_null(sealed_key_open(identities, buf_bytes(&sealed), INSTANT, true, &opening));
        assert_int_equal(opening.kind, ERR_INTEGRITY);
        if (sealed_key_check(master, buf_bytes(&sealed), INSTANT, false, &e) == 0)
            assert_true(i > sealed.len - (SEALED_KEY_PLAIN + 32) - 45 && i < sealed.len - (SEALED_KEY_PLAIN + 32));
        sealed.data[i] ^= 1;
    }
    for (size_t len = 0; len < sealed.len; len++)
        refused(master, (struct bytes){sealed.data, len}, INSTANT, true, KEY_FAULT_SHAPE);
}

/* The payload of one under the header of another of the same makers; and more behind it. */
static void test_parts_of_two(void **state)
{
    const size_t payload = SEALED_KEY_PLAIN + 32;
    struct buf other = BUF_INIT(SEALED_KEY_MAX);
    struct err e = ERR_INIT;

    (void)state;
    make(&other, 2, INSTANT, master, stranger);
    assert_int_equal(other.len, sealed.len);
    memcpy(other.data + other.len - payload, sealed.data + sealed.len - payload, payload);
    refused(master, buf_bytes(&other), INSTANT, false, KEY_FAULT_DOES_NOT_OPEN);
    assert_null(sealed_key_open(identities, buf_bytes(&other), INSTANT, false, &e));
    assert_int_equal(e.code, KEY_FAULT_SHAPE);
    expect_success(buf_append(&other, "x", 1, &e) == 0, &e);
    refused(master, buf_bytes(&other), INSTANT, false, KEY_FAULT_SHAPE);
    buf_reset(&other);
}

static void test_no_room(void **state)
{
    const struct sealed_key_spec spec = {
            .recipients = recipients, .n = 2, .data_key = data_key, .instant = INSTANT, .vouching = master};
    struct buf out = BUF_INIT(SEALED_KEY_MIN); /* too small for two, and a vouch */
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(sealed_key_make(&spec, &out, &e), -1);
    assert_int_equal(e.kind, ERR_PROTOCOL);
    buf_reset(&out);
}

/* ---- the proof beside it ---- */

static void test_proof(void **state)
{
    char proof[SEALED_KEY_PROOF_MAX], same[SEALED_KEY_PROOF_MAX];

    (void)state;
    assert_int_equal(strlen(sealed_key_proof(master, data_key, buf_bytes(&sealed), proof)), 64);
    assert_string_equal(sealed_key_proof(master, data_key, buf_bytes(&sealed), same), proof);
    assert_true(sealed_key_has_proof(master, data_key, buf_bytes(&sealed), proof));
    assert_false(sealed_key_has_proof(stranger, data_key, buf_bytes(&sealed), proof));
    assert_false(sealed_key_has_proof(master, stranger, buf_bytes(&sealed), proof));
    assert_false(sealed_key_has_proof(master, data_key, (struct bytes){sealed.data, sealed.len - 1}, proof));
    assert_false(sealed_key_has_proof(master, data_key, buf_bytes(&sealed), ""));
    proof[63] = proof[63] == '0' ? '1' : '0';
    assert_false(sealed_key_has_proof(master, data_key, buf_bytes(&sealed), proof));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
            cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
            cmocka_unit_test_setup_teardown(test_it_names_whom, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_age_has_opened, setup, teardown),
            cmocka_unit_test_setup_teardown(test_who_vouches, setup, teardown),
            cmocka_unit_test_setup_teardown(test_who_does_not_open, setup, teardown),
            cmocka_unit_test_setup_teardown(test_each_byte_counts, setup, teardown),
            cmocka_unit_test_setup_teardown(test_parts_of_two, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
            cmocka_unit_test_setup_teardown(test_proof, setup, teardown),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
