/* What came of an attempt: an answer, another attempt, or a failure. */
#include <string.h>
#include <strings.h>

#include "s3/request_state.h"

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

struct s3_verdict_place s3_outcome_place(const struct s3_request *r)
{
    const struct s3_conf *conf = s3_client_conf(r->client);
    const struct http_proxy *proxy = s3_client_proxy(r->client);

    return (struct s3_verdict_place){
            .host = s3_client_shown(r->client),
            .bucket = conf->bucket,
            .tls = s3_client_is_tls(r->client),
            .ca_cert = conf->ca_cert,
            .proxy = proxy->name,
    };
}

static enum s3_attempt_end end_by_curl(struct s3_request *r, CURLcode code, struct err *e)
{
    struct s3_verdict_failure f = {.code = code, .detail = r->curl_error};
    const struct s3_verdict_place at = s3_outcome_place(r);
    long new_connections = 1, proxy_status = 0;

    if (r->stopped.kind != ERR_NONE) {
        *e = r->stopped;
        return err_is_transient(e) ? S3_ATTEMPT_AGAIN : S3_ATTEMPT_FAILED;
    }
    (void)curl_easy_getinfo(r->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status >= 300)
        return s3_verdict_proxy(&at, (int)proxy_status, e) ? S3_ATTEMPT_AGAIN : S3_ATTEMPT_FAILED;
    (void)curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &f.os_error);
    if (r->transfer.unwatched)
        f.os_error = -r->transfer.unwatched;
    (void)curl_easy_getinfo(r->easy, CURLINFO_SSL_VERIFYRESULT, &f.verify);
    (void)curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &new_connections);
    s3_headers_redact(r, r->curl_error);
    const bool again = s3_verdict_curl(&at, &f, e);

    if (new_connections == 0 && r->answer.status == 0 && !r->went_stale && s3_verdict_is_stale(code)) {
        r->went_stale = r->fresh = true;
        return S3_ATTEMPT_AT_ONCE;
    }
    return again ? S3_ATTEMPT_AGAIN : S3_ATTEMPT_FAILED;
}

/* S3 may find out that it fails when it has sent the 200 already (S3 API, CompleteMultipartUpload). The body of an
 * object is not looked into: it may be an <Error> that somebody stored. */
static bool is_hidden_error(const struct s3_request *r, struct xml_error *error)
{
    struct err ignored = ERR_INIT;

    if (r->answer_body.len == 0 || (r->method == S3_GET && !r->is_bucket))
        return false;
    return xml_parse_error(buf_bytes(&r->answer_body), error, &ignored) == 0;
}

/* Of a plain text, as Go's servers answer: "Client sent an HTTP request to an HTTPS server.". */
static void read_line(const struct s3_request *r, char *out, size_t size)
{
    enum { SHOWN = 120 };
    const char *text = (const char *)r->answer_body.data;
    size_t len = 0;

    while (len < r->answer_body.len && len < SHOWN && len < size - 1 && (unsigned char)text[len] >= ' ')
        len++;
    memcpy(out, text, len);
    out[len] = '\0';
}

static void read_error(struct s3_request *r, struct xml_error *error)
{
    struct err ignored = ERR_INIT;

    *error = (struct xml_error){0};
    if (xml_parse_error(buf_bytes(&r->answer_body), error, &ignored) < 0)
        *error = (struct xml_error){0};
    if (!error->code[0] && strcasecmp(r->answer.content_type, "text/plain") == 0)
        read_line(r, error->message, sizeof(error->message));
    if (!error->region[0])
        (void)snprintf(error->region, sizeof(error->region), "%s", r->answer.region);
    s3_headers_redact(r, error->message);
}

/* Whether `code` is one of the words in `fine`. */
static bool is_fine(const char *fine, const char *code)
{
    const size_t len = strlen(code);

    while (fine && *fine) {
        const size_t word = strcspn(fine, " ");

        if (word == len && memcmp(fine, code, len) == 0)
            return true;
        fine += word + strspn(fine + word, " ");
    }
    return false;
}

static bool hears(struct s3_request *r, enum s3_feature feature, const struct xml_error *error)
{
    const struct s3_refusal refusal = {.status = r->answer.status, .code = error->code, .message = error->message};

    return s3_dialect_hears_refusal(s3_client_dialect(r->client), feature, &refusal);
}

static bool is_for_want_of_md5(struct s3_request *r, const struct xml_error *error)
{
    return r->method == S3_PUT && !r->md5[0] && hears(r, S3_BODY_WITHOUT_MD5, error);
}

/* It is tried with the hash once. */
static bool is_for_want_of_hash(struct s3_request *r, const struct xml_error *error)
{
    return !r->signs_payload && strcmp(r->payload_hash, S3_UNSIGNED_PAYLOAD) == 0 && hears(r, S3_UNSIGNED_BODY, error);
}

/* An answer to a HEAD has no code. */
static bool is_refusal(int status, const struct xml_error *error)
{
    return status == 403 && (!error->code[0] || strcmp(error->code, "AccessDenied") == 0);
}

/* Whether a refused signature may be the store's mistake: one of several gateways that does not know the key yet, or a
 * proxy that changed a header; or ours, where the credentials, which are read for each attempt, were just replaced. A
 * key has been accepted before, and one more attempt tells. */
static bool is_worth_signing_again(struct s3_request *r, const struct xml_error *error)
{
    static const char codes[] = "SignatureDoesNotMatch InvalidAccessKeyId InvalidToken ExpiredToken";

    if (!error->code[0] || !is_fine(codes, error->code) || r->signed_again || !s3_client_was_accepted(r->client))
        return false;
    r->signed_again = true;
    return true;
}

