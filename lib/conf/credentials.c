#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/flat.h"
#include "conf/place.h"

/* Session tokens of some kilobytes exist. Locked memory is scarce (64 KiB in many containers). */
enum { CREDENTIALS_LEN_MAX = 16384, ID_LEN_MAX = 1024 };

enum { ID, SECRET, TOKEN, N_ENTRIES };

static int refuse(struct err *e, const char *path, const struct conf_flat_entry *entry, const char *why)
{
    struct conf_place at = {.file = path, .line = entry->line, .column = entry->column, .key = entry->key};

    return conf_place_error(e, &at, "%s", why);
}

/* What goes into headers of HTTP as it is. */
static bool is_visible_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    return true;
}

/* The access key stands between commas and slashes in a signed request (SigV4), the token is a header of its own. */
static int check_s3(const char *path, const struct conf_flat_entry *entries, struct err *e)
{
    struct bytes id = entries[ID].value;

    if (!is_visible_ascii(id) || memchr(id.data, '/', id.len) || memchr(id.data, ',', id.len))
        return refuse(e, path, &entries[ID], "has a character that an access key cannot have");
    if (!is_visible_ascii(entries[TOKEN].value))
        return refuse(e, path, &entries[TOKEN], "has a character that a session token cannot have");
    return 0;
}

static int take(const struct conf_flat_entry *entries, struct conf_credentials *out, struct err *e)
{
    struct bytes id = entries[ID].value;

    out->id = calloc(1, id.len + 1);
    if (!out->id)
        return err_errno(e, ENOMEM, "credentials");
    memcpy(out->id, id.data, id.len);
    out->secret = secret_copy(entries[SECRET].value.data, entries[SECRET].value.len, e);
    if (!out->secret)
        return -1;
    if (entries[TOKEN].value.data) {
        out->token = secret_copy(entries[TOKEN].value.data, entries[TOKEN].value.len, e);
        if (!out->token)
            return -1;
    }
    return 0;
}

/* Whether a line begins with `word`, after blanks. */
static bool has_line(struct bytes text, const char *word)
{
    const char *at = (const char *)text.data, *end = at + text.len;

    while (at && at < end) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == '"' || *at == '{'))
            at++;
        if ((size_t)(end - at) >= strlen(word) && memcmp(at, word, strlen(word)) == 0)
            return true;
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return false;
}

/* What people have at hand where these keys are wanted. No word of what is in it is told. */
static int refuse_foreign(const char *path, struct bytes text, struct err *e)
{
    static const struct {
        const char *word, *what;
    } rows[] = {
            {"aws_access_key_id", "a credentials file of the AWS CLI"},
            {"AWS_ACCESS_KEY_ID", "a file of variables for the AWS CLI"},
            {"export AWS_ACCESS_KEY_ID", "a file of variables for the AWS CLI"},
            {"AccessKeyId", "an answer of the AWS CLI"},
            {"AccessKey\"", "an answer of the AWS CLI"},
            {"[", "a file with [sections], as the AWS CLI, s3cmd or rclone have"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (has_line(text, rows[i].word))
            return conf_place_error(e, &(struct conf_place){.file = path, .line = 1, .column = 1},
                    "looks like %s; here two lines of YAML are wanted: access_key: ... and secret_key: ...",
                    rows[i].what);
    return 0;
}

int conf_read_credentials(
        const char *path, enum conf_credentials_kind kind, struct conf_credentials *out, struct err *e)
{
    bool s3 = kind == CONF_CREDENTIALS_S3;
    struct conf_flat_entry entries[N_ENTRIES] = {
            [ID] = {.key = s3 ? "access_key" : "username", .mandatory = true},
            [SECRET] = {.key = s3 ? "secret_key" : "password", .mandatory = true, .secret = true},
            [TOKEN] = {.key = "session_token", .secret = true},
    };
    _cleanup_secret_ struct secret *text = secret_read_file(path, CREDENTIALS_LEN_MAX, true, e);
    struct conf_credentials found = {.id = NULL};

    if (!text)
        return -1;
    if (s3 && refuse_foreign(path, (struct bytes){secret_const_data(text), secret_len(text)}, e) < 0)
        return -1;
    if (conf_flat_parse(path, entries, s3 ? N_ENTRIES : TOKEN, secret_data(text), secret_len(text), e) < 0)
        return -1;
    if (entries[ID].value.len > ID_LEN_MAX)
        return refuse(e, path, &entries[ID], "is too long");
    if ((s3 && check_s3(path, entries, e) < 0) || take(entries, &found, e) < 0) {
        conf_credentials_clear(&found);
        return -1;
    }
    *out = found;
    return 0;
}

void conf_credentials_clear(struct conf_credentials *c)
{
    free(c->id);
    secret_free(c->secret);
    secret_free(c->token);
    *c = (struct conf_credentials){.id = NULL};
}
