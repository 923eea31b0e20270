#include "cloud/profile.h"

#include <stdlib.h>
#include <string.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes trim(struct bytes b)
{
    while (b.len && is_blank(b.data[0])) {
        b.data++;
        b.len--;
    }
    while (b.len && is_blank(b.data[b.len - 1]))
        b.len--;
    return b;
}

static bool is(struct bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct bytes line = {rest->data, end ? (size_t)(end - rest->data) : rest->len};

    rest->data += line.len + (end != NULL);
    rest->len -= line.len + (end != NULL);
    return line;
}

/* Of "[profile name]" or "[name]"; empty where it is no head. */
static struct bytes head_name(struct bytes line)
{
    static const char word[] = "profile";
    struct bytes name = {line.data + 1, line.len - 2};

    if (line.len < 2 || line.data[0] != '[' || line.data[line.len - 1] != ']')
        return (struct bytes){NULL, 0};
    name = trim(name);
    if (name.len > strlen(word) && memcmp(name.data, word, strlen(word)) == 0 && is_blank(name.data[strlen(word)]))
        name = trim((struct bytes){name.data + strlen(word), name.len - strlen(word)});
    return name;
}

/* Keys that say that the credentials come from somewhere else. */
static const char *foreign(struct bytes key)
{
    static const char *const names[] = {"role_arn", "source_profile", "credential_source", "web_identity_token_file",
            "sso_session", "sso_start_url", "sso_account_id", "login_session"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (is(key, names[i]))
            return names[i];
    return NULL;
}

static int take_line(struct cloud_profile *out, struct bytes line, unsigned number, struct err *e)
{
    const struct {
        const char *key;
        struct bytes *to;
    } rows[] = {
            {"aws_access_key_id", &out->access_key},
            {"aws_secret_access_key", &out->secret_key},
            {"aws_session_token", &out->token},
            {"credential_process", &out->process},
    };
    const uint8_t *equals = memchr(line.data, '=', line.len);
    struct bytes key, value;

    if (!equals)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "line %u: is not 'key = value'", number);
    key = trim((struct bytes){line.data, (size_t)(equals - line.data)});
    value = trim((struct bytes){equals + 1, line.len - (size_t)(equals + 1 - line.data)});
    if (foreign(key))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "line %u: %s is not understood here; s3_client.auth.source has its own words for it, or "
                "credential_process: aws configure export-credentials --format process",
                number, foreign(key));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!is(key, rows[i].key))
            continue;
        if (rows[i].to->data)
            return err_set(
                    e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "line %u: %s is there a second time", number, rows[i].key);
        if (value.len)
            *rows[i].to = value;
    }
    return 0;
}

static int check(const struct cloud_profile *p, const char *name, struct err *e)
{
    if (p->process.data && (p->access_key.data || p->secret_key.data))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "the profile [%s] has keys and credential_process: one of them, please", name);
    if (p->process.data || (p->access_key.data && p->secret_key.data))
        return 0;
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the profile [%s] has no %s", name,
            p->access_key.data   ? "aws_secret_access_key"
            : p->secret_key.data ? "aws_access_key_id"
                                 : "aws_access_key_id and aws_secret_access_key, nor credential_process");
}

int cloud_profile_parse(struct bytes text, const char *name, struct cloud_profile *out, struct err *e)
{
    bool inside = false, found = false;
    unsigned number = 0;

    *out = (struct cloud_profile){{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    while (text.len) {
        struct bytes whole = next_line(&text), line = trim(whole);

        number++;
        if (line.len == 0 || line.data[0] == '#' || line.data[0] == ';')
            continue;
        if (line.data[0] == '[') {
            inside = is(head_name(line), name);
            if (inside && found)
                return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "line %u: the profile [%s] is there a second time",
                        number, name);
            found = found || inside;
        } else if (inside && !is_blank(whole.data[0]) && take_line(out, line, number, e) < 0) {
            /* what is indented belongs to the key above, and to none of ours */
            return -1;
        }
    }
    if (!found)
        return err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "there is no profile [%s]", name);
    return check(out, name, e);
}

/* One word into *to; false at an open quote. */
static bool cut_word(struct bytes *rest, char **to)
{
    uint8_t quote = 0;

    for (; rest->len && (quote || !is_blank(rest->data[0])); rest->data++, rest->len--) {
        uint8_t c = rest->data[0];

        if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? 0 : c;
            continue;
        }
        if (c == '\\' && quote != '\'') {
            if (rest->len < 2)
                return false;
            rest->data++;
            rest->len--;
            c = rest->data[0];
        }
        *(*to)++ = (char)c;
    }
    *(*to)++ = '\0';
    return quote == 0;
}

char **cloud_profile_split(struct bytes line, struct err *e)
{
    char **args = calloc(1, (CLOUD_PROFILE_ARGS_MAX + 1) * sizeof(*args) + line.len + CLOUD_PROFILE_ARGS_MAX + 1);
    char *to = args ? (char *)(args + CLOUD_PROFILE_ARGS_MAX + 1) : NULL;
    size_t n = 0;

    if (!args) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    for (line = trim(line); line.len && n < CLOUD_PROFILE_ARGS_MAX; line = trim(line)) {
        args[n++] = to;
        if (!cut_word(&line, &to)) {
            (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "credential_process: a quote that is not closed");
            free(args);
            return NULL;
        }
    }
    if (n && !line.len && args[0][0])
        return args;
    (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "credential_process: %s",
            line.len ? "too many words" : "names no program");
    free(args);
    return NULL;
}
