"""The second reader of mirrors, tried on remotes made by hand: one for each point of a transition, and damaged ones."""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import unittest
from pathlib import Path

from oracle import Damaged, Mirror, compose

OWNER = "0123456789abcdef"
VERSIONS = "2026-12-01/030000-000"
FIRST, SECOND = "2026-11-30T03:00:00Z", "2026-12-01T03:00:00Z"
HEAD = {"f": "0640", "d": "0755", "l": "0777", "h": "0640", "p": "0600", "s": "0640"}


class Remote:
    """A remote in memory, in which a test moves files about."""

    def __init__(self):
        self.files: dict[bytes, bytes] = {}

    @property
    def paths(self) -> set[bytes]:
        """The paths of all files."""
        return set(self.files)

    def read(self, path: bytes) -> bytes:
        """The content of a file."""
        return self.files[path]

    def put(self, path: str, data: bytes):
        """Stores a file."""
        self.files[path.encode()] = data

    def move(self, old: str, new: str):
        """Moves a file; onto an existing name it is refused."""
        if new.encode() in self.files:
            raise FileExistsError(new)
        self.files[new.encode()] = self.files.pop(old.encode())


def digest(data: bytes) -> str:
    """SHA-256 in digits."""
    return hashlib.sha256(data).hexdigest()


def line(letter: str, path: str, data: bytes = b"", more: str = "") -> str:
    """The line of an entry."""
    size, content = (len(data), digest(data)) if letter in "fs" else (0, "-")
    return f"{letter} {HEAD[letter]} 100000 1000 -1.500000001 {size} {content} data{path and '/'}{path}{more}"


def book(*lines: str) -> bytes:
    """A manifest or a delta from its lines."""
    text = "".join(f"{one}\n" for one in lines).encode()
    gone = sum(one.startswith("gone ") for one in lines)
    size = sum(int(one.split(" ")[5]) for one in lines[2:] if one[0] in "fs")
    counts = f"{len(lines) - 2 - gone} {gone} {size}" if "delta" in lines[0] else f"{len(lines) - 2} {size} 0"
    return gzip.compress(text + f"end {counts} {digest(text)}\n".encode())


def manifest(number: int, *lines: str) -> bytes:
    """A full manifest."""
    return book("backupctl-manifest 2 app.mirror", f"mirror {number:06} {OWNER} {FIRST}", *lines)


def delta(number: int, *lines: str) -> bytes:
    """A delta on manifest 1."""
    head = f"mirror 000001.{number:04} {OWNER} {SECOND} {VERSIONS}"
    return book("backupctl-delta 1 app.mirror", head, *lines)


def incoming(data: bytes, more: str = "") -> str:
    """The field of a content that came before its delta."""
    return f" in=incoming:{digest(data)[:32]}{more}"


OLD = {"changed": b"old", "gone": b"it goes", "kind": b"a file", "same": b"the same"}
NEW = {"changed": b"newer", "folder/new": b"brand new", "kind/file": b"in a folder", "same": b"the same"}
OLD_LINES = [line("d", ""), *(line("f", path, data) for path, data in OLD.items())]
DELTA_LINES = [
    line("f", "changed", NEW["changed"], incoming(NEW["changed"])),
    line("d", "folder"),
    line("f", "folder/new", NEW["folder/new"], incoming(NEW["folder/new"])),
    "gone data/gone",
    line("d", "kind"),
    line("f", "kind/file", NEW["kind/file"], incoming(NEW["kind/file"])),
]
COMING = [path for path in NEW if path != "same"]


def first_night() -> Remote:
    """A remote with one complete night."""
    remote = Remote()
    for path, data in OLD.items():
        remote.put(f"app/data/{path}", data)
    remote.put("app/mirror.manifest-000001.gz", manifest(1, *OLD_LINES))
    return remote


def transition() -> list:
    """The steps of a second night, each a function of the remote."""
    def upload(path):
        return lambda remote: remote.put(f"app/.incoming/{digest(NEW[path])[:32]}", NEW[path])

    def aside(path):
        return lambda remote: remote.move(f"app/data/{path}", f"app/.versions/{VERSIONS}/{path}")

    def come(path):
        return lambda remote: remote.move(f"app/.incoming/{digest(NEW[path])[:32]}", f"app/data/{path}")

    steps = [upload(path) for path in COMING]
    steps.append(lambda remote: remote.put("app/mirror.manifest-000001.0001.gz", delta(1, *DELTA_LINES)))
    steps += [aside("changed"), come("changed"), aside("kind"), come("kind/file"), come("folder/new"), aside("gone")]
    return steps


