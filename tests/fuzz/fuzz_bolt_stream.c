/*
 * A bbolt file that goes by (edited_db.h). Whatever it is: it ends, takes no more memory than the bytes allow, and
 * tells the same for pieces of any length; and what it calls sound reads without an error.
 */
#include "fuzz.h"

#include <string.h>

#include "bolt/file.h"
#include "bolt/stream.h"
#include "edited_db.h"

static struct bolt_stream *look(struct bytes db, size_t piece, const struct bolt_report **r)
{
    struct err e = ERR_INIT;
    struct bolt_stream *s = bolt_stream_new(&e);

    FUZZ_CHECK(s);
    for (size_t at = 0; at < db.len; at += piece)
        bolt_stream_update(s, (struct bytes){db.data + at, db.len - at < piece ? db.len - at : piece});
    *r = bolt_stream_finish(s);
    return s;
}

static int pass(const struct bolt_bucket *b, struct err *e)
{
    struct bolt_cursor c;
    struct bolt_entry entry;
    struct bolt_bucket inner;
    int more;

    if (bolt_cursor_start(&c, b, e) < 0)
        return -1;
    while ((more = bolt_cursor_next(&c, &entry, e)) > 0)
        if (entry.is_bucket && (bolt_entry_bucket(&c, &entry, &inner, e) < 0 || pass(&inner, e) < 0))
            return -1;
    return more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes db = edited_db_make(data, len);
    const struct bolt_report *whole, *pieces;
    struct bolt_stream *a = look(db, db.len + 1, &whole), *b = look(db, 1 + len * 37 % 5000, &pieces);
    struct bolt_file f;
    struct err e = ERR_INIT;

    FUZZ_CHECK(whole->structure == pieces->structure && whole->fault == pieces->fault && whole->page == pieces->page);
    FUZZ_CHECK(strcmp(whole->why, pieces->why) == 0 && whole->n_buckets == pieces->n_buckets);
    FUZZ_CHECK((whole->structure == BOLT_SOUND) == (whole->why[0] == '\0'));
    FUZZ_CHECK(whole->memory <= BOLT_BOOK_BASE + (1 << 19) + db.len / BOLT_BOOK_SHARE * 4);
    if (whole->structure == BOLT_SOUND) {
        struct bolt_bucket root;

        FUZZ_CHECK(bolt_file_open(&f, db, &e) == 0);
        root = bolt_file_root(&f);
        FUZZ_CHECK(pass(&root, &e) == 0);
    }
    bolt_stream_free(a);
    bolt_stream_free(b);
    edited_db_free(db);
    return 0;
}
