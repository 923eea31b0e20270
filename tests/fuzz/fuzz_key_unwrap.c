/*
 * The key object as it comes from the bucket: nothing is unwrapped but the two that are authentic, and those bound to
 * another instant only when that is allowed.
 */
#include "fuzz.h"

#include <sodium.h>
#include <string.h>

#include "seal/key.h"
#include "seal/sealed_key.h"

/* The master key of tests/vectors; what it wraps in the corpus is one key of ours and one that the Go tool wrote. */
static const char master_hex[] = "5525212737270d24feb43a688215865da747059fc00d0f427da9d5fcd8171f23";
static const char ours_hex[] = "eb4b3200a0a1a2a3a4a5a6a7ab2c1aea7987743a4d7b0b37475b0b08e2cf3c016589e70230316834"
                               "6a91d3877566fcb5fe4381550b3066207cec0c877da0e88660e015db1dbc4098";
static const char go_hex[] = "18ea743b566f661a683ce4a332b11ded0dade2875662d33a6bc5b89532b757d45a616f51e6bd1f70"
                             "e1372d56a80447a90e550a4a94bc5ff6fb10d4b55acdaadb13fd99b5c8705a99";
static const int64_t instant_of_ours = 1733520145;

static struct secret *master;
static uint8_t ours[KEY_WRAPPED_LEN], go[KEY_WRAPPED_LEN];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e = ERR_INIT;

    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    master = secret_new(KEY_LEN, &e);
    FUZZ_CHECK(master);
    FUZZ_CHECK(sodium_hex2bin(secret_data(master), KEY_LEN, master_hex, 64, NULL, NULL, NULL) == 0);
    FUZZ_CHECK(sodium_hex2bin(ours, sizeof(ours), ours_hex, 144, NULL, NULL, NULL) == 0);
    FUZZ_CHECK(sodium_hex2bin(go, sizeof(go), go_hex, 144, NULL, NULL, NULL) == 0);
    return 0;
}

static void check(struct bytes wrapped, int64_t instant, bool allow_renamed)
{
    bool is_ours = wrapped.len == sizeof(ours) && memcmp(wrapped.data, ours, sizeof(ours)) == 0;
    bool is_go = wrapped.len == sizeof(go) && memcmp(wrapped.data, go, sizeof(go)) == 0;
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_unwrap(master, wrapped, instant, allow_renamed, &e);

    if (is_go || (is_ours && (allow_renamed || instant == instant_of_ours)))
        FUZZ_CHECK(key && secret_len(key) == KEY_LEN && e.kind == ERR_NONE);
    else
        FUZZ_CHECK(!key && e.kind == ERR_INTEGRITY && e.text[0] != '\0' && e.domain == ERR_DOMAIN_KEY &&
                   e.code == (sealed_key_is(wrapped) ? KEY_FAULT_SEALED
                                     : wrapped.len != sizeof(ours) ||
                                                     (wrapped.data[0] == ours[0] && memcmp(wrapped.data, ours, 4) != 0)
                                             ? KEY_FAULT_SHAPE
                                     : is_ours ? KEY_FAULT_BOUND_ELSEWHERE
                                               : KEY_FAULT_DOES_NOT_OPEN));
    /* The binding covers r, m and the instant; the rest is for the authentication. */
    FUZZ_CHECK(key_is_bound_to(master, wrapped, instant) ==
               (instant == instant_of_ours && wrapped.len == sizeof(ours) && memcmp(wrapped.data, ours, 24) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes wrapped = {.data = data, .len = len};

    check(wrapped, instant_of_ours, false);
    check(wrapped, instant_of_ours + 1, false);
    check(wrapped, 0, true);
    return 0;
}
