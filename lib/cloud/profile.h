/*
 * profile.h: a profile of the AWS CLI's files, `credentials` and `config`. Pure.
 *
 *     [name]  or  [profile name]
 *     aws_access_key_id = AKIA...
 *     aws_secret_access_key = ...
 *     aws_session_token = ...
 *     credential_process = /usr/bin/vault-helper --role "etcd backup"
 *
 * Nothing else of them is understood, so nothing else is taken: a profile that leads to another (source_profile,
 * sso_..., role_arn, credential_source) is refused by the name of that key, rather than half understood. Lines end in
 * LF or CRLF; `#` and `;` begin a comment at the beginning of a line; keys and values are trimmed. Read where it lies,
 * in the caller's locked memory.
 */
#pragma once

#include "cloud/credentials.h"

enum { CLOUD_PROFILE_ARGS_MAX = 64 };

struct cloud_profile {
    struct bytes access_key, secret_key, token; /* in the text; data NULL: not there */
    struct bytes process;                       /* the command line; then the three above are not there */
};

/* Finds `name` in `text`. Errors: ERR_NOT_FOUND (no such profile), ERR_CONFIG ("line 3: ..."), never quoting a value.
 */
int cloud_profile_parse(struct bytes text, const char *name, struct cloud_profile *out, struct err *e);

/*
 * The words of a command line, as a shell would cut it without doing more: blanks between, "..." and '...' around, a
 * backslash before. Ends with NULL. All of it is one allocation, which the caller frees. Errors: ERR_CONFIG (an open
 * quote, no word at all, more than CLOUD_PROFILE_ARGS_MAX), ERR_RESOURCE.
 */
char **cloud_profile_split(struct bytes line, struct err *e);
