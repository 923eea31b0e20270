#include "conf/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "age/recipient.h"
#include "base/cron.h"
#include "base/duration.h"
#include "base/endpoint.h"
#include "base/size.h"
#include "base/utf8.h"
#include "conf/place.h"

enum {
    NUMBER_LEN_MAX = 32,
    PREFIX_LEN_MAX = 900, /* S3 allows keys of 1024 bytes; the time stamp and the ending want theirs */
    BUCKET_LEN_MIN = 3,
    BUCKET_LEN_MAX = 255,
    REGION_LEN_MAX = 64,
    GROUP_LEN_MAX = 255,
    PROXY_LEN_MAX = 263, /* a name and a port */
    /* AWS STS API reference, AssumeRole. */
    ROLE_LEN_MAX = 2048,
    SESSION_LEN_MAX = 64,
    EXTERNAL_ID_LEN_MAX = 1224,
    PROFILE_LEN_MAX = 255,
    STORAGE_CLASS_LEN_MAX = 64,
    TAG_KEY_MAX = 128,
    TAG_VALUE_MAX = 256,
    SOCKET_LEN_MAX = 107, /* sun_path has 108 bytes with the NUL: unix(7) */
};

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Names of buckets and regions were once less strict than now (buckets with capitals and `_` still exist), so only what
 * no store takes is refused. Names of groups: what useradd of any distribution makes, and what directories bring. */
static const char bucket_letters[] = ALNUM ".-_";
static const char region_letters[] = ALNUM ".-_";
static const char session_letters[] = ALNUM "_+=,.@-";
static const char iam_letters[] = ALNUM "_+=,.@:/-";
static const char group_letters[] = ALNUM ".-_@$+\\";

static void *member_of(struct conf *c, const struct conf_schema_key *key)
{
    return (char *)c + key->offset;
}

static int objection(struct err *e, const char *text, const char *why)
{
    char shown[UTF8_QUOTE_MAX];

    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s %s", utf8_quote(text, shown), why);
}

static int set_text(char **member, const char *text, struct err *e)
{
    *member = strdup(text);
    return *member ? 0 : err_errno(e, ENOMEM, "configuration");
}

static int check_text(const char *text, size_t max, const char *letters, struct err *e)
{
    char why[64];

    if (strlen(text) > max) {
        (void)snprintf(why, sizeof(why), "is longer than %zu bytes", max);
        return objection(e, text, why);
    }
    if (letters && text[strspn(text, letters)] != '\0')
        return objection(e, text, "has a character that cannot be in such a name");
    return 0;
}

/* The limits in the words that the user would use. */
static int check_range(const struct conf_schema_key *key, const char *text, uint64_t value, struct err *e)
{
    char low[DURATION_TEXT_MAX], high[DURATION_TEXT_MAX], why[128];

    if (value >= key->min && value <= key->max)
        return 0;
    if (key->kind == CONF_KIND_DURATION) {
        duration_format(key->min, low);
        duration_format(key->max, high);
    } else if (key->kind == CONF_KIND_SIZE) {
        size_format(key->min, low);
        size_format(key->max, high);
    } else {
        (void)snprintf(low, sizeof(low), "%" PRIu64, key->min);
        (void)snprintf(high, sizeof(high), "%" PRIu64, key->max);
    }
    (void)snprintf(why, sizeof(why), "is not between %s and %s", low, high);
    return objection(e, text, why);
}

static int parse_count(const char *text, uint64_t *value, struct err *e)
{
    const char *p = text;

    *value = 0;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value))
            *value = UINT64_MAX; /* sticks: ten times that overflows again */
    /* 010 is 8 to YAML 1.1 and 10 to a person. */
    if (p == text || *p || (text[0] == '0' && text[1]))
        return objection(e, text, "is not a number (decimal digits alone)");
    return 0;
}

static int set_number(struct conf *c, const struct conf_schema_key *key, const char *text, struct err *e)
{
    uint64_t value = 0;
    int r;

    if (strlen(text) > NUMBER_LEN_MAX)
        return objection(e, text, "is too long");
    r = key->kind == CONF_KIND_DURATION ? duration_parse(text, &value, e)
        : key->kind == CONF_KIND_SIZE   ? size_parse(text, &value, e)
                                        : parse_count(text, &value, e);
    if (r < 0)
        return -1;
    if (!(key->kind == CONF_KIND_SIZE && value == 0) && check_range(key, text, value, e) < 0)
        return -1;
    if (key->width == sizeof(unsigned))
        *(unsigned *)member_of(c, key) = (unsigned)value;
    else
        *(uint64_t *)member_of(c, key) = value;
    return 0;
}

