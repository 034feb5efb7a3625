"""A tree of nasty names and types, and of data as PostgreSQL keeps it: nasty.py FOLDER makes it, as root.

Invariant: the tree is the same each time, times included.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

# Names that OneDrive refuses, whatever the account.
RESERVED = ["CON", "con.txt", "PRN", "AUX.log", "NUL", "COM1", "COM0.dat", "LPT9", "desktop.ini", ".lock", "~$letter.docx"]
# SharePoint refuses this one.
BUSINESS = ["an_vti_name"]
# Names that rclone stores under look-alikes.
ENCODED = [
    'a"quote', "a*star", "a:colon", "a<less", "a>more", "a?mark", "a\\back", "a|bar", " blank before", "blank behind ",
    "dot behind.", "~tilde before", "tab\there", "line\nfeed", "bell\x07", "delete\x7f", "return\r",
]  # fmt: skip
# Look-alikes themselves, and the sign by which rclone tells them.
LOOKALIKES = ["a／b", "．", "．．", "full＊star", "‛quoted", "‛＊both", "␠blank", "␉tab", "．dot", "＼back"]
# Names with a meaning for a shell, for rclone, or for the gate.
MEANINGFUL = [
    "-rf", "--", "$(touch pwned)", "`id`", "%41", "{a,b}", "[ab]", "#hash", "&and", "'", "é", "e\u0301", "ß", "😀", "İ",
    ".versions", "mirror.complete", "mirror.manifest-000001.gz", "file.partial", ".rclonelink", "data", "complete.gz", "\u200b", "a=b",
]  # fmt: skip
OUTSIDE_UNICODE = [b"caf\xe9", b"\xff\xfe", b"half\xc3", b"surrogate\xed\xa0\x80"]
OFFICE = ["report.docx", "table.xlsx", "slides.pptx", "old.doc"]
CASES = ["Case", "case", "CASE"]
SUB_UID = 100_000


def write(place: bytes | Path, data: bytes):
    """Writes a file, with the folders around it."""
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "xb") as file:
        file.write(data)


def names(top: Path):
    """Files with nasty names."""
    for number, name in enumerate([*RESERVED, *BUSINESS, *ENCODED, *LOOKALIKES, *MEANINGFUL, *OFFICE, *CASES]):
        write(top / "names" / name, f"content {number}".encode())
    for name in OUTSIDE_UNICODE:
        write(os.fsencode(top) + b"/names/" + name, b"outside of Unicode")
    write(os.fsencode(top) + b"/names/dir\xe9/inside/file", b"below such a folder")
    for folder in ("Folder", "folder"):
        write(top / "clash" / folder / "same", folder.encode())
    for name in ("e\u0301clair", "éclair"):
        write(top / "twins" / name / "file", name.encode())
    write(top / "names" / ("n" * 251 + ".end"), b"255 bytes")
    write(top / "names" / ("ü" * 127), b"254 bytes")
    deep = top / "deep" / Path(*[f"{level:02}-" + "x" * 30 for level in range(14)])
    write(deep / "file", b"beyond 400 characters")
    write(top / "deep/er" / Path(*["d"] * 60) / "file", b"60 folders down")
    write(top / "reserved/CON/inside/file", b"below a reserved name")
    (top / "reserved/PRN").mkdir()


def links(top: Path):
    """Symbolic and hard links, and files that look like rclone's links."""
    folder = top / "links"
    write(folder / "file", b"three names")
    os.link(folder / "file", folder / "another")
    os.link(folder / "file", top / "names/third name")
    write(folder / "NUL", b"the first name cannot be held")
    os.link(folder / "NUL", folder / "zero")
    for name, target in (
        ("dangling", "nowhere"), ("absolute", "/etc/passwd"), ("to-folder", "../names"), ("itself", "itself"),
        ("long", "l/" * 1500), ("odd", "a b\n\\\xff"), ("CON", "reserved"), ("twin", "file"), ("dots.", "..")
    ):  # fmt: skip
        os.symlink(target.encode("latin-1"), os.fsencode(folder / name))
    write(folder / "real.rclonelink", b"not a link")
    write(folder / "twin.rclonelink", b"not the twin")
    os.chown(folder / "dangling", 1234, 4321, follow_symlinks=False)


