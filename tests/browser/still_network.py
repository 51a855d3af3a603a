"""Starts Chromium so that it does not hear of this machine's networks: `python still_network.py PROGRAM ARGUMENT …`.

When an address comes or goes on any interface, Chromium ends requests that are under way, also those on loopback, with
ERR_NETWORK_CHANGED: a page is then without its style or its scripts. Labs come and go on this machine all the time.
It learns of that by a netlink socket (rtnetlink(7)), so the kernel refuses it one, by a filter that a program inherits
(seccomp(2)). It then takes the network to be there and to stay as it is.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

# Number of the system call socket(2), and the kernel's AUDIT_ARCH of it.
SOCKET = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # of classic BPF, each on a word
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # where struct seccomp_data has them
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_netlink() -> None:
    """From now on this process and all that it starts get no netlink socket. Raises OSError."""
    call, architecture = SOCKET[platform.machine()]
    steps = (
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 0, 5, architecture),
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 3, call),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_EQUAL, 0, 1, int(socket.AF_NETLINK)),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    program = Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    if platform.machine() in SOCKET:
        refuse_netlink()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
