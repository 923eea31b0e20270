/* Messages as JSON: every field of every result, whatever is added to the protocol. How each looks, test_results.c
 * says. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control.pb-c.h"
#include "control/message_json.h"

static char *json_of(const ProtobufCMessage *m)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    message_json_write(out, m);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* What is not shown is named here: it is for people, or there under another condition. */
static bool is_known_to_be_hidden(const char *field)
{
    static const char *const hidden[] = {"drilled", "revision", "keys", "entries", "counts_keys", "counts_entries",
            "is_old_version", "elapsed_ms", "progress", "contents", "contents_why", "hashkv", "has_hashkv", "has_keys"};

    for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
        if (strcmp(hidden[i], field) == 0)
            return true;
    return false;
}

/* In the order of the numbers, none twice. */
static void test_every_field(void **state)
{
    static const ProtobufCMessageDescriptor *const results[] = {&control__entry__descriptor,
            &control__verdict__descriptor, &control__planned__descriptor, &control__unrotated__descriptor,
            &control__backup_result__descriptor, &control__restore_result__descriptor,
            &control__verify_result__descriptor, &control__prune_result__descriptor,
            &control__rotate_result__descriptor, &control__failure__descriptor, &control__running__descriptor,
            &control__status_result__descriptor};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        _cleanup_free_ ProtobufCMessage *m = malloc(results[i]->sizeof_message);
        _cleanup_free_ char *text = NULL;
        const char *at;

        assert_non_null(m);
        results[i]->message_init(m);
        at = text = json_of(m);
        for (unsigned j = 0; j < results[i]->n_fields; j++) {
            const char *field = results[i]->fields[j].name;
            char name[64];

            (void)snprintf(name, sizeof(name), "\"%s\":", field);
            if (!strstr(at, name) && is_known_to_be_hidden(field))
                continue;
            at = strstr(at, name);
            if (!at)
                fail_msg("%s: no %s, or not in its place: %s", results[i]->name, name, text);
            assert_null(strstr(at + 1, name));
        }
    }
}

static void test_nothing(void **state)
{
    Control__Cancel cancel = CONTROL__CANCEL__INIT;
    _cleanup_free_ char *text = json_of(&cancel.base);

    (void)state;
    assert_string_equal(text, "{}");
}

/* Keys are in requests alone; if somebody wrote one, nothing of them would be told. */
static void test_keys_are_not_told(void **state)
{
    Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;
    uint8_t key[] = "key";
    _cleanup_free_ char *text = NULL;

    (void)state;
    rotate.previous_key = (ProtobufCBinaryData){.data = key, .len = sizeof(key)};
    text = json_of(&rotate.base);
    assert_string_equal(text,
            "{\"previous_key\":null,\"new_key\":null,\"dry_run\":false,\"purge_versions\":false,\"brought\":null,"
            "\"beside\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_every_field),
            cmocka_unit_test(test_nothing),
            cmocka_unit_test(test_keys_are_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