/* Words in the order of the enum; in any case, as in the Go tool. Of the levels "warn" is one of many other programs.
 */
static const struct words {
    enum conf_kind kind;
    const char *list[8];
    const char *objection;
} words[] = {
        {CONF_KIND_LOG_LEVEL, {"error", "warning", "info", "debug"}, "is none of error, warning, info, debug"},
        {CONF_KIND_ADDRESSING, {"auto", "path", "virtual"}, "is none of auto, path, virtual"},
        {CONF_KIND_COMPRESSION, {"none", "zstd"}, "is none of none, zstd"},
        {CONF_KIND_ENCRYPTION, {"none", "s3", "kms"}, "is none of none, s3, kms"},
        {CONF_KIND_VERIFY_WHAT, {"newest", "sample", "all"}, "is none of newest, sample, all"},
        {CONF_KIND_SWITCH, {"false", "true"}, "is neither true nor false"},
        {CONF_KIND_LOCK, {"none", "governance", "compliance"}, "is none of none, governance, compliance"},
        {CONF_KIND_SOURCE, {"file", "instance", "container", "web-identity", "process", "profile"},
                "is none of file, instance, container, web-identity, process, profile"},
};

const char *conf_source_name(enum conf_source source)
{
    return words[ARRAY_LEN(words) - 1].list[source];
}

static void set_enum(struct conf *c, const struct conf_schema_key *key, unsigned i)
{
    if (key->kind == CONF_KIND_LOG_LEVEL)
        *(enum conf_log_level *)member_of(c, key) = (enum conf_log_level)i;
    else if (key->kind == CONF_KIND_SOURCE)
        *(enum conf_source *)member_of(c, key) = (enum conf_source)i;
    else if (key->kind == CONF_KIND_ENCRYPTION)
        *(enum conf_encryption *)member_of(c, key) = (enum conf_encryption)i;
    else if (key->kind == CONF_KIND_LOCK)
        *(enum conf_lock *)member_of(c, key) = (enum conf_lock)i;
    else if (key->kind == CONF_KIND_COMPRESSION)
        *(enum conf_compression *)member_of(c, key) = (enum conf_compression)i;
    else if (key->kind == CONF_KIND_VERIFY_WHAT)
        *(enum conf_verify_what *)member_of(c, key) = (enum conf_verify_what)i;
    else if (key->kind == CONF_KIND_SWITCH)
        *(bool *)member_of(c, key) = i != 0;
    else
        *(enum conf_addressing *)member_of(c, key) = (enum conf_addressing)i;
}

static int set_word(struct conf *c, const struct conf_schema_key *key, const char *text, struct err *e)
{
    const struct words *w = words;

    while (w->kind != key->kind)
        w++;
    if (key->kind == CONF_KIND_LOG_LEVEL && strcasecmp(text, "warn") == 0)
        text = "warning";
    for (unsigned i = 0; w->list[i]; i++) {
        if (strcasecmp(w->list[i], text) != 0)
            continue;
        set_enum(c, key, i);
        return 0;
    }
    return objection(e, text, w->objection);
}

static int check_bucket(const char *text, struct err *e)
{
    /* Dots alone would be eaten where paths are normalized. */
    if (strlen(text) < BUCKET_LEN_MIN || strspn(text, ".") == strlen(text))
        return objection(e, text, "cannot be the name of a bucket");
    return check_text(text, BUCKET_LEN_MAX, bucket_letters, e);
}

/* An address of this machine and a port: no scheme, since it is plain HTTP for whoever may reach it. */
static int check_listen(const char *text, struct err *e)
{
    struct endpoint ep;

    if (strstr(text, "://") || !strchr(text, ':'))
        return objection(e, text, "is not HOST:PORT, such as 127.0.0.1:9379");
    return endpoint_parse(text, ENDPOINT_S3, &ep, e);
}

static int check_cron(const char *text, struct err *e)
{
    struct cron cron;

    return cron_parse(text, &cron, e);
}

/* A password would stand where many can read it, and in what is said of a proxy that does not answer: it is not quoted.
 */
