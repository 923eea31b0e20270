/*
 * multi.h: libcurl's multi handle driven by a libuv loop.
 *
 * libcurl says which sockets it waits for (CURLMOPT_SOCKETFUNCTION) and when it wants to be woken
 * (CURLMOPT_TIMERFUNCTION); they become uv_poll and uv_timer. Nothing of ours runs inside libcurl: what its callbacks
 * notice is queued, and told when it has returned. So whoever is told may add and remove transfers, and free the multi.
 *
 * The curl handle behind it exists only while there are transfers or idle connections.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/err.h"

struct http_multi;

/* CURLE_TOO_LARGE: headers without end, for one. Said from libcurl 8.6 on; before, that was CURLE_OUT_OF_MEMORY. The
 * number is the same for programs that were built with older headers. */
#define HTTP_MULTI_TOO_LARGE ((CURLcode)100)

/* One transfer, embedded in its owner. The owner sets easy and the callbacks; the rest is the multi's. */
struct http_multi_transfer {
    CURL *easy; /* CURLOPT_PRIVATE and CURLOPT_CLOSESOCKET* are set by http_multi_add */
    void (*on_progress)(struct http_multi_transfer *t);
    /* Once, unless removed. The transfer is no longer in the multi. CURLE_ABORTED_BY_CALLBACK: a socket, of this
     * transfer or another, cannot be waited for, and all have ended. */
    void (*on_done)(struct http_multi_transfer *t, CURLcode result);

    struct http_multi *multi; /* NULL while it is in none */
    int fd;                   /* the socket that it waits for, or -1 */
    int unwatched; /* with CURLE_ABORTED_BY_CALLBACK: why a socket cannot be waited for, libuv's error; else 0 */
    TAILQ_ENTRY(http_multi_transfer) all, link; /* while in flight; while queued */
    bool queued, moved, finished;
    CURLcode result;
};

/* Keeps up to `max_idle` idle connections. The caller frees. Errors: ERR_RESOURCE. curl_global_init is done here, once
 * for the process. */
struct http_multi *http_multi_new(uv_loop_t *loop, unsigned max_idle, struct err *e);

/* Starts it; its callbacks come from the loop. Errors: ERR_RESOURCE, then it is not added. */
int http_multi_add(struct http_multi *m, struct http_multi_transfer *t, struct err *e);

/* Stops it without a callback, closing its connection if it is in the middle. Fine for one that is in no multi. Not
 * from inside one of curl's callbacks. */
void http_multi_remove(struct http_multi_transfer *t);

/* From inside curl's callbacks: on_progress is wanted. */
void http_multi_moved(struct http_multi_transfer *t);

/* Closes idle connections: now, or when the last transfer in flight ends. */
void http_multi_close_idle(struct http_multi *m);

/* No transfer may be in it. The memory goes with the last close callback of the loop. NULL is fine. */
void http_multi_free(struct http_multi *m);
