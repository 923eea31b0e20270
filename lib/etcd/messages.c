#include "etcd/messages.h"

#include <stddef.h>
#include <string.h>

#include "etcd.pb-c.h"

/* Of what comes out of an answer to Range: a few bytes of it may become a hundred. */
#define RANGE_MEMORY_MAX ((size_t)16 << 20)

/* An allocator for protobuf-c: it tells us, what protobuf-c does not, whether memory ran out, and may wipe. */
struct memory {
    ProtobufCAllocator allocator;
    size_t left; /* that may still be taken */
    bool exhausted, is_too_much;
};

/* In front of what is allocated. */
union header {
    size_t len;
    max_align_t align;
};

static void *memory_alloc(void *ctx, size_t len)
{
    struct memory *memory = ctx;
    union header *h;

    memory->is_too_much = len > memory->left || memory->left - len < sizeof(*h);
    if (memory->is_too_much)
        return NULL;
    memory->left -= sizeof(*h) + len;
    h = malloc(sizeof(*h) + len);
    if (!h) {
        memory->exhausted = true;
        return NULL;
    }
    h->len = len;
    return h + 1;
}

static void memory_free(void *ctx, void *p)
{
    union header *h = p;

    (void)ctx;
    if (h)
        free(h - 1);
}

static void memory_wipe(void *ctx, void *p)
{
    union header *h = p;

    if (h)
        secret_wipe(p, h[-1].len);
    memory_free(ctx, p);
}

#define MEMORY_INIT(m, release)                                                                                        \
    ((struct memory){.allocator = {.alloc = memory_alloc, .free = (release), .allocator_data = &(m)}, .left = SIZE_MAX})

static int undecodable(const struct memory *memory, const char *what, struct err *e)
{
    if (memory->exhausted)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for %s", what);
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "%s %s", what,
            memory->is_too_much ? "holds more than an honest one can" : "cannot be decoded");
}

static void copy_text(char *out, size_t size, const char *text)
{
    size_t i;

    for (i = 0; i + 1 < size && text[i]; i++)
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    out[i] = '\0';
}

static uint64_t not_negative(int64_t n)
{
    return n < 0 ? 0 : (uint64_t)n;
}

/* One of `errors`: "memberID:10501334649042878790 alarm:NOSPACE " (or two spaces, as Go's text format likes to vary).
 */
static void read_alarm(const char *text, struct etcd_status *out)
{
    const char *member = strstr(text, "memberID:"); /* left out, as a 0 is, where nobody knows which member it is */
    uint64_t id = member ? strtoull(member + strlen("memberID:"), NULL, 10) : 0;
    bool own = id != 0 && id == out->member_id;
    struct {
        const char *text;
        bool *own;
    } kinds[] = {{"NOSPACE", &out->alarm_nospace}, {"CORRUPT", &out->alarm_corrupt}};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!strstr(text, "alarm:") || !strstr(text, kinds[i].text))
            continue;
        *kinds[i].own = *kinds[i].own || own;
        out->corrupt_unknown = out->corrupt_unknown || (id == 0 && kinds[i].own == &out->alarm_corrupt);
        if (!strstr(out->alarms, kinds[i].text)) {
            if (out->alarms[0])
                strcat(out->alarms, ","); /* both fit with room to spare */
            strcat(out->alarms, kinds[i].text);
        }
    }
}

static void read_downgrade(const Etcdserverpb__DowngradeInfo *info, char out[ETCD_VERSION_MAX])
{
    bool is_under_way = info && info->enabled;

    copy_text(out, ETCD_VERSION_MAX, !is_under_way ? "" : info->targetversion[0] ? info->targetversion : "?");
}

