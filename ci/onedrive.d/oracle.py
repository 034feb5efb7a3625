"""A second reader of a mirror, written from GRAMMAR.md: it composes the last complete night from the files on the remote.

oracle.py FOLDER SERVICE|extra:NAME [TARGET]     FOLDER is a local copy of the remote's folder

Invariant: nothing here comes from the gate. Every content is compared with its size and its digest, and a night is whole or refused.
"""

import gzip
import hashlib
import io
import os
import re
import sys
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

LETTERS = "dfslhp"
ENTRY = re.compile(r"([dfslhp]) ([0-7]{4}) (\d+) (\d+) (-?)(\d+)\.(\d{9}) (\d+) (-|[0-9a-f]{64}) (\S+)((?: \S+)*)")
ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
OWNER, MOMENT = r"[0-9a-f]{16}", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
FULL = re.compile(rf"mirror (\d{{6}}) ({OWNER}) ({MOMENT})")
DELTA = re.compile(rf"mirror (\d{{6}})\.(\d{{4}}) ({OWNER}) ({MOMENT}) (\d{{4}}-\d\d-\d\d/\d{{6}}-\d{{3}})")
ACLS = {"acl": b"system.posix_acl_access", "default": b"system.posix_acl_default"}
BLOCK = 4096
ROOT = b"data"


class Damaged(Exception):
    """The remote does not hold a whole night."""


@dataclass(frozen=True)
class Places:
    """The folders of one mirror, below the remote's folder."""

    data: str
    versions: str
    incoming: str
    books: str
    subject: str

    @classmethod
    def of(cls, subject: str) -> "Places":
        """The places of a service, or of an extra target as `extra:NAME`."""
        kind, colon, name = subject.partition(":")
        if not colon:
            return cls(f"{kind}/data/", f"{kind}/.versions/", f"{kind}/.incoming/", f"{kind}/mirror.", kind)
        middle = f"extra/.versions/{name}/", f"extra/.incoming/{name}/", f"extra/.manifests/{name}."
        return cls(f"extra/{name}/", *middle, f"extra-{name}")


class LocalFolder:
    """The remote's folder on a disk."""

    def __init__(self, top: Path):
        self.top = os.fsencode(top)
        self.paths = set()
        for folder, _, files in os.walk(self.top):
            self.paths |= {os.path.relpath(os.path.join(folder, file), self.top) for file in files}

    def read(self, path: bytes) -> bytes:
        """The content of a file."""
        with open(os.path.join(self.top, path), "rb") as file:
            return file.read()


@dataclass
class Entry:
    """One line of a manifest; `modified` is in nanoseconds."""

    letter: str
    mode: int
    uid: int
    gid: int
    modified: int
    size: int
    digest: str
    path: bytes
    target: bytes | None = None
    attributes: dict[bytes, bytes] = field(default_factory=dict)
    place: str = ""


def unescape(text: str) -> bytes:
    """The bytes of a path or a value."""
    return ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), text.encode("ascii"))


def below_data(text: str) -> bytes:
    """The path of an entry below the data: the paths of a manifest begin with `data`, as in an archive."""
    path = unescape(text)
    if path != ROOT and not path.startswith(ROOT + b"/"):
        raise Damaged(f"the path {path!r} is not below {ROOT!r}")
    return path[len(ROOT) + 1 :]


def acl_bytes(text: str) -> bytes:
    """The kernel's form of an ACL in numbers (linux/posix_acl_xattr.h)."""
    tags = {"user": (1, 2), "group": (4, 8), "mask": (16, 16), "other": (32, 32)}
    out = (2).to_bytes(4, "little")
    for part in text.split(","):
        kind, number, letters = part.split(":")
        bits = sum(bit for letter, bit in zip("rwx", (4, 2, 1)) if letter in letters)
        tag = tags[kind][bool(number)]
        out += tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + int(number or 0xFFFFFFFF).to_bytes(4, "little")
    return out


def entry_of(line: str) -> Entry:
    """Reads a line of a manifest."""
    match = ENTRY.fullmatch(line)
    if not match:
        raise Damaged(f"not an entry: {line[:200]!r}")
    letter, mode, uid, gid, sign, seconds, nanos, size, digest, path, rest = match.groups()
    # A decimal number: -1.500000000 is half a second before -1.
    modified = int(f"{sign}1") * (int(seconds) * 10**9 + int(nanos))
    entry = Entry(letter, int(mode, 8), int(uid), int(gid), modified, int(size), digest, below_data(path))
    for one in rest.split():
        key, _, value = one.partition("=")
        if key == "to":
            entry.target = below_data(value) if letter == "h" else unescape(value)
        elif key == "in":
            entry.place = value
        elif key in ACLS:
            entry.attributes[ACLS[key]] = acl_bytes(value)
        elif key.startswith("xattr:"):
            entry.attributes[unescape(key[6:])] = unescape(value)
        elif key != "hash":
            raise Damaged(f"unknown field {key!r} of {entry.path!r}")
    return entry


