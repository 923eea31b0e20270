/*
 * history.h: what an etcd has been told, made up from random numbers, and what it makes of that: the entries of its
 * bucket `key`, and HashKV of them, computed the slow way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_MAX = 200, HISTORY_KEY_MAX = 18, HISTORY_VALUE_MAX = 96 };

struct change {
    uint64_t main, sub;
    bool is_tombstone;
    char user_key[8];
    bool is_gone; /* a compaction has taken it away */
    uint8_t key[HISTORY_KEY_MAX], value[HISTORY_VALUE_MAX];
    size_t key_len, value_len;
};

struct history {
    size_t n;
    struct change changes[HISTORY_MAX];
    int64_t compacted; /* -1: never */
    bool is_finished;  /* that compaction */
    uint64_t n_live;   /* keys at the end */
    uint32_t hash;     /* at the last revision */
};

void history_make(struct history *h, uint64_t *random);
