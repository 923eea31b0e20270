#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "age/identity.h"
#include "age/open.h"
#include "age/seal.h"
#include "expect.h"
#include "failing.h"

#define TIMESTAMP "2024-12-06T21:22:25Z"
#define PLAIN     "0123456789abcdef0123456789abcdef" TIMESTAMP

static const uint8_t vouch_key[AGE_VOUCH_KEY_LEN] = {1, 2, 3}, other_key[AGE_VOUCH_KEY_LEN] = {1, 2, 4};

/* Some people, each with an identity, and what is sealed to them. */
struct people {
    struct secret *identities; /* of all */
    struct age_recipient recipients[AGE_RECIPIENTS_MAX];
    size_t n;
    struct buf file;
};

static struct secret *identity_of(const struct people *p, size_t i)
{
    struct err e = ERR_INIT;
    struct secret *s = secret_copy(secret_const_data(p->identities) + i * AGE_KEY_LEN, AGE_KEY_LEN, &e);

    expect_success(s, &e);
    return s;
}

static int seal(struct people *p, const uint8_t *key, struct err *e)
{
    _cleanup_secret_ struct secret *plain = secret_copy(PLAIN, strlen(PLAIN), e);
    struct age_seal_spec spec = {
            .recipients = p->recipients, .n = p->n, .plain = plain, .timestamp = TIMESTAMP, .vouch_key = key};

    return plain ? age_seal(&spec, &p->file, e) : -1;
}

static void begin(struct people *p, size_t n, const uint8_t *key)
{
    struct err e = ERR_INIT;

    *p = (struct people){.n = n, .file = BUF_INIT(AGE_FILE_MAX)};
    p->identities = secret_new(n * AGE_KEY_LEN, &e);
    expect_success(p->identities, &e);
    randombytes_buf(secret_data(p->identities), n * AGE_KEY_LEN);
    for (size_t i = 0; i < n; i++)
        age_identity_recipient(p->identities, i, &p->recipients[i]);
    expect_success(seal(p, key, &e) == 0, &e);
}

static void end(struct people *p)
{
    secret_free(p->identities);
    buf_reset(&p->file);
}

static struct secret *open_with(struct bytes file, const struct secret *identities, struct err *e)
{
    struct age_file f;

    return age_file_parse(file, &f, e) < 0 ? NULL : age_open(&f, identities, e);
}

static bool is_vouched(struct bytes file, const uint8_t *key, const char *timestamp)
{
    struct err e = ERR_INIT;
    struct age_file f;

    return age_file_parse(file, &f, &e) == 0 && age_vouch_is_by(&f, key, timestamp);
}

static void each_of_them_opens_it_and_nobody_else(void **state)
{
    (void)state;
    for (size_t n = 1; n <= AGE_RECIPIENTS_MAX; n++) {
        struct people p, others;

        begin(&p, n, n % 2 ? vouch_key : NULL);
        begin(&others, 1, NULL);
        for (size_t i = 0; i < n; i++) {
            struct err e = ERR_INIT;
            _cleanup_secret_ struct secret *one = identity_of(&p, i), *plain = open_with(buf_bytes(&p.file), one, &e);

            expect_success(plain, &e);
            assert_int_equal(secret_len(plain), strlen(PLAIN));
            assert_memory_equal(secret_const_data(plain), PLAIN, strlen(PLAIN));
        }
        {
            struct err e = ERR_INIT;

            assert_null(open_with(buf_bytes(&p.file), others.identities, &e));
            expect_error(&e, ERR_INTEGRITY, "none of the identities opens it");
            assert_int_equal(e.code, AGE_FAULT_NO_MATCH);
        }
        end(&p);
        end(&others);
    }
}

