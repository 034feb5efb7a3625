"""The demo's world: one temporary folder, and every process that was started in it.

Invariant: `World.end` leaves neither a process nor a file. The demo is made the "child subreaper" of all that
runs below it (prctl(2)), so a daemon that lost its parent, for example a service that the gate started
again, stays findable as a descendant.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
MS_BIND, MS_REC = 0x1000, 0x4000
PATIENCE_S = 5
LIBC = ctypes.CDLL(None, use_errno=True)


class World:
    """Folder and processes; a context manager that clears both away."""

    def __init__(self):
        if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        # Set by ci/demo: the mounts here are private.
        self.private_mounts = os.environ.get("LIGHTFLOW_DEMO_MOUNTS") == "private"
        # The gate follows no link, so it must get the real name.
        self.root = Path(tempfile.mkdtemp(prefix="lightflow-demo-")).resolve()
        self.undo: list = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def folder(self, name: str) -> Path:
        """A folder in the world, made if it is missing."""
        place = self.root / name
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place

    def file(self, name: str, text: str, mode: int = 0o600) -> Path:
        """A small file in the world."""
        place = self.root / name
        self.folder(str(place.parent.relative_to(self.root)))
        place.touch(mode=mode)
        place.write_text(text)
        return place

    def spawn(self, argv: list, log: str) -> subprocess.Popen:
        """A process that stays, in a session of its own: keys typed here are not meant for it."""
        with (self.folder("logs") / log).open("ab") as out:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def log(self, name: str) -> str:
        """The output of a process of the world so far."""
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "logs" / name).read_text(errors="replace")
        return ""

    def afterwards(self, action):
        """Has something undone at the end; the last thing first."""
        self.undo.append(action)

    def end(self):
        """Removes everything completely, even after a failure on the way."""
        # A second Ctrl-C must not leave half of the world behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        end_descendants()
        for action in reversed(self.undo):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                action()
        shutil.rmtree(self.root, ignore_errors=True)
        if self.root.exists():
            print(f"could not remove all of {self.root}", flush=True)


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None):
    """mount(2): unlike mount(8) it takes /proc/self/fd/N as it is."""
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    if LIBC.mount(*words, ctypes.c_ulong(flags), None if options is None else options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mounting {target}: {os.strerror(ctypes.get_errno())}")


def end_descendants():
    """Ends everything below this process: politely first, then for certain."""
    until = time.monotonic() + PATIENCE_S
    for pid in descendants():
        send(pid, signal.SIGTERM)
    while descendants():
        reap()
        if time.monotonic() > until:
            for pid in descendants():
                send(pid, signal.SIGKILL)
        time.sleep(0.02)


def send(pid: int, number: signal.Signals):
    """Sends a signal to a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def reap():
    """Collects children that ended, adopted ones included."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def descendants() -> list[int]:
    """All processes below this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may hold anything; the parent is the second field behind it.
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
    found, open_ends = [], [os.getpid()]
    while open_ends:
        below = children.get(open_ends.pop(), [])
        found += below
        open_ends += below
    return found
