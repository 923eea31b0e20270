"""own_mounts.py COMMAND...: runs it with mounts of its own, which nobody else sees, and with a `/` that is a mount point.

As unshare(1) --mount does, which wants to find such a `/`. In a plain chroot it is none, and the mount that it lies on, which may
be shared with the whole machine, cannot be seen or made private from there. Root can look from the root of the namespace, which
is where setns(2) leads; what was `/` is then mounted over that, and is `/` again.
"""

import ctypes
import os
import sys

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
SYS_OPEN_TREE, SYS_MOVE_MOUNT = 428, 429
OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_RECURSIVE = 1, 0x1000, 0x8000
AT_FDCWD, MOVE_MOUNT_F_EMPTY_PATH = -100, 4

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def main(command):
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "--mount", "--map-root-user", *command])
    folder = os.getcwd()
    call(libc.unshare, CLONE_NEWNS)
    inside = os.open("/", os.O_PATH)
    with open("/proc/self/ns/mnt", "rb") as namespace:
        call(libc.setns, namespace.fileno(), CLONE_NEWNS)
    call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
    if not os.path.samestat(os.fstat(inside), os.stat("/")):
        tree = call(libc.syscall, SYS_OPEN_TREE, inside, b"", OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH)
        call(libc.syscall, SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, b"/", MOVE_MOUNT_F_EMPTY_PATH)
        os.chdir(tree)
        os.chroot(".")
        os.close(tree)
    os.close(inside)
    os.chdir(folder)
    os.execvp(command[0], command)


main(sys.argv[1:])
