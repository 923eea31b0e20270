#include "catalog/name.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"

static const char dump_suffix[] = ".dump", key_suffix[] = ".key", claim_suffix[] = ".claim", bad_suffix[] = ".bad-",
                  check_word[] = "check-";

enum {
    DUMP_SUFFIX_LEN = sizeof(dump_suffix) - 1,
    KEY_SUFFIX_LEN = sizeof(key_suffix) - 1,
    CLAIM_SUFFIX_LEN = sizeof(claim_suffix) - 1,
    TAG_LEN = 16, /* hexadecimal digits */
    BAD_SUFFIX_LEN = sizeof(bad_suffix) - 1 + TAG_LEN,
    CHECK_LEN = sizeof(check_word) - 1 + TAG_LEN,
    OFFSET_TIMESTAMP_LEN = 25, /* YYYY-MM-DDTHH:MM:SS+HH:MM */
};

static bool ends_with(const char *s, size_t len, const char *suffix, size_t suffix_len)
{
    return len >= suffix_len && memcmp(s + len - suffix_len, suffix, suffix_len) == 0;
}

static bool ends_with_tag(const char *s, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = len - TAG_LEN; i < len; i++)
        if (!strchr(digits, s[i]))
            return false;
    return true;
}

static bool ends_with_bad(const char *s, size_t len)
{
    return len >= BAD_SUFFIX_LEN && memcmp(s + len - BAD_SUFFIX_LEN, bad_suffix, sizeof(bad_suffix) - 1) == 0 &&
           ends_with_tag(s, len);
}

static bool is_check(const char *s, size_t len)
{
    return len == CHECK_LEN && memcmp(s, check_word, sizeof(check_word) - 1) == 0 && ends_with_tag(s, len);
}

static bool is_timestamp(const char *s, size_t len, int64_t *instant)
{
    struct err e;

    return timestamp_parse(s, len, instant, &e) == 0;
}

/* "2024-12-06" and so on, were it only in shape. */
static bool begins_like_date(const char *s, size_t len)
{
    static const char shape[] = "dddd-dd-dd";

    if (len < sizeof(shape) - 1)
        return false;
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
            return false;
    return true;
}

/* Whether `s` is <something>-<timestamp>: then the object belongs to a longer prefix, which may itself look like a
 * date. */
static bool is_of_longer_prefix(const char *s, size_t len)
{
    static const size_t lens[] = {TIMESTAMP_TEXT_LEN, OFFSET_TIMESTAMP_LEN};
    int64_t instant;

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
        if (len > lens[i] && s[len - lens[i] - 1] == '-' && is_timestamp(s + len - lens[i], lens[i], &instant))
            return true;
    return false;
}

enum name_kind name_parse(const char *prefix, const char *object, int64_t *instant)
{
    size_t prefix_len = strlen(prefix), len = strnlen(object, NAME_TEXT_MAX);
    enum name_kind kind;

    /* No server may have longer names; what is built from one must fit. */
    if (len > NAME_MAX_LEN || len <= prefix_len || memcmp(object, prefix, prefix_len) != 0 || object[prefix_len] != '-')
        return NAME_FOREIGN;
    object += prefix_len + 1;
    len -= prefix_len + 1;
    if (ends_with(object, len, dump_suffix, DUMP_SUFFIX_LEN)) {
        kind = NAME_DUMP;
        len -= DUMP_SUFFIX_LEN;
    } else if (ends_with(object, len, key_suffix, KEY_SUFFIX_LEN)) {
        kind = NAME_KEY;
        len -= KEY_SUFFIX_LEN;
    } else if (ends_with_bad(object, len)) {
        len -= BAD_SUFFIX_LEN;
        return is_timestamp(object, len, instant) ? NAME_BAD : NAME_FOREIGN;
    } else if (ends_with(object, len, claim_suffix, CLAIM_SUFFIX_LEN)) {
        return is_timestamp(object, len - CLAIM_SUFFIX_LEN, instant) ? NAME_CLAIM : NAME_FOREIGN;
    } else {
        return is_check(object, len) ? NAME_CHECK : NAME_FOREIGN;
    }
    if (is_timestamp(object, len, instant))
        return kind;
    return begins_like_date(object, len) && !is_of_longer_prefix(object, len) ? NAME_UNREADABLE : NAME_FOREIGN;
}