int etcd_messages_status(struct bytes message, struct etcd_status *out, struct err *e)
{
    struct memory memory = MEMORY_INIT(memory, memory_free);
    Etcdserverpb__StatusResponse *m =
            etcdserverpb__status_response__unpack(&memory.allocator, message.len, message.data);

    if (!m)
        return undecodable(&memory, "the answer to Status", e);
    copy_text(out->version, sizeof(out->version), m->version);
    out->cluster_id = m->header ? m->header->cluster_id : 0;
    out->member_id = m->header ? m->header->member_id : 0;
    out->revision = m->header ? m->header->revision : 0;
    out->leader_id = m->leader;
    out->raft_index = m->raftindex;
    out->raft_applied_index = m->raftappliedindex;
    out->db_size = not_negative(m->dbsize);
    out->db_size_in_use = not_negative(m->dbsizeinuse);
    out->db_quota = not_negative(m->dbsizequota);
    out->is_learner = m->islearner;
    read_downgrade(m->downgradeinfo, out->downgrade);
    out->alarms[0] = '\0';
    out->alarm_nospace = out->alarm_corrupt = out->corrupt_unknown = false;
    out->behind = 0;
    for (size_t i = 0; i < m->n_errors; i++)
        read_alarm(m->errors[i], out);
    etcdserverpb__status_response__free_unpacked(m, &memory.allocator);
    return 0;
}

struct secret *etcd_messages_authenticate(const char *username, const struct secret *password, struct err *e)
{
    Etcdserverpb__AuthenticateRequest m;
    _cleanup_secret_ struct secret *text = NULL;
    size_t len = secret_len(password);
    struct secret *out;

    if (len > ETCD_PASSWORD_MAX || memchr(secret_const_data(password), '\0', len)) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the password for etcd is too long or holds a zero byte");
        return NULL;
    }
    text = secret_new(len + 1, e); /* with the NUL that protobuf-c wants */
    if (!text)
        return NULL;
    memcpy(secret_data(text), secret_const_data(password), len);
    etcdserverpb__authenticate_request__init(&m);
    m.name = (char *)(uintptr_t)username; /* only read */
    m.password = (char *)secret_data(text);
    out = secret_new(etcdserverpb__authenticate_request__get_packed_size(&m), e);
    if (out)
        etcdserverpb__authenticate_request__pack(&m, secret_data(out));
    return out;
}

