#include "job/message/backup_message.h"

/* protobuf-c's strings are not const, though nobody writes to these. */
static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

void backup_message_fill(Control__BackupResult *m, const struct backup_result *r)
{
    m->name = text(r->name);
    m->instant = r->instant;
    m->snapshot_size = r->snapshot_size;
    m->stored_size = r->stored_size;
    m->elapsed_ms = r->elapsed_ms;
    m->encrypted = r->encrypted;
    m->compressed = r->compressed;
    m->endpoint = text(r->member.endpoint);
    m->member = text(r->member.name);
    m->etcd_version = text(r->member.version);
    m->revision_before = r->member.revision;
    m->revision_after = r->revision_after;
    m->attempts = r->attempts;
    m->spooled = r->spooled;
    m->doubt = text(r->doubt);
    m->storage_version = text(r->storage_version);
    m->structure = text(bolt_structure_name(r->facts.structure));
    m->structure_why = text(r->facts.why);
    m->members = text(etcd_compare_verdict_name(r->members.verdict));
    m->members_compared = r->members.compared;
    m->members_why = text(r->members.why);
    m->has_hashkv = r->members.has_hash;
    m->hashkv = r->members.has_hash ? r->members.hash : 0;
    m->has_keys = r->members.has_keys;
    m->keys = r->members.has_keys ? r->members.keys : 0;
    if (r->facts.structure != BOLT_SOUND || !r->facts.has_keys)
        return;
    m->revision = r->facts.current;
    m->compact_revision = r->facts.compacted;
    m->revisions = r->facts.revisions;
    m->free = r->facts.free_bytes;
}