def kinds(top: Path):
    """Types other than files: pipes, sockets, empty folders, files with holes."""
    folder = top / "kinds"
    folder.mkdir()
    os.mkfifo(folder / "pipe", 0o622)
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)
        server.bind("socket")
        os.chdir(here)
    (folder / "empty").mkdir(mode=0o700)
    (folder / "empty/still empty").mkdir()
    write(folder / "nothing", b"")
    for name, pieces, size in (
        ("hole first", {1 << 20: b"end"}, (1 << 20) + 3), ("hole last", {0: b"begin"}, 3 << 20), ("only a hole", {}, 1 << 20),
        ("holes", {at << 16: bytes([at]) * 4096 for at in range(1, 20, 3)}, 20 << 16),
    ):  # fmt: skip
        with (folder / name).open("xb") as file:
            for at, data in pieces.items():
                file.seek(at)
                file.write(data)
            file.truncate(size)
    write(folder / "zeros", bytes(1 << 16))
    for number in range(3):
        write(folder / f"same {number}", b"one content, three files")


def rights(top: Path):
    """Modes, attributes, ACLs and capabilities."""
    folder = top / "rights"
    folder.mkdir()
    for name, mode in (("none", 0), ("setuid", 0o4755), ("setgid", 0o2755), ("sticky", 0o1644), ("all", 0o777), ("write", 0o222)):
        write(folder / name, name.encode())
        os.chmod(folder / name, mode)
    for name, mode in (("shut", 0), ("shared", 0o3777), ("inherits", 0o2750)):
        (folder / name).mkdir()
        write(folder / name / "file", name.encode())
        os.chmod(folder / name, mode)
    write(folder / "attributes", b"attributes")
    for name, value in ((b"user.plain", b"value"), (b"user.a=b \xff", bytes(range(256))), (b"user.empty", b""), (b"trusted.root", b"1")):
        os.setxattr(folder / "attributes", name, value)
    os.setxattr(folder / "shared", b"user.of.a.folder", b"here")
    write(folder / "program", b"#!/bin/true\n")
    os.chmod(folder / "program", 0o755)
    subprocess.run(["setcap", "cap_net_bind_service=ep", folder / "program"], check=True)
    write(folder / "acl", b"acl")
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:4321:r,m:rw", folder / "acl"], check=True)
    subprocess.run(["setfacl", "-m", "d:u:100070:rwx,u:100070:x", folder / "inherits"], check=True)


def database(top: Path):
    """A database of a rootless container: owners of a sub-uid range, folders for the owner alone."""
    folder = top / "postgres"
    for path in ("PG_VERSION", "base/1/1247", "base/1/1247_fsm", "base/16384/2619", "global/pg_control", "pg_wal/000000010000000000000001"):
        write(folder / path, path.encode() * 100)
    for path in ("pg_tblspc", "pg_notify", "pg_wal/archive_status"):
        (folder / path).mkdir()
    for parent, folders, files in os.walk(folder):
        for name in ("", *folders, *files):
            here = os.path.join(parent, name)
            os.chown(here, SUB_UID + 69, SUB_UID + 69)
            os.chmod(here, 0o600 if name in files else 0o700)
    write(top / "owners/highest", b"4294967294")
    os.chown(top / "owners/highest", 0xFFFFFFFE, 0xFFFFFFFE)


def times(top: Path):
    """Times before 1970, far away, and with nanoseconds, also of links and folders."""
    folder = top / "times"
    for name, moment in (
        ("before 1970", -1_500_000_001), ("1901", -(2**31) * 10**9), ("epoch", 0), ("a nanosecond", 1), ("before epoch", -1),
        ("2038", 2**31 * 10**9 + 999_999_999), ("2100", 4_102_444_800 * 10**9),
    ):  # fmt: skip
        write(folder / name, name.encode())
        os.utime(folder / name, ns=(0, moment))


def make(top: Path):
    """Makes the tree in an empty or new folder."""
    top.mkdir(parents=True, exist_ok=True)
    for part in (names, links, kinds, rights, database):
        part(top)
    everything = sorted(os.path.join(parent, name) for parent, folders, files in os.walk(os.fsencode(top)) for name in folders + files)
    for number, path in enumerate(everything):
        moment = 1_700_000_000 * 10**9 + number * 1_000_000_007
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    times(top)
    for path in (top / "times", top):
        os.utime(path, ns=(0, 1_234_567_890_123_456_789))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