static void it_names_whom_it_is_sealed_to(void **state)
{
    struct people p;
    struct age_recipient named[AGE_RECIPIENTS_MAX];
    struct err e = ERR_INIT;
    struct age_file f;

    (void)state;
    begin(&p, AGE_RECIPIENTS_MAX, vouch_key);
    expect_success(age_file_parse(buf_bytes(&p.file), &f, &e) == 0, &e);
    assert_int_equal(f.n_stanzas, AGE_RECIPIENTS_MAX + 2);
    assert_int_equal(age_recipients_of(&f, named), AGE_RECIPIENTS_MAX);
    assert_memory_equal(named, p.recipients, sizeof(named));
    end(&p);
}

static void a_vouch_is_that_of_one_key_and_one_time(void **state)
{
    struct people p, unvouched;
    struct err e = ERR_INIT;
    struct age_file f;

    (void)state;
    begin(&p, 2, vouch_key);
    begin(&unvouched, 2, NULL);
    assert_true(is_vouched(buf_bytes(&p.file), vouch_key, TIMESTAMP));
    assert_false(is_vouched(buf_bytes(&p.file), other_key, TIMESTAMP));
    assert_false(is_vouched(buf_bytes(&p.file), vouch_key, "2024-12-06T21:22:26Z"));
    assert_false(is_vouched(buf_bytes(&unvouched.file), vouch_key, TIMESTAMP));
    expect_success(age_file_parse(buf_bytes(&unvouched.file), &f, &e) == 0, &e);
    assert_int_equal(age_vouch_find(&f), AGE_VOUCH_NONE);
    end(&p);
    end(&unvouched);
}

/* But for the header's MAC, whoever vouches need not be able to open it to see it; whoever opens it sees it all. */
static void each_byte_counts(void **state)
{
    struct people p;
    struct err ok = ERR_INIT;
    struct age_file f;
    size_t mac_begins, mac_ends;

    (void)state;
    begin(&p, 2, vouch_key);
    expect_success(age_file_parse(buf_bytes(&p.file), &f, &ok) == 0, &ok);
    mac_begins = f.header.len;
    mac_ends = (size_t)(f.payload.data - p.file.data);
    for (size_t i = 0; i < p.file.len; i++) {
        struct err e = ERR_INIT;

        p.file.data[i] ^= 1;
        assert_null(open_with(buf_bytes(&p.file), p.identities, &e));
        assert_int_equal(e.kind, ERR_INTEGRITY);
        assert_true(is_vouched(buf_bytes(&p.file), vouch_key, TIMESTAMP) ==
                    (i >= mac_begins && i < mac_ends && age_file_parse(buf_bytes(&p.file), &f, &e) == 0));
        p.file.data[i] ^= 1;
    }
    for (size_t len = 0; len < p.file.len; len++) {
        struct err e = ERR_INIT;

        assert_null(open_with((struct bytes){p.file.data, len}, p.identities, &e));
        assert_int_equal(e.kind, ERR_INTEGRITY);
        assert_false(is_vouched((struct bytes){p.file.data, len}, vouch_key, TIMESTAMP));
    }
    end(&p);
}

static void append(struct buf *b, struct bytes data)
{
    struct err e = ERR_INIT;

    expect_success(buf_append(b, data.data, data.len, &e) == 0, &e);
}

static void append_text(struct buf *b, const char *text)
{
    append(b, (struct bytes){(const uint8_t *)text, strlen(text)});
}

/* A file of some stanzas, of either, and of a MAC and a payload. */
static void assemble(struct buf *out, const struct age_stanza *const *stanzas, size_t n, const struct age_file *rest)
{
    append_text(out, "age-encryption.org/v1\n");
    for (size_t i = 0; i < n; i++)
        append(out, stanzas[i]->whole);
    append(out, (struct bytes){rest->header.data + rest->header.len - 3,
                        (size_t)(rest->payload.data - rest->header.data) - rest->header.len + 3});
    append(out, rest->payload);
}

