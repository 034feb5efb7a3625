"""Runs on the host, as root: gives each request line to the gate under strace and prints the calls that it should not make.

Reads lines in hexadecimal digits from standard input. A refused request may open the gate's configuration and audit log,
files of the loader and the runtime, and the journal's socket; it may only start itself again, in a clean
environment; and it may create, change, rename, remove or connect to nothing else.
"""

import os
import re
import subprocess
import sys
import tempfile

GATE = "/usr/local/bin/backupctl"
CONFIG = "/etc/backupctl/backupctl.toml"
AUDIT_LOG = "/var/log/backupctl.jsonl"
JOURNAL = {"/run/systemd/journal/socket", "/dev/log"}

# Opened along the way to a file: the gate goes there folder by folder.
FOLDERS = {"/", "/etc", "/etc/backupctl", "/var", "/var/log"}
FOR_THE_RUNTIME = re.compile(
    r"/etc/ld\.so\.(cache|preload)$|(/usr)?/lib(64)?/.*\.so(\.\d+)*$|/proc/(self|\d+)/(maps|fd|status|exe)$"
    r"|/etc/localtime$|/usr/share/zoneinfo/.*$|/sys/fs/cgroup.*$|/proc/self/cgroup$"
)
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (?:-?\w+|\?)")
LOOKING = {"access", "faccessat", "faccessat2", "stat", "lstat", "newfstatat", "statx", "readlink", "readlinkat"}
OPENING = {"open", "openat", "openat2"}
# They change a process's own state only.
HARMLESS = {"chdir", "getcwd", "exit", "exit_group", "setsockopt", "getsockopt", "shutdown"}
ORDER = ["strace", "-f", "-qq", "-y", "-s", "4096", "-e", "signal=none", "-e", "trace=process,file,network,kill,ptrace,mount"]


def place(arguments: str) -> str:
    """The file that a call is about: a path, or one below the folder of a descriptor."""
    folder = re.match(r'(?:AT_FDCWD(?:<([^>]*)>)?|\d+<([^>]*)>)(?:, |$)', arguments)
    name = re.search(r'"((?:[^"\\]|\\.)*)"', arguments)
    path = name.group(1) if name else ""
    if folder and not path.startswith("/"):
        path = os.path.join(folder.group(1) or folder.group(2) or "/", path)
    return os.path.normpath(path) if path else ""


def verdict(call: str, arguments: str) -> bool:
    """True if a refused request may make this call."""
    path = place(arguments)
    if call in OPENING:
        if re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)", arguments):
            return path == AUDIT_LOG
        return path in FOLDERS | {CONFIG, AUDIT_LOG} or bool(FOR_THE_RUNTIME.match(path))
    if call == "execve":
        return path in {GATE, "/proc/self/exe"}
    if call == "clone3":
        # The line is parsed in a thread that may do nothing else.
        return "CLONE_THREAD" in arguments
    if call in {"socket", "connect", "sendto", "sendmsg"}:
        named = re.findall(r'sun_path=@?"([^"]*)"', arguments)
        return "AF_INET" not in arguments and set(named) <= JOURNAL
    return call in LOOKING | HARMLESS


def whole(lines: list[str]) -> list[str]:
    """The calls, each in one piece: strace tears one apart when another thread makes a call meanwhile."""
    begun, calls = {}, []
    for text in lines:
        if torn := re.match(r"(\d+) +(.*?) ?<unfinished \.\.\.>$", text):
            begun[torn[1]] = text[: torn.end(2)]
        elif rest := re.match(r"(\d+) +<\.\.\. \w+ resumed>(.*)", text):
            calls.append(begun.pop(rest[1], "") + rest[2])
        else:
            calls.append(text)
    # A call that the end of the process overtook was still made.
    return calls + [f"{text}) = ?" for text in begun.values()]


def trace(line: bytes) -> tuple[int, list[str]]:
    """The exit code of a request, and the calls that it should not have made."""
    with tempfile.NamedTemporaryFile() as log:
        environment = {b"SSH_ORIGINAL_COMMAND": line, b"PATH": b"/usr/bin:/bin"}
        done = subprocess.run(
            [*ORDER, "-o", log.name, GATE, "--ssh-gate"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        calls = log.read().decode(errors="replace").splitlines()
    wrong = []
    for text in whole(calls):
        call = CALL.match(text)
        if not call or not verdict(*call.groups()):
            wrong.append(text)
    return done.returncode, wrong


def main():
    """One line of output for each wrong call, and the number of lines at the end."""
    count = 0
    for digits in sys.stdin:
        code, wrong = trace(bytes.fromhex(digits))
        count += 1
        for call in wrong:
            print(f"{code} {bytes.fromhex(digits)[:100]!r}: {call}")
    print(f"{count} lines")


if __name__ == "__main__":
    main()