static int set_proxy(char **out, const char *text, struct err *e)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    const char *rest = NULL;
    char as_http[PROXY_LEN_MAX + sizeof("http://")];
    struct endpoint ep;

    if (strcmp(text, "none") == 0)
        return 0;
    if (strchr(text, '@'))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "has a user in it: user and password belong into a file of their own, s3_client.proxy_auth");
    for (size_t i = 0; i < ARRAY_LEN(schemes) && !rest; i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            rest = text + strlen(schemes[i]);
    if (!rest || strlen(rest) > PROXY_LEN_MAX || !strchr(rest, ':'))
        return objection(e, text, "is neither none nor SCHEME://HOST:PORT, of http, https, socks5 or socks5h");
    (void)snprintf(as_http, sizeof(as_http), "http://%s", rest);
    return endpoint_parse(as_http, ENDPOINT_S3, &ep, e) < 0 ? -1 : set_text(out, text, e);
}

/* What cannot be read at once is no place for a backup: a restore would wait for hours. The classes of stores other
 * than Amazon's have names of their own. */
static int check_storage_class(const char *text, struct err *e)
{
    static const char *const archives[] = {"GLACIER", "DEEP_ARCHIVE"};

    for (size_t i = 0; i < ARRAY_LEN(archives); i++)
        if (strcasecmp(text, archives[i]) == 0)
            return objection(e, text, "is an archive, which cannot be read at once: a restore would wait for hours");
    return check_text(text, STORAGE_CLASS_LEN_MAX, region_letters, e);
}

static int set_string(struct conf *c, const struct conf_schema_key *key, const char *text, struct err *e)
{
    struct endpoint ep;
    int r;

    switch (key->kind) {
    case CONF_KIND_ENDPOINT:
        r = endpoint_parse(text, ENDPOINT_S3, &ep, e);
        break;
    case CONF_KIND_BUCKET:
        r = check_bucket(text, e);
        break;
    case CONF_KIND_PREFIX:
        r = check_text(text, PREFIX_LEN_MAX, NULL, e);
        break;
    case CONF_KIND_REGION:
        r = check_text(text, REGION_LEN_MAX, region_letters, e);
        break;
    case CONF_KIND_GROUP:
        r = check_text(text, GROUP_LEN_MAX, group_letters, e);
        break;
    case CONF_KIND_CRON:
        r = check_cron(text, e);
        break;
    case CONF_KIND_LISTEN:
        r = check_listen(text, e);
        break;
    case CONF_KIND_ROLE:
        r = check_text(text, ROLE_LEN_MAX, iam_letters, e);
        break;
    case CONF_KIND_SESSION:
        r = check_text(text, SESSION_LEN_MAX, session_letters, e);
        break;
    case CONF_KIND_EXTERNAL_ID:
        r = check_text(text, EXTERNAL_ID_LEN_MAX, iam_letters, e);
        break;
    case CONF_KIND_KMS_KEY:
        r = check_text(text, ROLE_LEN_MAX, iam_letters, e);
        break;
    case CONF_KIND_STORAGE_CLASS:
        r = check_storage_class(text, e);
        break;
    case CONF_KIND_PROFILE:
        r = check_text(text, PROFILE_LEN_MAX, NULL, e);
        break;
    case CONF_KIND_SOCKET:
        r = check_text(text, SOCKET_LEN_MAX, NULL, e);
        break;
    default:
        r = check_text(text, PATH_MAX - 1, NULL, e);
        break;
    }
    return r < 0 ? -1 : set_text(member_of(c, key), text, e);
}

/* A list of struct conf. */
struct list {
    char ***items;
    size_t *n, max;
    const char *what;
};

static struct list list_of(struct conf *c, const struct conf_schema_key *key)
{
    if (key->kind == CONF_KIND_ARGUMENTS)
        return (struct list){&c->s3.process, &c->s3.n_process, CONF_ARGUMENTS_MAX, "words"};
    if (key->kind == CONF_KIND_TAGS)
        return (struct list){&c->s3.tags, &c->s3.n_tags, CONF_TAGS_MAX, "tags"};
    if (key->kind == CONF_KIND_RECIPIENTS)
        return (struct list){&c->encryption_recipients, &c->n_encryption_recipients, CONF_RECIPIENTS_MAX, "recipients"};
    if (key->kind == CONF_KIND_EVENTS)
        return (struct list){&c->heartbeat.on, &c->heartbeat.n_on, CONF_EVENTS_MAX, "events"};
    if (key->kind == CONF_KIND_ENDPOINTS)
        return (struct list){&c->etcd.endpoints, &c->etcd.n_endpoints, CONF_ENDPOINTS_MAX, "endpoints"};
    return (struct list){&c->previous_key_paths, &c->n_previous_key_paths, CONF_PREVIOUS_KEYS_MAX, "paths"};
}

