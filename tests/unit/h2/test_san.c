#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "h2/san.h"

/* DER, built from the inside out. */
struct der {
    uint8_t data[2048];
    size_t len;
};

static struct der text(const void *data, size_t len)
{
    struct der d = {.len = len};

    memcpy(d.data, data, len);
    return d;
}

static struct der join(struct der a, struct der b)
{
    memcpy(a.data + a.len, b.data, b.len);
    a.len += b.len;
    return a;
}

static struct der wrap(uint8_t tag, struct der content)
{
    uint8_t head[4] = {tag, (uint8_t)content.len};
    size_t n = 2;

    if (content.len > 127) {
        head[1] = 0x82;
        head[2] = (uint8_t)(content.len >> 8);
        head[3] = (uint8_t)content.len;
        n = 4;
    }
    return join(text(head, n), content);
}

static struct der dns(const char *name)
{
    return wrap(0x82, text(name, strlen(name)));
}

static struct der ip(const char *bytes, size_t len)
{
    return wrap(0x87, text(bytes, len));
}

static struct der extension(const char *oid, bool critical, struct der value)
{
    struct der inside = wrap(0x06, text(oid, 3));

    if (critical)
        inside = join(inside, text("\x01\x01\xff", 3));
    return wrap(0x30, join(inside, wrap(0x04, value)));
}

static struct der alt_name(struct der names, bool critical)
{
    return extension("\x55\x1d\x11", critical, wrap(0x30, names));
}

static struct der key_usage(void)
{
    return extension("\x55\x1d\x0f", true, text("\x03\x02\x05\xa0", 4));
}

/* From a block of exactly that size, so that the address sanitizer sees what is read past it. */
static bool has(const struct der *d, size_t len, const char *address, size_t address_len)
{
    _cleanup_free_ uint8_t *copy = malloc(len ? len : 1);
    char described[H2_SAN_TEXT_MAX];
    struct bytes extensions = {.data = copy, .len = len};

    assert_non_null(copy);
    memcpy(copy, d->data, len);
    assert_true(strlen(h2_san_describe(extensions, described)) < H2_SAN_TEXT_MAX);
    return h2_san_has_ip(extensions, (const uint8_t *)address, address_len);
}

static const char v6[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";

/* localhost, 10.0.0.1, 127.0.0.1, ::1, with others before and behind, as kubeadm makes them. */
static struct der kubeadm(bool critical)
{
    struct der names = join(dns("localhost"), ip("\x0a\0\0\1", 4));

    names = join(names, join(ip("\x7f\0\0\1", 4), ip(v6, 16)));
    return wrap(0x30, join(join(key_usage(), alt_name(names, critical)), key_usage()));
}

static void addresses_are_found(void **state)
{
    (void)state;
    for (int critical = 0; critical < 2; critical++) {
        struct der d = kubeadm(critical);
        char described[H2_SAN_TEXT_MAX];

        assert_true(has(&d, d.len, "\x7f\0\0\1", 4));
        assert_true(has(&d, d.len, "\x0a\0\0\1", 4));
        assert_true(has(&d, d.len, v6, 16));
        assert_false(has(&d, d.len, "\x7f\0\0\2", 4));
        assert_false(has(&d, d.len, "\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", 16));
        assert_false(has(&d, d.len, "\x7f\0\0", 3));
        h2_san_describe((struct bytes){.data = d.data, .len = d.len}, described);
        assert_string_equal(described, "localhost, 10.0.0.1, 127.0.0.1, ::1");
    }
}

/* The bytes of an address in a name of another kind are not that address. */
static void only_addresses_are_addresses(void **state)
{
    struct der names = join(dns("\x7f\1\1\1"), wrap(0x81, text("\x7f\1\1\1", 4))), d;

    (void)state;
    names = join(names, wrap(0x86, text("\x7f\1\1\1", 4)));
    names = join(names, wrap(0xa0, ip("\x7f\1\1\1", 4)));
    d = wrap(0x30, join(key_usage(), alt_name(names, false)));
    assert_false(has(&d, d.len, "\x7f\1\1\1", 4));
    /* ... nor in another extension. */
    d = wrap(0x30, extension("\x55\x1d\x12", false, wrap(0x30, ip("\x7f\1\1\1", 4))));
    assert_false(has(&d, d.len, "\x7f\1\1\1", 4));
}

static void what_is_cut_off_has_no_names(void **state)
{
    struct der d = kubeadm(true);

    (void)state;
    for (size_t len = 0; len < d.len; len++)
        assert_false(has(&d, len, "\x7f\0\0\1", 4)); /* the outermost length is wrong */
}

/* Any single byte changed: no crash, nothing read past the end, and no endless loop. */
static void damage_does_no_harm(void **state)
{
    struct der d = kubeadm(true);

    (void)state;
    for (size_t at = 0; at < d.len; at++)
        for (unsigned value = 0; value < 256; value++) {
            struct der damaged = d;

            damaged.data[at] = (uint8_t)value;
            (void)has(&damaged, damaged.len, "\x7f\0\0\1", 4);
        }
}

static void odd_lengths(void **state)
{
    static const char *const lengths[] = {"\x30\x80", "\x30\x81", "\x30\x84\x00\x00\x00\x01", "\x30\xff\xff\xff\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct der d = text(lengths[i], strlen(lengths[i]) ? strlen(lengths[i]) : 2);

        assert_false(has(&d, d.len, "\x7f\0\0\1", 4));
    }
}

static void many_names_are_cut(void **state)
{
    struct der names = {.len = 0}, d;
    char described[H2_SAN_TEXT_MAX];

    (void)state;
    for (int i = 0; i < 50; i++)
        names = join(names, dns("some.host.example"));
    d = wrap(0x30, alt_name(names, false));
    h2_san_describe((struct bytes){.data = d.data, .len = d.len}, described);
    assert_int_equal(strlen(described), H2_SAN_TEXT_MAX - 1);
    d = wrap(0x30, key_usage());
    assert_string_equal(h2_san_describe((struct bytes){.data = d.data, .len = d.len}, described), "no name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(addresses_are_found),
            cmocka_unit_test(only_addresses_are_addresses),
            cmocka_unit_test(what_is_cut_off_has_no_names),
            cmocka_unit_test(damage_does_no_harm),
            cmocka_unit_test(odd_lengths),
            cmocka_unit_test(many_names_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
