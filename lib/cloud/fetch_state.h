/*
 * fetch_state.h: what is inside a fetch. For fetch*.c alone.
 *
 *     fetch.c            the life of a fetch; one exchange of it, repeated once
 *     fetch_instance.c   each the way of one kind ...
 *     fetch_container.c
 *     fetch_process.c
 *     fetch_profile.c
 *     fetch_sts.c        ... and both of STS's
 *
 * Each `begin` starts the first step. Each step ends in cloud_fetch_ask, in cloud_fetch_end, or in a program.
 */
#pragma once

#include "cloud/fetch.h"
#include "http/exchange.h"
#include "program/program.h"

enum { CLOUD_FETCH_TOKEN_FILE_MAX = 16 << 10 };

/* Told of an answer alone; where there was none the fetch has ended. */
typedef void cloud_fetch_answer(struct cloud_fetch *f, const struct http_exchange_answer *answer);

struct cloud_fetch {
    uv_loop_t *loop;
    const struct cloud_conf *conf;
    uv_timer_t timer;
    struct http_exchange *exchange;
    struct program *program;
    bool is_cancelled, has_asked_again;
    void (*next)(struct cloud_fetch *f); /* what the timer begins */
    cloud_fetch_answer *on_answer;

    struct cloud_credentials got;
    int64_t date;

    struct secret *token;  /* of the metadata service, with a 0; of a web identity or a container, without */
    bool has_new_token;    /* the metadata service refused the first */
    char *role;            /* on the instance */
    struct secret *output; /* of the program */
    size_t output_len;
    bool is_assuming;   /* `got` is the base of an AssumeRole */
    int64_t clock_skew; /* of STS, as it has told */
    bool has_corrected_clock;

    void *ctx;
    void (*on_done)(void *ctx, struct cloud_credentials *got, int64_t date, const struct err *err);
};

void cloud_fetch_begin_instance(struct cloud_fetch *f);
void cloud_fetch_begin_container(struct cloud_fetch *f);
void cloud_fetch_begin_web_identity(struct cloud_fetch *f);
void cloud_fetch_begin_process(struct cloud_fetch *f);
void cloud_fetch_begin_profile(struct cloud_fetch *f);
void cloud_fetch_begin_assume(struct cloud_fetch *f);

/* argv, ends with NULL; it is not needed after the call. */
void cloud_fetch_run(struct cloud_fetch *f, const char *const *args);

/* Sends it; `again` begins it once more where the first one failed on the way, as time-outs, but not answers, do. */
void cloud_fetch_ask(struct cloud_fetch *f, struct http_exchange_spec *spec, cloud_fetch_answer *on_answer,
        void (*again)(struct cloud_fetch *f));

/* NULL: there are credentials in f->got. May be called inside of `begin`. */
void cloud_fetch_end(struct cloud_fetch *f, const struct err *err);

/* The words of a token's file, trimmed, without a 0. NULL when the fetch has ended because of it. The caller frees. */
struct secret *cloud_fetch_read_token(struct cloud_fetch *f, const char *path);

/* A variable of the environment that has a value, or NULL. */
const char *cloud_fetch_variable(const struct cloud_fetch *f, const char *name);