def unpacked(data: bytes) -> list[str] | None:
    """The lines of a book without its last one, or None when it is cut off or changed. The last line counts."""
    try:
        text = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None
    head, _, last = text[:-1].rpartition(b"\n")
    words = last.decode("ascii", "replace").split(" ")
    if not text.endswith(b"\n") or words[0] != "end" or words[-1] != hashlib.sha256(head + b"\n").hexdigest():
        return None
    lines = head.decode("ascii").split("\n")
    entries = [line.split(" ") for line in lines[2:] if not line.startswith("gone ")]
    size = sum(int(entry[5]) for entry in entries if entry[0] in "fs")
    if lines[0].startswith("backupctl-delta "):
        counts = [len(entries), len(lines) - 2 - len(entries), size]
    else:
        counts = [len(entries), size, 0]
    return lines if words[1:-1] == [str(count) for count in counts] else None


def key_of(path: bytes) -> list[bytes]:
    """The order of paths: by components, a folder directly before its content."""
    return path.split(b"/")


@dataclass
class Night:
    """The last complete night of a mirror."""

    number: str
    owner: str
    as_of: str
    entries: dict[bytes, Entry]
    last: set[bytes]
    complete: str | None


class Mirror:
    """Reads one mirror from a store, which has `paths` (bytes, below the remote's folder) and `read`."""

    def __init__(self, store, subject: str):
        self.store, self.places = store, Places.of(subject)

    def night(self) -> Night | None:
        """The last complete night, or None when there has been none."""
        books = self._books()
        for full in sorted((name for name in books if name[1] == 0), reverse=True):
            lines = unpacked(self.store.read(books[full]))
            if lines is not None:
                return self._chain(books, full[0], lines)
        return None

    def _books(self) -> dict[tuple[int, int], bytes]:
        """The files of manifests and deltas by their numbers."""
        name = re.compile(re.escape(self.places.books.encode()) + rb"manifest-(\d{6})(?:\.(\d{4}))?\.gz")
        found = {}
        for path in self.store.paths:
            if match := name.fullmatch(path):
                found[int(match[1]), int(match[2] or 0)] = path
        return found

    def _chain(self, books: dict, number: int, lines: list[str]) -> Night:
        """Applies the deltas to a manifest."""
        self._first_line(lines, "backupctl-manifest 2")
        head = FULL.fullmatch(lines[1])
        if not head or int(head[1]) != number:
            raise Damaged(f"the second line of manifest {number} is {lines[1]!r}")
        entries = self._in_order(lines[2:])
        night = Night(f"{number:06}.0000", head[2], head[3], entries, set(), None)
        for delta in range(1, 10_000):
            if (number, delta) not in books:
                break
            lines = unpacked(self.store.read(books[number, delta]))
            if lines is None:
                if (number, delta + 1) in books:
                    raise Damaged(f"delta {delta} of manifest {number} is damaged, and delta {delta + 1} follows")
                break
            self._apply(night, number, delta, lines)
        night.complete = self._complete(night, books)
        for entry in night.entries.values():
            parent = entry.path.rpartition(b"/")[0]
            if entry.path and (parent not in night.entries or night.entries[parent].letter != "d"):
                raise Damaged(f"{entry.path!r} has no folder around it")
        return night

    def _first_line(self, lines: list[str], begin: str):
        wanted = f"{begin} {self.places.subject}.mirror"
        if len(lines) < 2 or lines[0] != wanted:
            raise Damaged(f"the first line is {lines[0]!r}, not {wanted!r}")

    @staticmethod
    def _in_order(lines: list[str]) -> dict[bytes, Entry]:
        entries = [entry_of(line) for line in lines]
        paths = [key_of(entry.path) for entry in entries]
        if any(one >= two for one, two in zip(paths, paths[1:])):
            raise Damaged("the entries of a manifest are not in order")
        return {entry.path: entry for entry in entries}

    def _apply(self, night: Night, number: int, delta: int, lines: list[str]):
        self._first_line(lines, "backupctl-delta 1")
        head = DELTA.fullmatch(lines[1])
        if not head or (int(head[1]), int(head[2])) != (number, delta):
            raise Damaged(f"the second line of delta {delta} is {lines[1]!r}")
        night.number, night.owner, night.as_of, night.last = f"{number:06}.{delta:04}", head[3], head[4], set()
        before = None
        for line in lines[2:]:
            path = below_data(line[5:]) if line.startswith("gone ") else (entry := entry_of(line)).path
            if before is not None and key_of(path) <= before:
                raise Damaged(f"the lines of delta {delta} are not in order")
            before = key_of(path)
            if line.startswith("gone "):
                if night.entries.pop(path, None) is None:
                    raise Damaged(f"delta {delta} takes {path!r} away, which is not there")
            else:
                night.entries[path] = entry
                night.last.add(path)

    def _complete(self, night: Night, books: dict) -> str | None:
        """The night that the remote's small file names, or None when there is none."""
        path = f"{self.places.books}complete".encode()
        if path not in self.store.paths:
            return None
        said = self.store.read(path).decode("ascii").splitlines()
        words = dict(line.partition(" ")[::2] for line in said)
        if said[0] != f"backupctl-mirror 1 {self.places.subject}.mirror":
            raise Damaged(f"the first line of the small file is {said[0]!r}")
        if words["complete"] == "never":
            return None
        number, digest = words["manifest"].split()
        book = books.get(tuple(map(int, number.split("."))))
        if book is not None and hashlib.sha256(self.store.read(book)).hexdigest() != digest:
            raise Damaged(f"the small file names another manifest {number} than the one that is there")
        return number

    def content(self, night: Night, entry: Entry) -> bytes:
        """The content of a file of this night, compared with its size and digest."""
        kind, _, name = entry.place.partition(":")
        if kind == "bundle":
            data = self._bundled(name, entry.path)
        else:
            places = [self.places.data.encode() + entry.path]
            incoming = self.places.incoming.encode() + name.encode()
            if kind == "incoming" and entry.path in night.last:
                places.insert(0, incoming)
            found = [self.store.read(place) for place in places if place in self.store.paths]
            if not found:
                raise Damaged(f"the content of {entry.path!r} is missing: {places[0]!r}")
            # Part of a content is left by an upload that broke off, on remotes without complete files only.
            data = next((data for data in found if len(data) == entry.size), found[0])
        if len(data) != entry.size:
            raise Damaged(f"{entry.path!r} has {len(data)} bytes instead of {entry.size}")
        if entry.digest not in ("-", hashlib.sha256(data).hexdigest()):
            raise Damaged(f"{entry.path!r} has another content")
        return data

    def _bundled(self, name: str, path: bytes) -> bytes:
        place = f"{self.places.books}bundle-{name}.tar.gz".encode()
        if place not in self.store.paths:
            raise Damaged(f"the bundle {place!r} is missing")
        data = self.store.read(place)
        if hashlib.sha256(data).hexdigest()[:16] != name:
            raise Damaged(f"the bundle {name} has another content")
        wanted = f"data/{os.fsdecode(path)}"
        with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as bundle:
            for member in bundle:
                if member.name == wanted and member.isfile():
                    return bundle.extractfile(member).read()
        raise Damaged(f"{path!r} is not in the bundle {name}")


