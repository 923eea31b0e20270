/*
 * The answers of etcd to unary calls: any bytes are either refused with one line, or become texts that can be shown and
 * a token that can stand in a header.
 */
#include "fuzz.h"

#include <sodium.h>
#include <string.h>

#include "etcd/messages.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    return 0;
}

static void check_text(const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size));
    for (; *text; text++)
        FUZZ_CHECK(*text >= 0x20 && *text < 0x7f);
}

static void check_refusal(const struct err *e)
{
    FUZZ_CHECK(e->kind == ERR_PROTOCOL && e->text[0] != '\0' && !strchr(e->text, '\n'));
}

static void check_status(struct bytes message)
{
    struct etcd_status s;
    struct err e = ERR_INIT;

    memset(&s, 0xff, sizeof(s));
    if (etcd_messages_status(message, &s, &e) < 0) {
        check_refusal(&e);
        return;
    }
    check_text(s.version, sizeof(s.version));
    check_text(s.alarms, sizeof(s.alarms));
    FUZZ_CHECK(s.db_size <= INT64_MAX && s.db_size_in_use <= INT64_MAX);
    FUZZ_CHECK((!s.alarm_nospace && !s.alarm_corrupt) || s.alarms[0]);
}

static void check_member(struct bytes message)
{
    struct etcd_messages_member m = {.name = ""};
    struct err e = ERR_INIT;

    if (etcd_messages_member(message, 1, &m, &e) < 0)
        check_refusal(&e);
    check_text(m.name, sizeof(m.name));
}

static void check_token(struct bytes message)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *token = etcd_messages_token(message, &e);

    if (!token) {
        check_refusal(&e);
        return;
    }
    FUZZ_CHECK(secret_len(token) > 0 && secret_len(token) <= ETCD_TOKEN_MAX);
    for (size_t i = 0; i < secret_len(token); i++)
        FUZZ_CHECK(secret_const_data(token)[i] > 0x20 && secret_const_data(token)[i] < 0x7f);
}

struct keys {
    size_t announced, n, bytes;
};

static int on_head(void *ctx, const struct etcd_messages_range *page, struct err *e)
{
    struct keys *k = ctx;

    (void)e;
    FUZZ_CHECK(k->n == 0);
    k->announced = page->n;
    return 0;
}

static int on_key(void *ctx, const struct etcd_messages_key *key, struct err *e)
{
    struct keys *k = ctx;

    k->bytes += key->name.len;
    if (++k->n == 3)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "enough");
    return 0;
}

static void check_range(struct bytes message)
{
    struct keys k = {0};
    struct etcd_messages_range page = {.ctx = &k, .on_head = on_head, .on_key = on_key};
    struct err e = ERR_INIT;

    if (etcd_messages_range(message, &page, &e) < 0)
        check_refusal(&e);
    else
        FUZZ_CHECK(page.n == k.n);
    FUZZ_CHECK(k.n <= k.announced);
    FUZZ_CHECK(k.bytes <= message.len);
}

static void check_hash(struct bytes message)
{
    struct etcd_messages_hash hash;
    struct err e = ERR_INIT;

    if (etcd_messages_hash(message, &hash, &e) < 0)
        check_refusal(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct bytes message = {.data = data, .len = len};

    check_status(message);
    check_member(message);
    check_token(message);
    check_range(message);
    check_hash(message);
    return 0;
}
