#include "job/restore/preflight.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "job/restore/owner.h"

/* One of the directories that etcdutl makes, planned and owned; an objection says which option named it. */
static struct data_dir *plan(
        const struct preflight_spec *spec, const char *option, const char *path, struct objections *found)
{
    _cleanup_(cleanup_data_dir_free) struct data_dir *p = NULL;
    struct err e = ERR_INIT;

    p = data_dir_plan(path, &e);
    if (!p)
        err_prepend(&e, "%s: ", option);
    else if (data_dir_set_owner(p, spec->unpack->owner, &e) == 0)
        return TAKE_PTR(p);
    objections_add(found, &e);
    return NULL;
}

static void check_tool(const struct preflight_spec *spec, struct objections *found)
{
    struct err e = ERR_INIT;

    if (!spec->etcdutl)
        return;
    if (etcdutl_check_storage(spec->etcdutl, spec->storage_version, &e) < 0) {
        err_set(&e, e.kind, e.domain, e.code, "%s: %s; --use-etcdutl=false leaves the snapshot in a file", spec->name,
                e.text);
        objections_add(found, &e);
    }
    if (!spec->unpack->bump_revision || etcdutl_can_bump(spec->etcdutl))
        return;
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "--bump-revision: %s (%s) does not know it; etcdutl from 3.5.10 and etcdctl from 3.4.27 on do",
            etcdutl_path(spec->etcdutl), etcdutl_version(spec->etcdutl));
    objections_add(found, &e);
}

/* Also where there is no directory to give to him. */
static void check_owner(const struct preflight_spec *spec, const struct destination *to, struct objections *found)
{
    const char *owner = spec->unpack->owner;
    struct err e = ERR_INIT;
    uid_t uid;
    gid_t gid = getegid();

    if (!to->data && owner && owner_parse(owner, &uid, &gid, &e) < 0)
        objections_add(found, &e);
}

/* Whatever they are called. */
static void check_nesting(const struct destination *to, struct objections *found)
{
    struct err e = ERR_INIT;

    if (!to->data || !to->wal || (!data_dir_lies_in(to->data, to->wal) && !data_dir_lies_in(to->wal, to->data)))
        return;
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--wal-dir and --data-dir lie in each other: name another");
    objections_add(found, &e);
}

/* Where a file of its own is for whoever unpacks; a directory must not make it lie above that. */
static struct output_file *open_file(const struct preflight_spec *spec, struct err *e)
{
    struct stat st;

    if (!spec->unpacks)
        return output_file_open(spec->output, e);
    if (!spec->output_is_chosen || stat(spec->output, &st) < 0 || !S_ISDIR(st.st_mode))
        return output_file_open_transient(spec->output, e);
    err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--output %s: is a directory, not the name of a file", spec->output);
    return NULL;
}

static void check_room(const struct preflight_spec *spec, const struct destination *to, struct objections *found)
{
    struct disk_space room = ROOM_INIT;
    struct err e = ERR_INIT;

    if (spec->snapshot_size == UINT64_MAX)
        return;
    if (destination_measure(to, spec->snapshot_size, &room, &e) < 0) {
        objections_add(found, &e);
    } else if (disk_space_verdict(&room, &e) < 0) {
        /* The snapshot's disk was asked for first; it alone can be chosen freely. */
        if (to->file && room.disks[0].need > room.disks[0].available)
            err_set(&e, e.kind, e.domain, e.code, "%s; --output FILE takes another disk for the snapshot%s", e.text,
                    spec->unpacks ? " until it is unpacked" : "");
        objections_add(found, &e);
    }
}

void preflight_check(const struct preflight_spec *spec, struct destination *to, struct objections *found)
{
    struct err e = ERR_INIT;

    if (spec->unpacks) {
        unpack_options_check(spec->unpack, found);
        check_tool(spec, found);
        to->data = plan(spec, "--data-dir", spec->unpack->data_dir, found);
        to->wal = spec->unpack->wal_dir ? plan(spec, "--wal-dir", spec->unpack->wal_dir, found) : NULL;
        check_owner(spec, to, found);
        check_nesting(to, found);
    }
    to->file = open_file(spec, &e);
    if (!to->file)
        objections_add(found, &e);
    check_room(spec, to, found);
}