def write_file(place: bytes, data: bytes, sparse: bool):
    """Writes a file; blocks of zeros become holes in a file that had some."""
    with open(place, "xb") as file:
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            if not sparse or block.strip(b"\0"):
                file.seek(at)
                file.write(block)
        file.truncate(len(data))


def compose(mirror: Mirror, night: Night, target: Path):
    """Writes a night into a new folder, owners, modes, attributes and times included."""
    top = os.fsencode(target)
    os.mkdir(top)
    order = sorted(night.entries.values(), key=lambda entry: key_of(entry.path))
    place = lambda path: top if path == b"" else os.path.join(top, path)  # noqa: E731
    for entry in order:
        match entry.letter:
            case "d" if place(entry.path) != top:
                os.mkdir(place(entry.path))
            case "f" | "s":
                write_file(place(entry.path), mirror.content(night, entry), entry.letter == "s")
            case "l":
                os.symlink(entry.target, place(entry.path))
            case "p":
                os.mkfifo(place(entry.path))
    for entry in (entry for entry in order if entry.letter == "h"):
        os.link(place(entry.target), place(entry.path), follow_symlinks=False)
    # A folder's time comes after its content, and its mode may shut it.
    for entry in reversed(order):
        if entry.letter == "h":
            continue
        here = place(entry.path)
        os.chown(here, entry.uid, entry.gid, follow_symlinks=False)
        if entry.letter != "l":
            os.chmod(here, entry.mode)
        for name, value in entry.attributes.items():
            os.setxattr(here, name, value, follow_symlinks=False)
        os.utime(here, ns=(entry.modified, entry.modified), follow_symlinks=False)


def main() -> int:
    """Says which night the folder holds; composes it into TARGET."""
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    mirror = Mirror(LocalFolder(Path(sys.argv[1])), sys.argv[2])
    try:
        night = mirror.night()
        if night is None:
            print("no complete night")
            return 1
        print(f"night {night.number} as of {night.as_of}, {len(night.entries)} entries; complete: {night.complete}")
        if len(sys.argv) == 4:
            compose(mirror, night, Path(sys.argv[3]))
    except Damaged as error:
        print(f"finding: {error}")
        return 65
    return 0


if __name__ == "__main__":
    sys.exit(main())