/* Two backups of the same makers: a = {to one, to two, names, vouch}, and b. */
static void parts_of_two_make_no_third(void **state)
{
    struct people p, q;
    struct err e = ERR_INIT;
    struct age_file a, b;

    (void)state;
    begin(&p, 2, vouch_key);
    begin(&q, 2, vouch_key);
    expect_success(
            age_file_parse(buf_bytes(&p.file), &a, &e) == 0 && age_file_parse(buf_bytes(&q.file), &b, &e) == 0, &e);
    {
        const struct age_stanza *const swapped[] = {&a.stanzas[1], &a.stanzas[0], &a.stanzas[2], &a.stanzas[3]},
                                       *mixed[] = {&a.stanzas[0], &b.stanzas[1], &a.stanzas[2], &a.stanzas[3]},
                                       *copied[] = {&a.stanzas[0], &a.stanzas[1], &a.stanzas[2], &b.stanzas[3]},
                                       *twice[] = {&a.stanzas[0], &a.stanzas[1], &a.stanzas[2], &a.stanzas[3],
                                               &a.stanzas[3]},
                                       *more[] = {&a.stanzas[0], &a.stanzas[1], &a.stanzas[2], &a.stanzas[3],
                                               &b.stanzas[0]},
                                       *first[] = {&a.stanzas[3], &a.stanzas[0], &a.stanzas[1], &a.stanzas[2]},
                                       *all[] = {&a.stanzas[0], &a.stanzas[1], &a.stanzas[2], &a.stanzas[3]};
        const struct {
            const struct age_stanza *const *stanzas;
            size_t n;
            const struct age_file *rest;
            bool is_vouched;
        } rows[] = {{swapped, 4, &a, false}, {mixed, 4, &a, false}, {copied, 4, &a, false}, {twice, 5, &a, false},
                {more, 5, &a, false}, {all, 4, &b, false}, {all, 3, &a, false}, {first, 4, &a, true}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            _cleanup_buf_ struct buf made = BUF_INIT(AGE_FILE_MAX);
            struct err why = ERR_INIT;

            assemble(&made, rows[i].stanzas, rows[i].n, rows[i].rest);
            if (is_vouched(buf_bytes(&made), vouch_key, TIMESTAMP) != rows[i].is_vouched)
                fail_msg("row %zu", i);
            assert_null(open_with(buf_bytes(&made), p.identities, &why));
        }
    }
    end(&p);
    end(&q);
}

static void there_are_only_so_many_stanzas(void **state)
{
    _cleanup_buf_ struct buf many = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct age_file f;

    (void)state;
    append_text(&many, "age-encryption.org/v1\n");
    for (size_t i = 0; i < 10000; i++) {
        append_text(&many, "-> x\n\n");
        if (i == AGE_STANZAS_MAX) {
            assert_int_equal(age_file_parse(buf_bytes(&many), &f, &e), -1);
            expect_error(&e, ERR_INTEGRITY, "a file of age with more than 64 stanzas");
        }
    }
    assert_int_equal(age_file_parse(buf_bytes(&many), &f, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "a file of age with more than 16384 bytes");
}

static void memory_runs_out_anywhere(void **state)
{
    struct people p;
    size_t n = 0;
    bool reached;

    (void)state;
    begin(&p, 2, vouch_key);
    do {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *plain = NULL;

        buf_reset(&p.file);
        failing_arm(++n);
        if (seal(&p, vouch_key, &e) == 0)
            plain = open_with(buf_bytes(&p.file), p.identities, &e);
        reached = failing_disarm();
        assert_int_equal(!plain, reached);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_of_them_opens_it_and_nobody_else),
            cmocka_unit_test(it_names_whom_it_is_sealed_to),
            cmocka_unit_test(a_vouch_is_that_of_one_key_and_one_time),
            cmocka_unit_test(each_byte_counts),
            cmocka_unit_test(parts_of_two_make_no_third),
            cmocka_unit_test(there_are_only_so_many_stanzas),
            cmocka_unit_test(memory_runs_out_anywhere),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("age_file", tests, NULL, NULL);
}
