/*
 * The answer to DeleteObjects: whatever it is, each key has one fate afterwards, with a reason on one line where it is
 * not gone; and what goes into a request comes out of XML as it was.
 */
#include "fuzz.h"

#include <string.h>

#include "s3/remove_batch.h"
#include "s3/xml.h"

static const char *const asked[] = {"a", "b", "b", "c & d", "kept/1", "\xc3\xbc"};

static void check_key(const struct remove_batch_key *k)
{
    const bool failed = k->answer == REMOVE_BATCH_AGAIN || k->answer == REMOVE_BATCH_REFUSED;

    FUZZ_CHECK(failed == (k->err != NULL));
    FUZZ_CHECK(!failed || (k->err->kind != ERR_NONE && k->err->text[0] && !strpbrk(k->err->text, "\n\r\x1b")));
}

static void check_answer(struct bytes doc)
{
    static struct remove_batch b;
    enum remove_batch_fit fit;
    struct err e = ERR_INIT;

    remove_batch_reset(&b);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++)
        FUZZ_CHECK(remove_batch_add(&b, asked[i], i, &fit, &e) == 0 && fit == REMOVE_BATCH_TAKEN);
    FUZZ_CHECK(remove_batch_close(&b, &e) == 0);
    if (remove_batch_read(&b, doc, &e) == 0)
        for (size_t i = 0; i < b.n; i++)
            check_key(&b.keys[i]);
    else
        FUZZ_CHECK(e.kind == ERR_PROTOCOL && e.text[0] && !strchr(e.text, '\n'));
    remove_batch_reset(&b);
}

struct seen {
    const char *key;
    unsigned n;
};

static int on_text(void *ctx, const char *path, const char *text, struct err *e)
{
    struct seen *seen = ctx;

    (void)e;
    if (strcmp(path, "Delete/Object/Key") == 0) {
        FUZZ_CHECK(strcmp(text, seen->key) == 0);
        seen->n++;
    } else {
        FUZZ_CHECK(strcmp(path, "Delete/Quiet") == 0);
    }
    return 0;
}

static void check_round_trip(const char *key)
{
    static struct remove_batch b;
    struct seen seen = {.key = key};
    const struct xml_visitor v = {.ctx = &seen, .on_text = on_text};
    enum remove_batch_fit fit;
    struct err e = ERR_INIT;

    remove_batch_reset(&b);
    FUZZ_CHECK(remove_batch_add(&b, key, 0, &fit, &e) == 0 && fit != REMOVE_BATCH_FULL);
    if (fit == REMOVE_BATCH_TAKEN) {
        FUZZ_CHECK(remove_batch_close(&b, &e) == 0 && xml_visit(buf_bytes(&b.body), &v, &e) == 0);
        FUZZ_CHECK(seen.n == 1);
    }
    remove_batch_reset(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *key = malloc(len + 1);

    check_answer((struct bytes){.data = data, .len = len});
    if (!key)
        return 0;
    if (len > 0)
        memcpy(key, data, len);
    key[len] = '\0';
    check_round_trip(key);
    free(key);
    return 0;
}