def read_all(remote: Remote) -> dict[str, bytes]:
    """The files of the last complete night."""
    mirror = Mirror(remote, "app")
    night = mirror.night()
    return {path.decode(): mirror.content(night, entry) for path, entry in night.entries.items() if entry.letter == "f"}


class Points(unittest.TestCase):
    """One remote for each point of a transition."""

    def test_each_point_is_one_of_two_nights(self):
        steps = transition()
        for point in range(len(steps) + 1):
            with self.subTest(point):
                remote = first_night()
                for step in steps[:point]:
                    step(remote)
                self.assertEqual(read_all(remote), NEW if point > len(COMING) else OLD)

    def test_a_delta_that_is_cut_off_counts_as_absent(self):
        remote = first_night()
        steps = transition()
        for step in steps[: len(COMING) + 1]:
            step(remote)
        whole = remote.files[b"app/mirror.manifest-000001.0001.gz"]
        for kept in (0, 1, len(whole) // 2, len(whole) - 9, len(whole) - 1):
            with self.subTest(kept):
                remote.put("app/mirror.manifest-000001.0001.gz", whole[:kept])
                self.assertEqual(read_all(remote), OLD)

    def test_a_new_full_manifest_is_not_taken_before_it_is_whole(self):
        remote = first_night()
        fresh = manifest(2, line("d", ""), line("f", "same", OLD["same"]))
        remote.put("app/mirror.manifest-000002.gz", fresh[:-20])
        self.assertEqual(read_all(remote), OLD)
        remote.put("app/mirror.manifest-000002.gz", fresh)
        self.assertEqual(read_all(remote), {"same": OLD["same"]})

    def test_content_of_a_former_delta_is_in_its_place(self):
        remote = first_night()
        for step in transition():
            step(remote)
        remote.put("app/mirror.manifest-000001.0002.gz", delta(2, line("d", "more")))
        # An upload of another night has the name of a former one.
        remote.put(f"app/.incoming/{digest(NEW['changed'])[:32]}", b"half")
        self.assertEqual(read_all(remote), NEW)

    def test_no_manifest_is_no_night(self):
        remote = Remote()
        remote.put("app/data/file", b"content")
        remote.put("app/mirror.manifest-1.gz", manifest(1, line("d", "")))
        remote.put("app/mirror.manifest-000001.0001.gz", delta(1))
        self.assertIsNone(Mirror(remote, "app").night())

    def test_an_extra_target_has_folders_of_its_own(self):
        remote = Remote()
        text = book("backupctl-manifest 2 extra-etc.mirror", f"mirror 000001 {OWNER} {FIRST}", line("d", ""), line("f", "hosts", b"here"))
        remote.put("extra/.manifests/etc.manifest-000001.gz", text)
        remote.put("extra/etc/hosts", b"here")
        mirror = Mirror(remote, "extra:etc")
        night = mirror.night()
        self.assertEqual(mirror.content(night, night.entries[b"hosts"]), b"here")


class Refused(unittest.TestCase):
    """Remotes that hold no whole night."""

    def damaged(self, remote: Remote, words: str):
        """Insists that it is refused, with these words."""
        with self.assertRaisesRegex(Damaged, words):
            read_all(remote)

    def after(self, *lines: str) -> Remote:
        """A remote with a delta of these lines."""
        remote = first_night()
        remote.put("app/mirror.manifest-000001.0001.gz", delta(1, *lines))
        return remote

    def test_a_content_that_is_missing_shorter_or_changed(self):
        remote = first_night()
        remote.put("app/data/same", b"the sane")
        self.damaged(remote, "another content")
        remote.put("app/data/same", b"the")
        self.damaged(remote, "3 bytes instead of 8")
        del remote.files[b"app/data/same"]
        self.damaged(remote, "is missing")

    def test_a_mixture_of_two_nights(self):
        remote = first_night()
        for step in transition()[:-6]:
            step(remote)
        # As `rclone sync` would have it: the successor in its place before the old one is aside.
        remote.put("app/data/same", b"of a third night")
        self.damaged(remote, "bytes instead of")

    def test_a_damaged_delta_with_another_behind_it(self):
        remote = self.after("gone data/gone")
        remote.put("app/mirror.manifest-000001.0002.gz", delta(2))
        remote.put("app/mirror.manifest-000001.0001.gz", b"nothing")
        self.damaged(remote, "is damaged, and delta 2 follows")

    def test_a_delta_of_another_manifest_or_subject(self):
        self.damaged(self.after("gone data/never"), "which is not there")
        remote = first_night()
        remote.put("app/mirror.manifest-000001.0001.gz", delta(2))
        self.damaged(remote, "the second line of delta 1")
        remote.put("app/mirror.manifest-000001.0001.gz", book("backupctl-delta 1 other.mirror", f"mirror 1 {OWNER}"))
        self.damaged(remote, "the first line")

    def test_entries_out_of_order_or_without_a_folder(self):
        self.damaged(self.after(line("d", "z"), line("d", "y")), "not in order")
        self.damaged(self.after(line("p", "nowhere/pipe")), "no folder around it")
        # A folder comes directly before its content, although '-' is below '/'.
        lines = [line("d", "a"), line("p", "a/b"), line("d", "a-")]
        self.assertEqual(read_all(self.after(*lines)), OLD)

    def test_a_small_file_that_names_another_manifest(self):
        remote = first_night()
        text = f"backupctl-mirror 1 app.mirror\nowner {OWNER}\nmanifest 000001.0000 {{}}\ncomplete {FIRST}\nwritten {FIRST}\n"
        remote.put("app/mirror.complete", text.format(digest(remote.files[b"app/mirror.manifest-000001.gz"])).encode())
        self.assertEqual(read_all(remote), OLD)
        remote.put("app/mirror.complete", text.format(digest(b"")).encode())
        self.damaged(remote, "another manifest")


class Composed(unittest.TestCase):
    """A night as a tree on the disk."""

    @unittest.skipUnless(os.geteuid() == 0, "owners need root")
    def test_every_kind_of_entry_comes_back(self):
        remote = Remote()
        holes = bytes(1 << 20) + b"end"
        bundled = io.BytesIO()
        with tarfile.open(fileobj=bundled, mode="w:gz") as bundle:
            member = tarfile.TarInfo("data/CON")
            member.size = 8
            bundle.addfile(member, io.BytesIO(b"reserved"))
        name = digest(bundled.getvalue())[:16]
        remote.put(f"app/mirror.bundle-{name}.tar.gz", bundled.getvalue())
        remote.put("app/data/holes", holes)
        lines = [
            line("d", "", more=" default=user::rwx,user:1234:r-x,group::r-x,mask::r-x,other::---"),
            line("f", "CON", b"reserved", f" in=bundle:{name}"),
            line("s", "holes", holes, r" xattr:user.a\x3d=b\x00\x20"),
            line("l", "link", more=r" to=no\x20where"),
            line("h", "name", more=" to=data/holes"),
            line("p", r"pipe\xff"),
        ]
        remote.put("app/mirror.manifest-000001.gz", manifest(1, *lines))
        mirror = Mirror(remote, "app")
        with tempfile.TemporaryDirectory() as scratch:
            top = Path(scratch) / "back"
            compose(mirror, mirror.night(), top)
            self.assertEqual((top / "CON").read_bytes(), b"reserved")
            stat = (top / "holes").stat()
            self.assertEqual((stat.st_mode & 0o7777, stat.st_uid, stat.st_gid), (0o640, 100000, 1000))
            self.assertEqual((stat.st_mtime_ns, stat.st_nlink), (-1_500_000_001, 2))
            self.assertLess(stat.st_blocks * 512, 1 << 20)
            self.assertEqual((top / "name").read_bytes(), holes)
            self.assertEqual(os.readlink(top / "link"), "no where")
            self.assertTrue(Path(os.fsdecode(os.fsencode(top) + b"/pipe\xff")).is_fifo())
            self.assertEqual(os.getxattr(top / "holes", "user.a="), b"b\0 ")


if __name__ == "__main__":
    unittest.main()