/* S3 API, PutObjectTagging: keys of 128 characters, values of 256. */
static int check_tag(const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text || equals - text > TAG_KEY_MAX || strlen(equals + 1) > TAG_VALUE_MAX)
        return objection(e, text, "is not KEY=VALUE, of 128 and 256 characters at most");
    return 0;
}

static int check_event(const char *text, struct err *e)
{
    if (strcmp(text, "start") == 0 || strcmp(text, "success") == 0 || strcmp(text, "failure") == 0)
        return 0;
    return objection(e, text, "is none of start, success, failure");
}

/* What is no recipient may be a secret, and is quoted only where it cannot be one. */
static int check_recipient(const char *text, struct err *e)
{
    struct age_recipient r;
    struct err why = ERR_INIT;

    if (age_recipient_parse(text, &r, &why) == 0)
        return 0;
    if (strncmp(text, "age1", 4) == 0)
        return objection(e, text, why.text);
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "what stands here %s", why.text);
}

static int add_item(struct conf *c, const struct conf_schema_key *key, const char *text, struct err *e)
{
    struct list list = list_of(c, key);
    struct endpoint ep;
    char **more;

    if (*list.n == list.max)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "more than %zu %s", list.max, list.what);
    if ((key->kind == CONF_KIND_EVENTS && check_event(text, e) < 0) ||
            (key->kind == CONF_KIND_TAGS && check_tag(text, e) < 0) ||
            (key->kind == CONF_KIND_RECIPIENTS && check_recipient(text, e) < 0))
        return -1;
    if (key->kind == CONF_KIND_ENDPOINTS ? endpoint_parse(text, ENDPOINT_ETCD, &ep, e) < 0
                                         : check_text(text, PATH_MAX - 1, NULL, e) < 0)
        return -1;
    more = reallocarray(*list.items, *list.n + 1, sizeof(*more));
    if (!more)
        return err_errno(e, ENOMEM, "configuration");
    *list.items = more;
    if (set_text(&more[*list.n], text, e) < 0)
        return -1;
    ++*list.n;
    return 0;
}

int conf_value_set(struct conf *c, const struct conf_schema_key *key, const char *text, struct err *e)
{
    switch (key->kind) {
    case CONF_KIND_ENDPOINTS:
    case CONF_KIND_MASTER_KEYS:
    case CONF_KIND_ARGUMENTS:
    case CONF_KIND_EVENTS:
    case CONF_KIND_TAGS:
    case CONF_KIND_RECIPIENTS:
        return add_item(c, key, text, e);
    case CONF_KIND_DURATION:
    case CONF_KIND_COUNT:
    case CONF_KIND_SIZE:
        return set_number(c, key, text, e);
    case CONF_KIND_ADDRESSING:
    case CONF_KIND_COMPRESSION:
    case CONF_KIND_LOG_LEVEL:
    case CONF_KIND_SWITCH:
    case CONF_KIND_SOURCE:
    case CONF_KIND_ENCRYPTION:
    case CONF_KIND_LOCK:
    case CONF_KIND_VERIFY_WHAT:
        return set_word(c, key, text, e);
    case CONF_KIND_PROXY:
        return set_proxy(member_of(c, key), text, e);
    default:
        return set_string(c, key, text, e);
    }
}

void conf_value_free(struct conf *c, const struct conf_schema_key *key)
{
    struct list list;

    switch (key->kind) {
    case CONF_KIND_ENDPOINTS:
    case CONF_KIND_MASTER_KEYS:
    case CONF_KIND_ARGUMENTS:
    case CONF_KIND_EVENTS:
    case CONF_KIND_TAGS:
    case CONF_KIND_RECIPIENTS:
        list = list_of(c, key);
        for (size_t i = 0; i < *list.n; i++)
            free((*list.items)[i]);
        free(*list.items);
        break;
    case CONF_KIND_DURATION:
    case CONF_KIND_COUNT:
    case CONF_KIND_SIZE:
    case CONF_KIND_ADDRESSING:
    case CONF_KIND_COMPRESSION:
    case CONF_KIND_LOG_LEVEL:
    case CONF_KIND_SWITCH:
    case CONF_KIND_SOURCE:
    case CONF_KIND_ENCRYPTION:
    case CONF_KIND_LOCK:
    case CONF_KIND_VERIFY_WHAT:
        break;
    default:
        free(*(char **)member_of(c, key));
        break;
    }
}
