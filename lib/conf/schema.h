/*
 * schema.h: the table of all keys. A row is the whole truth about a key: what it is called, what may stand there, what
 * holds when it is left out, and where it goes. Loading, checking, the example (man/example.py) and conf_schema_each
 * read it; to add a key, add a row, a member of struct conf, and its words to etcd-backupd.conf(5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

enum conf_kind {
    CONF_KIND_ENDPOINTS, /* a list, of etcd */
    CONF_KIND_ENDPOINT,  /* one, of S3 */
    CONF_KIND_BUCKET,
    CONF_KIND_PREFIX,
    CONF_KIND_REGION,
    CONF_KIND_ADDRESSING,
    CONF_KIND_COMPRESSION,
    CONF_KIND_DURATION, /* min and max in milliseconds */
    CONF_KIND_COUNT,    /* min and max */
    CONF_KIND_SIZE,     /* min and max in bytes; 0 is always possible */
    CONF_KIND_SWITCH,   /* true or false */
    CONF_KIND_LOG_LEVEL,
    CONF_KIND_CRON,
    CONF_KIND_LISTEN, /* HOST:PORT of ours */
    CONF_KIND_COMMAND,
    CONF_KIND_SOURCE, /* of S3's credentials */
    CONF_KIND_ROLE,   /* names as Amazon's IAM has them */
    CONF_KIND_SESSION,
    CONF_KIND_EXTERNAL_ID,
    CONF_KIND_PROFILE,
    CONF_KIND_ARGUMENTS,  /* a program and what it is given */
    CONF_KIND_EVENTS,     /* of a backup, a list of words */
    CONF_KIND_ENCRYPTION, /* by the store */
    CONF_KIND_VERIFY_WHAT,
    CONF_KIND_KMS_KEY,
    CONF_KIND_STORAGE_CLASS,
    CONF_KIND_LOCK,
    CONF_KIND_PROXY, /* a URL without user and password, or "none" */
    CONF_KIND_TAGS,  /* a list of KEY=VALUE */
    CONF_KIND_GROUP,
    CONF_KIND_SOCKET,
    /* Paths of files, by what conf_check_files expects in them. */
    CONF_KIND_AUTHORITIES,  /* certificates of those whom we believe */
    CONF_KIND_CERTIFICATES, /* ours, with its intermediates */
    CONF_KIND_PRIVATE_KEY,  /* to it */
    CONF_KIND_MASTER_KEY,
    CONF_KIND_ETCD_CREDENTIALS,
    CONF_KIND_S3_CREDENTIALS,
    CONF_KIND_TOKEN,       /* proves who we are to somebody who gives credentials; all of a pod may read it */
    CONF_KIND_PROFILES,    /* of the AWS CLI */
    CONF_KIND_URL,         /* in a file, since it is a secret */
    CONF_KIND_OUTPUT,      /* need not exist, but its directory */
    CONF_KIND_MASTER_KEYS, /* a list of paths */
    CONF_KIND_RECIPIENTS,  /* a list of age's */
};

struct conf_schema_key {
    const char *key; /* dotted; the sections are what is before the dots */
    enum conf_kind kind;
    bool mandatory;
    const char *by_default; /* as a user would write it; NULL: none */
    const char *sample;     /* for the example where there is no default */
    size_t offset;          /* of the member of struct conf */
    size_t width;           /* its size in bytes */
    uint64_t min, max;
    const char *if_missing; /* what it is, in one line, for who has left it out and may not */
};

/* The most that a list may have. */
enum {
    CONF_ENDPOINTS_MAX = 64,
    CONF_PREVIOUS_KEYS_MAX = 16,
    CONF_RECIPIENTS_MAX = 16,
    CONF_ARGUMENTS_MAX = 64,
    CONF_EVENTS_MAX = 3,
    CONF_TAGS_MAX = 10
};

/* Whether its value is a list of strings, rather than one. */
bool conf_schema_is_list(enum conf_kind kind);

/* All rows, *n of them; those of a section stand together. */
const struct conf_schema_key *conf_schema_keys(size_t *n);

/* The row of a key, or NULL. */
const struct conf_schema_key *conf_schema_find(const char *key);

/* Whether there are keys below `path`; "" is the document. */
bool conf_schema_is_section(const char *path);

/* The words for a kind of value: "duration", "list of endpoints". */
const char *conf_schema_kind_name(enum conf_kind kind);
