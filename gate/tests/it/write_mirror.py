"""Writes mirrors by GRAMMAR.md, for tests of the gate's reader; it shares no code with the gate.

write_mirror.py whole TREE BOOKS DATA SUBJECT [BUNDLED…]   one complete night; BUNDLED paths travel in the bundle
write_mirror.py steps OLD NEW FOLDER POINT                 the night of OLD, and POINT steps of the transition to NEW; prints `done` of `all` and the
                                                           number of the step that writes the delta
"""

import gzip
import hashlib
import io
import os
import stat
import sys
import tarfile
from pathlib import Path

OWNER = "0123456789abcdef"
VERSIONS = "2026-12-02/030000-123"
ACLS = {"system.posix_acl_access": "acl", "system.posix_acl_default": "default"}


def escape(data: bytes) -> str:
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x5C else f"\\x{b:02x}" for b in data)


def acl(data: bytes) -> str:
    words = {1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
    out = []
    for at in range(4, len(data), 8):
        tag, bits, number = (int.from_bytes(data[at + a : at + b], "little") for a, b in ((0, 2), (2, 4), (4, 8)))
        letters = "".join(letter if bits & bit else "-" for letter, bit in zip("rwx", (4, 2, 1)))
        out.append(f"{words[tag]}:{number if tag in (2, 8) else ''}:{letters}")
    return ",".join(out)


def entries(tree: Path) -> dict[bytes, tuple]:
    """The entries of a tree by path: the line as a function of its `in` field, and the content."""
    found, links, top = {}, {}, os.fsencode(tree)

    def add(path: bytes, name: bytes):
        info = os.lstat(path)
        kind = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}[stat.S_IFMT(info.st_mode)]
        size, digest, to, content = 0, "-", "", None
        if kind == "f" and info.st_nlink > 1:
            first = links.setdefault(info.st_ino, name)
            if first != name:
                kind, to = "h", f" to={escape(first)}"
        if kind == "f":
            content = Path(os.fsdecode(path)).read_bytes()
            size, digest = len(content), hashlib.sha256(content).hexdigest()
            if info.st_blocks * 512 < size:
                kind = "s"
        if kind == "l":
            content = os.readlink(path)
            to = f" to={escape(content)}"
        fields = []
        for key in sorted(os.listxattr(path, follow_symlinks=False)) if kind != "h" else []:
            value = os.getxattr(path, key, follow_symlinks=False)
            if key in ACLS:
                fields.append(f" {ACLS[key]}={acl(value)}")
            else:
                fields.append(f" xattr:{escape(key.encode()).replace('=', chr(92) + 'x3d')}={escape(value)}")
        time = info.st_mtime_ns
        sign = "-" if time < 0 else ""
        when = f"{sign}{abs(time) // 10**9}.{abs(time) % 10**9:09}"
        head = f"{kind} {stat.S_IMODE(info.st_mode):04o} {info.st_uid} {info.st_gid} {when} {size} {digest} {escape(name)}{to}"
        rest = "".join(fields)
        found[name] = (lambda place="": head + place + rest, content, kind)
        if kind == "d":
            for child in sorted(os.listdir(path)):
                add(path + b"/" + child, name + b"/" + child)

    add(top, b"data")
    return found


def book(first: str, second: str, lines: list[str], counts: str) -> bytes:
    text = "".join(f"{line}\n" for line in [first, second, *lines]).encode()
    return gzip.compress(text + f"end {counts} {hashlib.sha256(text).hexdigest()}\n".encode())


def in_order(paths) -> list[bytes]:
    return sorted(paths, key=lambda path: path.split(b"/"))


def size(content, kind: str) -> int:
    return len(content) if kind in "fs" else 0


def manifest(tree: dict, subject: str, bundle: str = "", bundled=()) -> bytes:
    lines = [tree[path][0](f" in=bundle:{bundle}" if path in bundled else "") for path in in_order(tree)]
    total = sum(size(content, kind) for _, content, kind in tree.values())
    return book(f"backupctl-manifest 2 {subject}.mirror", f"mirror 000001 {OWNER} 2026-12-01T03:00:00Z", lines, f"{len(lines)} {total} 0")


def complete(prefix: Path, subject: str, number: str, written: bytes, night: str):
    text = f"backupctl-mirror 1 {subject}.mirror\nowner {OWNER}\nmanifest {number} {hashlib.sha256(written).hexdigest()}\n"
    Path(f"{prefix}complete").write_text(text + f"complete {night}\nwritten {night}\n")


