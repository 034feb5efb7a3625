#!/usr/bin/env python3
"""The reach of a hostile step from inside of the runner's container. Run as a step; prints JSON.

    probe.py PORT…    the ports that something on the host listens on, its loopback's included
"""

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

HOST = "host.containers.internal"


def ssh(account: str, *words: str, options: tuple[str, ...] = (), text: str = "") -> dict:
    """An ssh client with the runner's key."""
    with tempfile.TemporaryDirectory() as folder:
        key, hosts = Path(folder, "key"), Path(folder, "hosts")
        key.touch(mode=0o600)
        key.write_text(os.environ["BACKUP_SSH_KEY"].strip() + "\n")
        hosts.write_text(os.environ["BACKUP_KNOWN_HOSTS"] + "\n")
        settings = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={hosts}", "ConnectTimeout=60")
        line = ["ssh", "-i", str(key), *(word for setting in settings for word in ("-o", setting)), *options]
        done = subprocess.run(
            [*line, f"{account}@{HOST}", *words], input=text.encode(), capture_output=True, timeout=120, check=False
        )
    return {"code": done.returncode, "out": done.stdout.decode(), "err": done.stderr.decode()}


def connects(port: int) -> bool:
    """True if a program on the host answers there."""
    try:
        socket.create_connection((HOST, port), 5).close()
    except OSError:
        return False
    return True


def error_of(action) -> str | None:
    """The name of the error that the kernel refuses something with, or None when it was done."""
    try:
        action()
    except OSError as error:
        return error.strerror
    return None


def door(path: str) -> str | None:
    """The reason why a file of the kernel is closed, or None when it is open. Podman lays /dev/null over some."""
    try:
        with open(path, "r+b") as file:
            node = os.fstat(file.fileno())
    except OSError as error:
        return error.strerror
    null = stat.S_ISCHR(node.st_mode) and node.st_rdev == os.makedev(1, 3)
    return "/dev/null lies over it" if null else None


def status() -> dict[str, str]:
    """The kernel's facts about this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}


def mounts() -> list[dict]:
    """Every mount: its place, type, writability, and the folder of its file system."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()[0]
        writable = "rw" in fields[5].split(",")
        found.append({"at": fields[4], "folder": fields[3], "kind": kind, "writable": writable})
    return found


def device_in_namespace() -> str:
    """The kernel's answer to a process that is root in a namespace of its own, and wants the host's disk."""
    wish = (
        "import os, stat; os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNS); "
        "os.mknod('/tmp/disk', stat.S_IFBLK | 0o600, os.makedev(254, 0))"
    )
    done = subprocess.run([sys.executable, "-c", wish], capture_output=True, check=False)
    return done.stderr.decode().strip().rpartition("\n")[2] if done.returncode else "done"


def processes() -> dict[str, str]:
    """The names of all that are seen."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found[name] = Path("/proc", name, "comm").read_text().strip()
    return found


def main():
    """Tries every door."""
    account = os.environ["BACKUP_HOST"].partition("@")[0]
    writes = {path: error_of(Path(path).touch) for path in ("/touched", "/usr/bin/touched", "/etc/passwd")}
    kernel = ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/kcore", "/dev/mem", "/proc/1/root/etc/shadow")
    found = {
        "shell": ssh(account, text="id\ntouch /tmp/shell\n"),
        "command": ssh(account, "id"),
        "request": ssh(account, "backupctl --restore notes"),
        "terminal": ssh(account, options=("-tt",)),
        "sftp": ssh(account, "sftp", options=("-s",)),
        "forward": ssh(account, options=("-W", "127.0.0.1:22")),
        "root": ssh("root", "id"),
        "debian": ssh("debian", "id"),
        "ports": {port: connects(int(port)) for port in sys.argv[1:]},
        "uid": [*os.getresuid(), *os.getresgid()],
        "status": status(),
        "become_root": error_of(lambda: os.setuid(0)),
        "device_in_namespace": device_in_namespace(),
        "writes": writes,
        "kernel": {path: door(path) for path in kernel},
        "processes": processes(),
        "mounts": mounts(),
        "devices": sorted(str(path) for path in Path("/dev").rglob("*") if is_device(path)),
        "sockets": [str(path) for top in ("/run", "/var", "/tmp", "/data") for path in Path(top).rglob("*") if is_socket(path)],
    }
    print("FOUND " + json.dumps(found))


def is_device(path: Path) -> bool:
    """True for a device, and not for a link to one."""
    return not path.is_symlink() and (path.is_block_device() or path.is_char_device())


def is_socket(path: Path) -> bool:
    """True for a socket; False also where this process may not look."""
    try:
        return path.is_socket()
    except OSError:
        return False


if __name__ == "__main__":
    main()
