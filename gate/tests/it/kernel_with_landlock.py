"""Runs a program on a kernel that says it has a certain version of Landlock: kernel_with_landlock.py VERSION PROGRAM ARGUMENT…

The question for the version (landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION) is answered here, by a
seccomp user notification (seccomp_unotify(2)); everything else goes to the kernel.
"""

import ctypes
import fcntl
import os
import select
import socket
import struct
import sys

SECCOMP, PRCTL_NO_NEW_PRIVS, SET_MODE_FILTER, NEW_LISTENER = {"x86_64": 317, "aarch64": 277}[os.uname().machine], 38, 1, 8
LANDLOCK_CREATE_RULESET, VERSION_FLAG = 444, 1
RECEIVE, SEND = 0xC0502100, 0xC0182101
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000


def listen() -> int:
    """Filters this process and those that it starts; the descriptor that hears their questions."""
    steps = [
        (LOAD, 0, 0, 0), (EQUAL, 0, 3, LANDLOCK_CREATE_RULESET),
        # The low half of the third argument: the flags.
        (LOAD, 0, 0, 32), (EQUAL, 0, 1, VERSION_FLAG), (RETURN, 0, 0, NOTIFY), (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PRCTL_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def answer(listener: int, version: int):
    """Answers until no process is left that could ask."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        for _, event in poll.poll():
            if not event & select.POLLIN:
                return
            question = bytearray(80)
            try:
                fcntl.ioctl(listener, RECEIVE, question)
                fcntl.ioctl(listener, SEND, struct.pack("QqiI", struct.unpack_from("Q", question)[0], version, 0, 0))
            except FileNotFoundError:
                # The process that asked is gone.
                continue


def main() -> int:
    """Starts the program as a child, and ends as it does."""
    version, program = int(sys.argv[1]), sys.argv[2:]
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        listener = listen()
        socket.send_fds(theirs, [b"x"], [listener])
        os.close(listener)
        os.execv(program[0], program)
    theirs.close()
    _, [listener], _, _ = socket.recv_fds(ours, 1, 1)
    answer(listener, version)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
