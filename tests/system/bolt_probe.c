/*
 * bolt_probe.c: lib/bolt and lib/keyspace alone, on files.
 *
 *     bolt_probe structure FILE [PIECE]   what a look at the file as it goes by tells, in pieces of so many bytes
 *     bolt_probe hash FILE [REVISION]     HashKV of the file
 *     bolt_probe time FILE ROUNDS         nanoseconds a byte that the look costs, the best of so many rounds
 *
 * Prints lines "name value"; ends with 1 when there is an error, and says it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "bolt/stream.h"
#include "keyspace/facts.h"
#include "keyspace/hash.h"

enum { PIECE = 1 << 20, STEP = 1 << 20 };

static int failed(const struct err *e)
{
    printf("error %s\n", e->text);
    return 1;
}

static int map(const char *path, struct bytes *bytes)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *at;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    *bytes = (struct bytes){.data = at, .len = (size_t)st.st_size};
    return at == MAP_FAILED ? -1 : 0;
}

static void feed(struct bolt_stream *s, struct bytes bytes, size_t piece)
{
    for (size_t at = 0; at < bytes.len; at += piece)
        bolt_stream_update(
                s, (struct bytes){.data = bytes.data + at, .len = bytes.len - at < piece ? bytes.len - at : piece});
}

static void print_report(const struct bolt_report *r)
{
    struct keyspace_facts facts;

    keyspace_facts_of_report(&facts, r);
    printf("structure %s\n", bolt_structure_name(r->structure));
    if (r->why[0])
        printf("why %s\n", r->why);
    printf("pages %" PRIu64 "\nused %" PRIu64 "\nmemory %" PRIu64 "\n", r->meta.n_pages, r->n_used, r->memory);
    printf("revisions %" PRIu64 "\ncurrent %" PRId64 "\ncompacted %" PRId64 "\nstorage %s\n", facts.revisions,
            facts.current, facts.compacted, facts.storage);
    for (size_t i = 0; i < r->n_buckets; i++)
        printf("bucket.%s %" PRIu64 "\n", r->buckets[i].name, r->buckets[i].n);
}

static int structure(struct bytes bytes, size_t piece)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = bolt_stream_new(&e);

    if (!s)
        return failed(&e);
    feed(s, bytes, piece);
    print_report(bolt_stream_finish(s));
    return 0;
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int measure(struct bytes bytes, unsigned rounds)
{
    double best = 0;

    for (unsigned i = 0; i < rounds; i++) {
        struct err e = ERR_INIT;
        _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = bolt_stream_new(&e);
        double before = now(), took;

        if (!s)
            return failed(&e);
        feed(s, bytes, PIECE);
        printf("structure %s\n", bolt_structure_name(bolt_stream_finish(s)->structure));
        took = now() - before;
        best = i == 0 || took < best ? took : best;
    }
    printf("nanoseconds %.4f\n", best / (double)bytes.len);
    return 0;
}

static int hash(struct bytes bytes, int64_t revision)
{
    struct err e = ERR_INIT;
    struct bolt_file file;
    _cleanup_(cleanup_keyspace_hasher_free) struct keyspace_hasher *h = NULL;
    const struct keyspace_hash *r;
    int more;

    if (bolt_file_open(&file, bytes, &e) < 0 || !(h = keyspace_hasher_new(&file, revision, UINT64_C(1) << 30, &e)))
        return failed(&e);
    while ((more = keyspace_hasher_step(h, STEP, &e)) > 0)
        continue;
    if (more < 0)
        return failed(&e);
    r = keyspace_hasher_result(h);
    printf("hash %" PRIu32 "\nrevision %" PRId64 "\ncompacted %" PRId64 "\n", r->hash, r->revision,
            r->compact_revision);
    printf("keys %" PRIu64 "\nrevisions %" PRIu64 "\nmemory %" PRIu64 "\n", r->keys, r->revisions, r->memory);
    return 0;
}

int main(int argc, char **argv)
{
    struct bytes bytes;

    if (argc < 3 || sodium_init() < 0) {
        fprintf(stderr, "bolt_probe structure|hash|time FILE [NUMBER]\n");
        return 2;
    }
    if (map(argv[2], &bytes) < 0) {
        fprintf(stderr, "%s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    if (strcmp(argv[1], "structure") == 0)
        return structure(bytes, argc > 3 ? strtoul(argv[3], NULL, 10) : PIECE);
    if (strcmp(argv[1], "time") == 0)
        return measure(bytes, argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5);
    return hash(bytes, argc > 3 ? strtoll(argv[3], NULL, 10) : 0);
}