static bool fits_into_a_header(const char *token, size_t len)
{
    if (len == 0 || len > ETCD_TOKEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (token[i] <= 0x20 || token[i] >= 0x7f)
            return false;
    return true;
}

struct secret *etcd_messages_token(struct bytes message, struct err *e)
{
    struct memory memory = MEMORY_INIT(memory, memory_wipe);
    Etcdserverpb__AuthenticateResponse *m =
            etcdserverpb__authenticate_response__unpack(&memory.allocator, message.len, message.data);
    struct secret *token = NULL;

    if (!m) {
        undecodable(&memory, "the answer to Authenticate", e);
        return NULL;
    }
    if (fits_into_a_header(m->token, strlen(m->token)))
        token = secret_copy(m->token, strlen(m->token), e);
    else
        err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the answer to Authenticate holds no usable token");
    etcdserverpb__authenticate_response__free_unpacked(m, &memory.allocator);
    return token;
}

int etcd_messages_member(struct bytes message, uint64_t id, struct etcd_messages_member *out, struct err *e)
{
    struct memory memory = MEMORY_INIT(memory, memory_free);
    Etcdserverpb__MemberListResponse *m =
            etcdserverpb__member_list_response__unpack(&memory.allocator, message.len, message.data);

    if (!m)
        return undecodable(&memory, "the answer to MemberList", e);
    for (size_t i = 0; i < m->n_members; i++) {
        if (m->members[i]->id != id)
            continue;
        copy_text(out->name, sizeof(out->name), m->members[i]->name);
        out->is_learner = m->members[i]->islearner;
        break;
    }
    etcdserverpb__member_list_response__free_unpacked(m, &memory.allocator);
    return 0;
}

int etcd_messages_snapshot(struct bytes message, struct etcd_messages_snapshot *out, struct err *e)
{
    struct memory memory = MEMORY_INIT(memory, memory_free);
    Etcdserverpb__SnapshotResponse *m =
            etcdserverpb__snapshot_response__unpack(&memory.allocator, message.len, message.data);

    if (!m)
        return undecodable(&memory, "a message of the snapshot", e);
    out->remaining = m->remaining_bytes;
    copy_text(out->storage_version, sizeof(out->storage_version), m->version);
    etcdserverpb__snapshot_response__free_unpacked(m, &memory.allocator);
    return 0;
}

size_t etcd_messages_hash_request(int64_t revision, uint8_t out[ETCD_MESSAGES_HASH_REQUEST_MAX])
{
    Etcdserverpb__HashKVRequest m = ETCDSERVERPB__HASH_KVREQUEST__INIT;

    m.revision = revision;
    return etcdserverpb__hash_kvrequest__pack(&m, out);
}

int etcd_messages_hash(struct bytes message, struct etcd_messages_hash *out, struct err *e)
{
    struct memory memory = MEMORY_INIT(memory, memory_free);
    Etcdserverpb__HashKVResponse *m =
            etcdserverpb__hash_kvresponse__unpack(&memory.allocator, message.len, message.data);

    if (!m)
        return undecodable(&memory, "the answer to HashKV", e);
    *out = (struct etcd_messages_hash){
            .hash = m->hash, .compact_revision = m->compact_revision, .hash_revision = m->hash_revision};
    etcdserverpb__hash_kvresponse__free_unpacked(m, &memory.allocator);
    return 0;
}

size_t etcd_messages_count_request(int64_t revision, uint8_t out[ETCD_MESSAGES_COUNT_REQUEST_MAX])
{
    static uint8_t zero;
    Etcdserverpb__RangeRequest m = ETCDSERVERPB__RANGE_REQUEST__INIT;

    m.key = m.range_end = (ProtobufCBinaryData){.data = &zero, .len = 1}; /* from the first name on, all */
    m.revision = revision;
    m.serializable = m.count_only = true;
    return etcdserverpb__range_request__pack(&m, out);
}

int etcd_messages_count(struct bytes message, uint64_t *keys, struct err *e)
{
    struct memory memory = MEMORY_INIT(memory, memory_free);
    Etcdserverpb__RangeResponse *m = etcdserverpb__range_response__unpack(&memory.allocator, message.len, message.data);
    int64_t count = m ? m->count : -1;

    if (m)
        etcdserverpb__range_response__free_unpacked(m, &memory.allocator);
    if (count < 0)
        return undecodable(&memory, "the answer to Range", e);
    *keys = (uint64_t)count;
    return 0;
}

int etcd_messages_range_request(const struct etcd_messages_range_request *wanted, struct buf *out, struct err *e)
{
    Etcdserverpb__RangeRequest m = ETCDSERVERPB__RANGE_REQUEST__INIT;
    size_t len;

    m.key = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)wanted->first.data, .len = wanted->first.len};
    m.range_end = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)wanted->end.data, .len = wanted->end.len};
    m.limit = wanted->limit;
    m.revision = wanted->revision;
    m.serializable = m.keys_only = true;
    len = etcdserverpb__range_request__get_packed_size(&m);
    if (buf_reserve(out, len, e) < 0)
        return -1;
    out->len += etcdserverpb__range_request__pack(&m, out->data + out->len);
    return 0;
}

static int tell_keys(const Etcdserverpb__RangeResponse *m, struct etcd_messages_range *page, struct err *e)
{
    if (page->on_head(page->ctx, page, e) < 0)
        return -1;
    for (size_t i = 0; i < m->n_kvs; i++) {
        const Etcdserverpb__KeyValue *kv = m->kvs[i];
        const struct etcd_messages_key key = {.name = {.data = kv->key.data, .len = kv->key.len},
                .create_revision = kv->create_revision,
                .mod_revision = kv->mod_revision};

        if (page->on_key(page->ctx, &key, e) < 0)
            return -1;
    }
    return 0;
}

int etcd_messages_range(struct bytes message, struct etcd_messages_range *page, struct err *e)
{
    struct memory memory = MEMORY_INIT(memory, memory_free);
    Etcdserverpb__RangeResponse *m;
    int told;

    memory.left = RANGE_MEMORY_MAX;
    m = etcdserverpb__range_response__unpack(&memory.allocator, message.len, message.data);
    if (!m)
        return undecodable(&memory, "the answer to Range", e);
    page->revision = m->header ? m->header->revision : 0;
    page->cluster_id = m->header ? m->header->cluster_id : 0;
    page->n = m->n_kvs;
    page->left = m->count;
    page->has_more = m->more;
    told = tell_keys(m, page, e);
    etcdserverpb__range_response__free_unpacked(m, &memory.allocator);
    return told;
}
