/*
 * stream.h: what session.c and stream.c share: the session, which talks to nghttp2, and its streams, which talk to
 * their owners. Nobody else includes this.
 */
#pragma once

#include "h2/session.h"

struct h2_session {
    struct h2_session_spec spec;
    nghttp2_session *ng;       /* NULL before the first begin */
    struct h2_stream *streams; /* all, whether sent or not */
    bool settled;              /* the server's SETTINGS have arrived */
    bool ready;                /* ... and what waited for it has been submitted */
    bool receiving;            /* inside nghttp2_session_mem_recv */
    bool shut;                 /* no more callbacks */
    struct err goaway;         /* why nothing more can be asked, kind ERR_NONE otherwise */
    char detail[256];          /* what the server did wrong, first of all */
};

struct h2_stream {
    struct h2_session *session;
    struct h2_stream *next, *prev;
    struct h2_stream_spec spec;
    int32_t id; /* 0: waits for the session to be ready */
    size_t body_sent;
    size_t owed;        /* bytes received and not yet credited */
    size_t field_bytes; /* of the block that is arriving */
    uint64_t deadline;  /* 0: none */
};

/* Takes the stream off its session, credits what is owed, frees it, and then tells its owner. */
void h2_stream_end(struct h2_stream *st, const struct err *err);

/* The server has ended it in good order. If it did not want all of the request, the rest is not sent. */
void h2_stream_finish(struct h2_stream *st);

/* Resets it because the session ends. */
void h2_stream_drop(struct h2_stream *st);

/* Sends the requests that waited. */
void h2_stream_submit_all(struct h2_session *s);

/* Why a request could not be sent, by nghttp2's number; returns -1. */
int h2_stream_unsent_error(const struct h2_session *s, int rc, struct err *e);

/* What a RST_STREAM means. */
void h2_stream_reset_error(const struct h2_session *s, uint32_t code, struct err *e);

/* Remembers that the server goes away, and why. */
void h2_stream_note_goaway(struct h2_session *s, const nghttp2_goaway *frame);
