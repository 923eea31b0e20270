#!/bin/sh
# systemd.sh start|run DIR TREE
# systemd.sh stop DIR
# systemd.sh ctl DIR COMMAND...       a command beside it, as root: systemctl, journalctl, and what is in TREE
# A real systemd as process 1, with a journal, in namespaces of its own; root alone can do that.
#
#   TREE   what `meson install` made (DESTDIR), with /usr/local as its prefix
# It sees this machine's files, with TREE's, and the users and folders that TREE's sysusers and tmpfiles ask
# for. What is written to /etc, /usr, /root, /var/lib and /var/cache goes with it, so that packages can be installed there;
# /run and /var/log are its own, /sys and /proc/sys cannot be written to. Of units it knows those of TREE and what they need,
# and nothing that this machine would start. With etc/systemd/system in TREE also what is put into /etc/systemd/system and
# /usr/lib/systemd/system, which are empty then. The network is shared.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
[ $# -ge 2 ] || { verbs "$0" help -; exit 2; }
verb=$1
dir=$2
shift 2

ctl() { nsenter --target "$(cat "$dir/init.pid")" --mount --uts --ipc --net --pid --cgroup "$@"; }

# Process 1, before it is systemd.
inside() {
    mount -t tmpfs -o mode=0755 tmpfs "$dir/layers"
    for path in etc usr var/lib var/cache root; do
        mkdir -p "$dir/layers/$path/new" "$dir/layers/$path/work" "$tree/$path"
        mount -t overlay overlay "/$path" \
            -o "lowerdir=$tree/$path:/$path,upperdir=$dir/layers/$path/new,workdir=$dir/layers/$path/work"
    done
    units=$dir/units
    if [ -d "$tree/etc/systemd/system" ]; then
        for path in /etc/systemd/system /usr/lib/systemd/system; do
            mount -t tmpfs -o mode=0755 tmpfs "$path"
            units=$units:$path
        done
    fi
    mount -t tmpfs -o mode=0755 tmpfs /run
    mount -t tmpfs -o mode=0755 tmpfs /var/log
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    mount -o remount,bind,ro /sys
    umount -R -l /sys/fs/cgroup || :
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mount --make-rshared / # as it is under any systemd, which relies on it for LoadCredential=
    if [ -e /usr/local/lib/systemd/system ]; then # what is installed later brings its own
        cp /usr/local/lib/systemd/system/* "$dir/units/"
        systemd-sysusers etcd-backupd.conf
        systemd-tmpfiles --create etcd-backupd.conf
    fi
    cd /
    # By the variable it knows that it is in a container, and lets the kernel be.
    exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
        SYSTEMD_UNIT_PATH="$units" \
        setpriv --bounding-set=-sys_time,-sys_boot,-sys_module,-sys_rawio \
        /lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no
}

# A control group of its own, below ours. The mounts are nobody else's.
outside() {
    umount -R -l /sys/fs/cgroup || :
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/ebd-systemd-$$
    mkdir "$group"
    trap 'kill_all; rmdir_all; exit 1' TERM INT
    # shellcheck disable=SC2016 # the inner shell's words
    spawn unshare sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' - "$group" \
        unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --mount-proc sh "$0" inside "$dir" "$tree"
    if ! { wait_until 60 running_or_dead && alive "$dir/unshare.pid"; }; then
        cat "$dir/unshare.log" >&2
        kill_all
        rmdir_all
        exit 1
    fi
    : >"$dir/ready"
    trap 'kill_all; rmdir_all; exit 0' TERM INT
    wait || :
    rmdir_all
}

running() {
    cut -d ' ' -f 1 "/proc/$(cat "$dir/unshare.pid")/task/$(cat "$dir/unshare.pid")/children" >"$dir/init.pid" &&
        [ "$(ctl systemctl is-system-running 2>&1)" = running ]
}
running_or_dead() { running || not_alive "$dir/unshare.pid"; }

# The processes are dead; the kernel may need a moment to see it.
rmdir_all() { wait_until 10 rmdir_once; }
rmdir_once() { find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; }

# Only what units of services want to be there.
write_units() {
    rm -rf "$dir/units"
    mkdir -p "$dir/units" "$dir/layers"
    for target in sysinit basic sockets shutdown network-online multi-user; do
        printf '[Unit]\nDescription=%s\n' $target >"$dir/units/$target.target"
    done
    for unit in systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket; do
        cp "/lib/systemd/system/$unit" "$dir/units/"
    done
    printf '[Unit]\nRequires=systemd-journald.socket basic.target\n' >"$dir/units/test.target"
}

case $verb in
    ctl) ctl "$@" ;;
    inside)
        tree=$1
        inside
        ;;
    outside)
        tree=$1
        outside
        ;;
    run)
        mkdir -p "$dir"
        dir=$(cd "$dir" && pwd)
        rm -f "$dir/ready"
        write_units
        exec "$server_python" "$here/own_mounts.py" sh "$0" outside "$dir" "$(cd "$1" && pwd)"
        ;;
    *) verbs "$0" "$verb" "$dir" "$@" ;;
esac
