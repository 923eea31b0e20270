#include "s3/answer.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "base/timestamp.h"

enum { VALUE_MAX = 4096, METADATA_BYTES_MAX = 16 << 10, RETRY_AFTER_MAX_S = 60 };

/* One line, cut into its two parts; both end with a 0. */
struct header {
    char name[80]; /* lower case */
    char value[VALUE_MAX];
};

void s3_answer_reset(struct s3_answer *a)
{
    buf_reset(&a->metadata);
    *a = (struct s3_answer){.content_length = UINT64_MAX, .metadata = BUF_INIT(METADATA_BYTES_MAX)};
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal digits at *s, which then points behind them. */
static bool take_number(const char **s, uint64_t *out)
{
    uint64_t n = 0;

    if (!is_digit(**s))
        return false;
    for (; is_digit(**s); (*s)++) {
        const unsigned digit = (unsigned)(**s - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

/* HTTP-date (RFC 9110, 5.6.7); 0 for what is none. */
static int64_t parse_date(const char *value)
{
    const time_t t = curl_getdate(value, NULL);

    return t == -1 ? 0 : (int64_t)t;
}

static void set_content_length(struct s3_answer *a, const char *value)
{
    uint64_t n;

    if (take_number(&value, &n) && !*value)
        a->content_length = n;
}

/* "bytes 0-9/100", the total being of no interest (RFC 9110, 14.4). */
static void set_content_range(struct s3_answer *a, const char *value)
{
    uint64_t first, last;

    if (strncasecmp(value, "bytes ", 6) != 0)
        return;
    value += 6;
    if (!take_number(&value, &first) || *value++ != '-' || !take_number(&value, &last) || *value != '/' || first > last)
        return;
    a->has_range = true;
    a->range_first = first;
    a->range_last = last;
}

/* "2026-12-01T00:00:00.000Z": ISO 8601 in UTC. */
static void set_retention(struct s3_answer *a, const char *value)
{
    enum { TO_THE_SECOND = 19 };
    char text[TO_THE_SECOND + 2];
    struct err ignored;

    a->retain_until = INT64_MAX;
    if (strlen(value) <= TO_THE_SECOND)
        return;
    (void)snprintf(text, sizeof(text), "%.*sZ", TO_THE_SECOND, value);
    (void)timestamp_parse(text, strlen(text), &a->retain_until, &ignored);
}

/* An ETag is sent back in headers and compared: what does not fit is none. */
static void set_etag(struct s3_answer *a, const char *value)
{
    if (strlen(value) < sizeof(a->etag))
        (void)snprintf(a->etag, sizeof(a->etag), "%s", value);
}

/* It is compared, and never shown. */
static void set_server(struct s3_answer *a, const char *value)
{
    if (strlen(value) < sizeof(a->server))
        (void)snprintf(a->server, sizeof(a->server), "%s", value);
}

static void set_region(struct s3_answer *a, const char *value)
{
    const size_t len = strlen(value);

    if (len < sizeof(a->region) && strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") == len)
        (void)snprintf(a->region, sizeof(a->region), "%s", value);
}

/* "text/html; charset=utf-8" as "text/html". */
static void set_content_type(struct s3_answer *a, const char *value)
{
    const size_t len = strcspn(value, "; \t");

    if (len < sizeof(a->content_type) &&
            strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.+-") >= len)
        (void)snprintf(a->content_type, sizeof(a->content_type), "%.*s", (int)len, value);
}

static void set_location(struct s3_answer *a, const char *value)
{
    (void)snprintf(a->location, sizeof(a->location), "%.*s", (int)strcspn(value, "?#"), value);
}

static void set_retry_after(struct s3_answer *a, const char *value)
{
    uint64_t n;

    if (take_number(&value, &n) && !*value)
        a->retry_after_s = n < RETRY_AFTER_MAX_S ? (unsigned)n : RETRY_AFTER_MAX_S;
}

/* More metadata than fits is left out: we never write that much. */
static int add_metadata(struct s3_answer *a, const char *name, const char *value, struct err *e)
{
    const size_t name_len = strlen(name) + 1, value_len = strlen(value) + 1;

    if (a->n_metadata == S3_ANSWER_METADATA_MAX || a->metadata.len + name_len + value_len > METADATA_BYTES_MAX)
        return 0;
    if (buf_append(&a->metadata, name, name_len, e) < 0 || buf_append(&a->metadata, value, value_len, e) < 0)
        return -1;
    a->n_metadata++;
    return 0;
}

static bool split(struct header *h, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len), *end = line + len;
    size_t name_len;

    if (!colon || memchr(line, '\0', len))
        return false;
    name_len = (size_t)(colon - line);
    if (name_len == 0 || name_len >= sizeof(h->name))
        return false;
    for (size_t i = 0; i < name_len; i++)
        h->name[i] = (char)(line[i] >= 'A' && line[i] <= 'Z' ? line[i] + ('a' - 'A') : line[i]);
    h->name[name_len] = '\0';
    for (colon++; colon < end && (*colon == ' ' || *colon == '\t'); colon++)
        ;
    while (end > colon && strchr(" \t\r\n", end[-1]))
        end--;
    if ((size_t)(end - colon) >= sizeof(h->value))
        return false;
    memcpy(h->value, colon, (size_t)(end - colon));
    h->value[end - colon] = '\0';
    return true;
}

static int take_header(struct s3_answer *a, const struct header *h, struct err *e)
{
    static const char meta[] = "x-amz-meta-";

    if (strcmp(h->name, "etag") == 0)
        set_etag(a, h->value);
    else if (strcmp(h->name, "server") == 0)
        set_server(a, h->value);
    else if (strcmp(h->name, "content-length") == 0)
        set_content_length(a, h->value);
    else if (strcmp(h->name, "content-range") == 0)
        set_content_range(a, h->value);
    else if (strcmp(h->name, "last-modified") == 0)
        a->last_modified = parse_date(h->value);
    else if (strcmp(h->name, "date") == 0)
        a->date = parse_date(h->value);
    else if (strcmp(h->name, "content-type") == 0)
        set_content_type(a, h->value);
    else if (strcmp(h->name, "location") == 0)
        set_location(a, h->value);
    else if (strcmp(h->name, "retry-after") == 0)
        set_retry_after(a, h->value);
    else if (strcmp(h->name, "x-amz-bucket-region") == 0)
        set_region(a, h->value);
    else if (strcmp(h->name, "x-amz-object-lock-retain-until-date") == 0)
        set_retention(a, h->value);
    else if (strcmp(h->name, "x-amz-object-lock-mode") == 0)
        a->is_compliance = strcasecmp(h->value, "COMPLIANCE") == 0;
    else if (strcmp(h->name, "x-amz-object-lock-legal-hold") == 0)
        a->legal_hold = strcasecmp(h->value, "ON") == 0;
    else if (strncmp(h->name, meta, sizeof(meta) - 1) == 0)
        return add_metadata(a, h->name + sizeof(meta) - 1, h->value, e);
    return 0;
}

/* "HTTP/1.1 206 Partial Content": three digits after the first space. */
static void begin(struct s3_answer *a, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    const size_t head_len = a->head_len;

    s3_answer_reset(a);
    a->head_len = head_len;
    if (space && space + 4 <= line + len && is_digit(space[1]) && is_digit(space[2]) && is_digit(space[3]))
        a->status = (space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0');
}

int s3_answer_line(struct s3_answer *a, const char *line, size_t len, struct err *e)
{
    struct header h;

    a->head_len += len;
    if (a->head_len > S3_ANSWER_HEAD_MAX)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "an answer with more than %d KiB of headers",
                S3_ANSWER_HEAD_MAX >> 10);
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        begin(a, line, len);
        return 0;
    }
    return split(&h, line, len) ? take_header(a, &h, e) : 0;
}

void s3_answer_finish(struct s3_answer *a)
{
    const char *s = (const char *)a->metadata.data;

    for (size_t i = 0; i < a->n_metadata; i++) {
        a->params[i].name = s;
        s += strlen(s) + 1;
        a->params[i].value = s;
        s += strlen(s) + 1;
    }
}