def place(data: Path, path: bytes, kind: str) -> Path:
    below = os.fsdecode(path.removeprefix(b"data/")) + (".rclonelink" if kind == "l" else "")
    return data / below


def write(path: Path, content: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def whole(tree: Path, prefix: Path, data: Path, subject: str, bundled: set[bytes]):
    found = entries(tree)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as bundle:
        for name in in_order(bundled | {b"data"}):
            member = tarfile.TarInfo(os.fsdecode(name))
            if name == b"data":
                member.type = tarfile.DIRTYPE
                bundle.addfile(member)
            else:
                member.size = len(found[name][1])
                bundle.addfile(member, io.BytesIO(found[name][1]))
    name = hashlib.sha256(packed.getvalue()).hexdigest()[:16]
    if bundled:
        write(Path(f"{prefix}bundle-{name}.tar.gz"), packed.getvalue())
    for path, (_, content, kind) in found.items():
        if content is not None and path not in bundled:
            write(place(data, path, kind), content)
    full = manifest(found, subject, name, bundled)
    write(Path(f"{prefix}manifest-000001.gz"), full)
    complete(prefix, subject, "000001.0000", full, "2026-12-01T03:00:00Z")


def steps(old: Path, new: Path, folder: Path, point: int):
    whole(old, folder / "mirror.", folder / "data", "app", set())
    before, after = entries(old), entries(new)
    changed = [path for path in in_order(after) if path not in before or before[path][0]() != after[path][0]()]
    coming, keys = {}, {}
    for path in changed:
        _, content, kind = after[path]
        same = path in before and before[path][1:] == after[path][1:]
        if content is not None and not same:
            key = hashlib.sha256(content).hexdigest()[:32]
            keys[key] = keys.get(key, 0) + 1
            coming[path] = key if keys[key] == 1 else f"{key}.{keys[key]}"
    gone = [path for path in in_order(before) if path not in after]
    lines = {path: after[path][0](f" in=incoming:{coming[path]}" if path in coming else "") for path in changed}
    lines |= {path: f"gone {escape(path)}" for path in gone}
    total = sum(size(*after[path][1:]) for path in changed)
    head = f"mirror 000001.0001 {OWNER} 2026-12-02T03:00:00Z {VERSIONS}"
    delta = book("backupctl-delta 1 app.mirror", head, [lines[path] for path in in_order(lines)], f"{len(changed)} {len(gone)} {total}")

    def aside(path: bytes):
        kind = before[path][2]
        here = place(folder / "data", path, kind)
        there = place(folder / ".versions" / VERSIONS, path, kind)
        there.parent.mkdir(parents=True, exist_ok=True)
        here.rename(there)
        while not any(here.parent.iterdir()):
            here.parent.rmdir()
            here = here.parent

    def come(path: bytes):
        there = place(folder / "data", path, after[path][2])
        there.parent.mkdir(parents=True, exist_ok=True)
        assert not there.exists(), there
        (folder / ".incoming" / coming[path]).rename(there)

    def upload(path: bytes):
        write(folder / ".incoming" / coming[path], after[path][1])

    todo = [lambda path=path: upload(path) for path in coming]
    commit = len(todo) + 1
    todo.append(lambda: write(folder / "mirror.manifest-000001.0001.gz", delta))
    leaving = [path for path in in_order(before) if before[path][1] is not None and (path not in after or after[path][1] is None)]
    # A file in the way of a directory, and a directory in the way of a file, go first.
    blocks = lambda one, other: (one + b"/").startswith(other + b"/") or (other + b"/").startswith(one + b"/")  # noqa: E731
    early = [path for path in leaving if any(blocks(path, other) for other in coming)]
    replaced = [path for path in coming if path in before and before[path][1] is not None]
    todo += [lambda path=path: aside(path) for path in early]
    for path in replaced:
        todo += [lambda path=path: aside(path), lambda path=path: come(path)]
    todo += [lambda path=path: come(path) for path in coming if path not in replaced]
    todo += [lambda path=path: aside(path) for path in leaving if path not in early]
    todo.append(lambda: complete(folder / "mirror.", "app", "000001.0001", delta, "2026-12-02T03:00:00Z"))
    for step in todo[:point]:
        step()
    print(min(point, len(todo)), len(todo), commit)


def main():
    match sys.argv[1:]:
        case ["whole", tree, books, data, subject, *bundled]:
            whole(Path(tree), Path(books), Path(data), subject, {os.fsencode(name) for name in bundled})
        case ["steps", old, new, folder, point]:
            steps(Path(old), Path(new), Path(folder), int(point))
        case _:
            sys.exit(__doc__)


main()