static int too_long(const char *prefix, struct err *e)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "the prefix of %zu bytes makes names of objects longer than the %d bytes that S3 allows", strlen(prefix),
            NAME_MAX_LEN);
}

int name_format(char out[NAME_TEXT_MAX], const char *prefix, int64_t instant, enum name_kind kind, struct err *e)
{
    char timestamp[TIMESTAMP_TEXT_MAX];

    assert(kind == NAME_DUMP || kind == NAME_KEY);
    /* The longest suffix counts for all, so that no claim and no key is stored whose dump then has no name. */
    if (strlen(prefix) > NAME_MAX_LEN - 1 - TIMESTAMP_TEXT_LEN - CLAIM_SUFFIX_LEN)
        return too_long(prefix, e);
    (void)snprintf(out, NAME_TEXT_MAX, "%s-%s%s", prefix, timestamp_format(instant, timestamp),
            kind == NAME_DUMP ? dump_suffix : key_suffix);
    return 0;
}

int name_format_check(char out[NAME_TEXT_MAX], const char *prefix, uint64_t random, struct err *e)
{
    if (strlen(prefix) > NAME_MAX_LEN - 1 - CHECK_LEN)
        return too_long(prefix, e);
    (void)snprintf(out, NAME_TEXT_MAX, "%s-%s%016" PRIx64, prefix, check_word, random);
    return 0;
}

static void with_suffix(char out[NAME_TEXT_MAX], const char *dump, const char *suffix)
{
    size_t len = strlen(dump);

    assert(len <= NAME_MAX_LEN && ends_with(dump, len, dump_suffix, DUMP_SUFFIX_LEN));
    (void)snprintf(out, NAME_TEXT_MAX, "%.*s%s", (int)(len - DUMP_SUFFIX_LEN), dump, suffix);
}

void name_key_of_dump(char out[NAME_TEXT_MAX], const char *dump)
{
    with_suffix(out, dump, key_suffix);
}

void name_claim_of_dump(char out[NAME_TEXT_MAX], const char *dump)
{
    with_suffix(out, dump, claim_suffix);
}

uint64_t name_object_tag(const char *etag, uint64_t size)
{
    uint8_t digest[crypto_generichash_BYTES_MIN], bytes[8];
    crypto_generichash_state state;
    size_t len = strlen(etag);
    bool is_quoted = len >= 2 && etag[0] == '"' && etag[len - 1] == '"';
    uint64_t tag = 0;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(size >> 8 * i);
    (void)crypto_generichash_init(&state, NULL, 0, sizeof(digest));
    (void)crypto_generichash_update(&state, bytes, sizeof(bytes));
    (void)crypto_generichash_update(&state, (const uint8_t *)etag + is_quoted, is_quoted ? len - 2 : len);
    (void)crypto_generichash_final(&state, digest, sizeof(digest));
    for (size_t i = 0; i < sizeof(tag); i++)
        tag = tag << 8 | digest[i];
    return tag;
}

int name_bad_of_dump(char out[NAME_TEXT_MAX], const char *dump, uint64_t tag, struct err *e)
{
    size_t stem = strlen(dump) - DUMP_SUFFIX_LEN;

    assert(ends_with(dump, stem + DUMP_SUFFIX_LEN, dump_suffix, DUMP_SUFFIX_LEN));
    if (stem + BAD_SUFFIX_LEN > NAME_MAX_LEN)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "the name of its mark would be longer than the %d bytes that "
                "S3 allows",
                NAME_MAX_LEN);
    (void)snprintf(out, NAME_TEXT_MAX, "%.*s%s%016" PRIx64, (int)stem, dump, bad_suffix, tag);
    return 0;
}

uint64_t name_bad_tag(const char *mark)
{
    return strtoull(mark + strlen(mark) - TAG_LEN, NULL, 16);
}

int name_list_prefix(char out[NAME_TEXT_MAX], const char *prefix, struct err *e)
{
    if (strlen(prefix) > NAME_MAX_LEN - 1)
        return too_long(prefix, e);
    (void)snprintf(out, NAME_TEXT_MAX, "%s-", prefix);
    return 0;
}
