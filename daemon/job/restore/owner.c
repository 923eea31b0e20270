#include "job/restore/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/cleanup.h"

/* A whole decimal number below 2^32 - 1, which chown(2) takes for "leave it". */
static bool parse_id(const char *text, unsigned *id)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(text, &end, 10);
    *id = (unsigned)n;
    return text[0] >= '0' && text[0] <= '9' && !*end && errno == 0 && n < UINT32_MAX;
}

static int find_user(const char *name, uid_t *uid, gid_t *gid, struct err *e)
{
    const struct passwd *user = getpwnam(name);

    if (user) {
        *uid = user->pw_uid;
        *gid = user->pw_gid;
        return 0;
    }
    if (parse_id(name, uid))
        return 0;
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--owner: no user '%s' on this machine", name);
}

static int find_group(const char *name, gid_t *gid, struct err *e)
{
    const struct group *group = getgrnam(name);

    if (group)
        *gid = group->gr_gid;
    else if (!parse_id(name, gid))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--owner: no group '%s' on this machine", name);
    return 0;
}

static bool has_capabilities(uint32_t wanted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & wanted) == wanted;
}

bool owner_may_give(void)
{
    return has_capabilities(1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE);
}

bool owner_may_give_group(gid_t gid)
{
    return gid == getegid() || group_member(gid) || has_capabilities(1U << CAP_CHOWN);
}

/* What lchown(2) would only say when all is done. */
static int check_right(const char *user, uid_t uid, gid_t gid, struct err *e)
{
    if (uid == geteuid() && !owner_may_give_group(gid))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "--owner: this process is not in the group %u: only root (CAP_CHOWN) may give files to it", gid);
    if (uid == geteuid() || owner_may_give())
        return 0;
    return geteuid() ? err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--owner: only root may give files to %s", user)
                     : err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                               "--owner: this root lacks the capabilities to give files to %s (CAP_CHOWN, "
                               "CAP_DAC_OVERRIDE)",
                               user);
}

int owner_parse(const char *owner, uid_t *uid, gid_t *gid, struct err *e)
{
    _cleanup_free_ char *user = strdup(owner);
    char *group = user ? strchr(user, ':') : NULL;

    if (!user)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (group)
        *group++ = '\0';
    if (find_user(user, uid, gid, e) < 0 || (group && find_group(group, gid, e) < 0))
        return -1;
    return check_right(user, *uid, *gid, e);
}

int owner_errno(struct err *e, int number, const char *path)
{
    char us[OWNER_TEXT_MAX];

    err_errno(e, number, "%s", path);
    if (number == EROFS)
        return err_set(e, e->kind, e->domain, e->code,
                "%s (for a confined daemon; etcd-backupctl -c FILE writes with your own rights)", e->text);
    if (number != EACCES || (geteuid() == 0 && owner_may_give()))
        return -1;
    return err_set(e, e->kind, e->domain, e->code,
            "%s (the daemon runs as %s; etcd-backupctl -c FILE writes with your own rights)", e->text,
            owner_format(geteuid(), getegid(), us));
}

const char *owner_format(uid_t uid, gid_t gid, char *out)
{
    const struct passwd *user = getpwuid(uid);
    const struct group *group = getgrgid(gid);
    char user_id[12], group_id[12];

    (void)snprintf(user_id, sizeof(user_id), "%u", uid);
    (void)snprintf(group_id, sizeof(group_id), "%u", gid);
    (void)snprintf(
            out, OWNER_TEXT_MAX, "%.39s:%.39s", user ? user->pw_name : user_id, group ? group->gr_name : group_id);
    return out;
}