/* Whether it is the credentials that are over, or not known yet. An answer to a HEAD has no code, and 400 is that of
 * ExpiredToken. Others are tried once. */
static bool is_worth_other_credentials(struct s3_request *r, const struct xml_error *error)
{
    static const char codes[] = "ExpiredToken InvalidToken InvalidAccessKeyId TokenRefreshRequired";
    const bool is_refused =
            error->code[0] ? is_fine(codes, error->code) : r->method == S3_HEAD && r->answer.status == 400;

    if (!is_refused || r->renewed || !s3_client_refuse_credentials(r->client, r->used_key))
        return false;
    r->renewed = true;
    return true;
}

static enum s3_attempt_end end_by_error(struct s3_request *r, const struct xml_error *error, struct err *e)
{
    const struct s3_verdict_place at = s3_outcome_place(r);
    const bool skewed = strcmp(error->code, "RequestTimeTooSkewed") == 0;
    const int status = r->answer.status;
    bool again;

    if (is_fine(r->fine_code, error->code))
        return S3_ATTEMPT_DONE;
    again = s3_verdict_http(&at,
            &(struct s3_verdict_answer){
                    .status = status,
                    .is_bucket = r->is_bucket,
                    .error = *error,
                    .content_type = r->answer.content_type,
                    .location = r->answer.location,
            },
            e);
    if (is_refusal(status, error))
        s3_right_tell(&r->right, r->key, e);
    if (r->into && (status == 412 || status == 416))
        e->kind = ERR_INTEGRITY;
    if ((status == 403 || skewed) && !r->corrected_clock && r->answer.date != 0 &&
            s3_client_correct_clock(r->client, r->used_skew, skewed)) {
        r->corrected_clock = true;
        return S3_ATTEMPT_AT_ONCE;
    }
    if (is_for_want_of_md5(r, error))
        return S3_ATTEMPT_AT_ONCE;
    if (is_for_want_of_hash(r, error)) {
        r->signs_payload = true;
        r->payload_hash[0] = '\0';
        return S3_ATTEMPT_AT_ONCE;
    }
    if (is_worth_other_credentials(r, error))
        return S3_ATTEMPT_AT_ONCE;
    return again || is_worth_signing_again(r, error) ? S3_ATTEMPT_AGAIN : S3_ATTEMPT_FAILED;
}

static void make_response(struct s3_request *r)
{
    s3_answer_finish(&r->answer);
    r->response = (struct s3_response){
            .status = r->answer.status,
            .content_length = r->into ? r->into_len : r->answer.content_length,
            .last_modified = r->answer.last_modified,
            .retain_until = r->answer.retain_until,
            .is_compliance = r->answer.is_compliance,
            .legal_hold = r->answer.legal_hold,
            .body = buf_bytes(&r->answer_body),
            .metadata = r->answer.params,
            .n_metadata = r->answer.n_metadata,
            .attempts = r->attempts + r->resent,
    };
    memcpy(r->response.etag, r->answer.etag, sizeof(r->response.etag));
    memcpy(r->response.server, r->answer.server, sizeof(r->response.server));
}

/* Whether there is a document where one of S3's is expected, and it is not. */
static bool is_page(const struct s3_request *r)
{
    return r->answer_body.len > 0 && (r->is_bucket || r->method != S3_GET) &&
           s3_verdict_is_foreign(r->answer.content_type);
}

/* An answer that was accepted says what the store accepts. */
static void learn(const struct s3_request *r)
{
    s3_client_saw_accepted(r->client);
    if (strcmp(r->payload_hash, S3_UNSIGNED_PAYLOAD) == 0)
        s3_dialect_learn(s3_client_dialect(r->client), S3_UNSIGNED_BODY, true);
    else if (r->signs_payload)
        s3_dialect_learn(s3_client_dialect(r->client), S3_UNSIGNED_BODY, false);
}

static enum s3_attempt_end end_by_answer(struct s3_request *r, struct err *e)
{
    struct xml_error error;
    enum s3_attempt_end end = S3_ATTEMPT_DONE;

    if (!is_success(r->answer.status) || is_hidden_error(r, &error)) {
        read_error(r, &error);
        end = end_by_error(r, &error, e);
    } else if (r->into && r->into_done < r->into_len) {
        (void)err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the answer ended after %zu of %zu bytes", r->into_done,
                r->into_len);
        end = S3_ATTEMPT_FAILED;
    } else if (is_page(r)) {
        const struct s3_verdict_place at = s3_outcome_place(r);

        s3_verdict_page(&at, r->answer.status, r->answer.content_type, e);
        end = S3_ATTEMPT_FAILED;
    }
    if (end == S3_ATTEMPT_DONE && is_success(r->answer.status))
        learn(r);
    if (end == S3_ATTEMPT_DONE)
        make_response(r);
    return end;
}

/* Whether the answer is known, whatever became of the connection then: the last byte of `into` came, or the first line
 * said no. */
static bool is_settled(const struct s3_request *r)
{
    if (r->stopped.kind != ERR_NONE && !err_is_transient(&r->stopped))
        return false;
    return r->answer.status >= 300 || (r->into && r->into_done == r->into_len && is_success(r->answer.status));
}

enum s3_attempt_end s3_attempt_end(struct s3_request *r, CURLcode code, struct err *e)
{
    enum s3_attempt_end end;

    if (r->address.sa.sa_family != AF_UNSPEC)
        s3_client_saw_address(r->client, &r->address, r->answer.status != 0);
    if (r->answer.date != 0)
        s3_client_saw_date(r->client, r->answer.date);
    if (code == CURLE_OK || is_settled(r))
        end = end_by_answer(r, e);
    else
        end = end_by_curl(r, code, e);
    s3_headers_free(r);
    return end;
}
