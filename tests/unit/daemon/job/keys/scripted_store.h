/*
 * scripted_store.h: a bucket of small objects in place of s3_get and s3_put, for tests of what reads and replaces
 * them. Answers come when the test lets them, one by one, and go wrong where its script says. What an answer points to
 * is scribbled over when the callback returns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "s3/dialect.h"
#include "s3/object.h"

enum { STORE_BODY_MAX = 1024, STORE_METADATA_MAX = 26, STORE_TEXT_MAX = 256, STORE_OBJECTS = 104, STORE_SCRIPT = 128 };

struct store_object {
    char name[STORE_TEXT_MAX];
    bool is_there;
    uint8_t body[STORE_BODY_MAX];
    size_t len;
    unsigned version; /* another with each put: its ETag, in quotes, is this number */
    char metadata[STORE_METADATA_MAX][2][STORE_TEXT_MAX];
    size_t n_metadata;
};

/* What happens to the n-th request, n >= 1. */
struct store_step {
    bool cannot_start;
    void (*before)(struct store_object *o); /* somebody else comes first; NULL: nobody */
    int status;                             /* of the answer that is a failure; 0: none */
    bool has_effect;                        /* all the same */
    void (*after)(struct store_object *o);  /* what the store makes of it */
};

struct store {
    enum store_conditions {
        STORE_KNOWS_QUOTED, /* RFC 9110 */
        STORE_KNOWS_BARE,   /* Ceph 16 */
        STORE_REFUSES_ALL,  /* 412: Ceph 16, a versioned bucket */
        STORE_KNOWS_NONE,   /* 501 */
    } conditions;
    struct s3_dialect dialect; /* what is known of it */
    bool has_no_etags, has_no_client;
    struct store_object objects[STORE_OBJECTS]; /* those with a name */
    struct store_step script[STORE_SCRIPT + 1];
    unsigned n;         /* requests so far, those that could not start among them */
    unsigned cancelled; /* requests */
    char log[1024];     /* "get put(\"1\") get put(1) put": each request, with its condition */
};
extern struct store store;

/* For each test: an empty one. */
void store_reset(void);

/* Fails the test if there is no such object. */
struct store_object *store_find(const char *name);

/* A new one, or another body for it; with another ETag. */
struct store_object *store_fill(const char *name, const void *body, size_t len);
void store_add_metadata(struct store_object *o, const char *name, const char *value);

/* The value, or NULL. Fails the test if there are two of the name. */
const char *store_metadata(const struct store_object *o, const char *name);

/* How many requests wait for their answer. */
unsigned store_waiting(void);

/* Answers that which has waited longest; `number` 1: the next after it. Returns false if there is none. */
bool store_answer(unsigned number);

/* That which has waited longest is carried out, if it is a put, and not answered yet. */
void store_carry_out(void);

/* Answers as long as something waits. */
void store_answer_all(void);
