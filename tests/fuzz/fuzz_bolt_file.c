/*
 * A bbolt file that is there (edited_db.h). A pass over any bucket ends, and gives keys in ascending order, within the
 * file, or an error that is one of integrity.
 */
#include "fuzz.h"

#include "bolt/file.h"
#include "edited_db.h"

static void check_within(struct bytes db, struct bytes part)
{
    FUZZ_CHECK(part.len == 0 || (part.data >= db.data && part.data + part.len <= db.data + db.len));
}

static void pass(struct bytes db, const struct bolt_bucket *b, unsigned depth)
{
    struct err e = ERR_INIT;
    struct bolt_cursor c;
    struct bolt_entry entry;
    struct bolt_bucket inner;
    struct bytes before = {0};
    int more = 0;

    if (bolt_cursor_start(&c, b, &e) == 0) {
        while ((more = bolt_cursor_next(&c, &entry, &e)) > 0) {
            check_within(db, entry.key);
            check_within(db, entry.value);
            FUZZ_CHECK(!before.data || bolt_key_compare(before, entry.key) < 0);
            before = entry.key;
            if (entry.is_bucket && depth < 3 && bolt_entry_bucket(&c, &entry, &inner, &e) == 0)
                pass(db, &inner, depth + 1);
        }
    }
    FUZZ_CHECK(more == 0 || e.kind == ERR_INTEGRITY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes db = edited_db_make(data, len), key;
    struct bolt_file f;
    struct err e = ERR_INIT;

    if (bolt_file_open(&f, db, &e) == 0) {
        struct bolt_bucket root = bolt_file_root(&f);

        pass(db, &root, 0);
        (void)bolt_bucket_last(&root, &key, &e);
    } else {
        FUZZ_CHECK(e.kind == ERR_INTEGRITY || e.kind == ERR_CONFIG);
    }
    edited_db_free(db);
    return 0;
}
