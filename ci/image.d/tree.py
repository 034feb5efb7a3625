"""A file system put together in memory: the same entries in any order of work make the same tar file."""

import io
import posixpath
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable


@dataclass
class Entry:
    """A folder, a file or a symbolic link."""

    kind: bytes
    mode: int
    owner: int = 0
    content: bytes = b""
    target: str = ""


class Tree:
    """Entries by their path, which begins with no slash and goes through no symbolic link."""

    def __init__(self):
        self.entries: dict[str, Entry] = {}

    def real(self, path: str) -> str:
        """The path with the links among its folders followed, as unpacking one package over another would."""
        done = ""
        for part in posixpath.normpath(path).strip("/").split("/"):
            parent = self.entries.get(done)
            if parent and parent.kind == tarfile.SYMTYPE:
                done = self.real(posixpath.join(posixpath.dirname(done), parent.target))
            done = posixpath.join(done, part)
        return done

    def folder(self, path: str, mode: int = 0o755, owner: int = 0):
        """Adds a folder, and those above it."""
        path = self.real(path)
        parent = posixpath.dirname(path)
        if parent and parent not in self.entries:
            self.folder(parent)
        if path not in self.entries:
            self.entries[path] = Entry(tarfile.DIRTYPE, mode, owner)

    def file(self, path: str, content: bytes, mode: int = 0o644):
        """Adds a file, or puts another content into it."""
        self._add(path, Entry(tarfile.REGTYPE, mode, content=content))

    def link(self, path: str, target: str):
        """Adds a symbolic link."""
        self._add(path, Entry(tarfile.SYMTYPE, 0o777, target=target))

    def _add(self, path: str, entry: Entry):
        path = self.real(path)
        self.folder(posixpath.dirname(path) or ".")
        self.entries[path] = entry

    def unpack(self, package: Path, wanted: Callable[[str], bool]):
        """Adds the files of a Debian package. The scripts of its maintainer are not run, so none may matter here."""
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, stdout=subprocess.PIPE).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                path = posixpath.normpath(member.name).lstrip("./")
                if not path or not wanted(path):
                    continue
                # No program in here has anybody's rights but its caller's.
                mode = member.mode & 0o1777
                if member.isdir():
                    self.folder(path, mode)
                elif member.issym():
                    self.link(path, member.linkname)
                elif member.isreg():
                    self.file(path, archive.extractfile(member).read(), mode)
                elif member.islnk():
                    # A second name becomes a second file; its content is stored once more, which is little.
                    first = self.entries[self.real(member.linkname)]
                    self.file(path, first.content, first.mode)
                else:
                    raise SystemExit(f"{package.name}: {path} is neither a file nor a folder nor a link")

    def remove(self, wanted: Callable[[str], bool]):
        """Takes out all entries but those that are wanted."""
        self.entries = {path: entry for path, entry in self.entries.items() if wanted(path)}

    def files(self):
        """Path and content of each file, in order."""
        for path, entry in sorted(self.entries.items()):
            if entry.kind == tarfile.REGTYPE:
                yield path, entry.content

    def write_tar(self, out: BinaryIO, epoch: int):
        """Writes a tar file: sorted, of the time `epoch`."""
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, entry in sorted(self.entries.items()):
                if path == ".":
                    continue
                member = tarfile.TarInfo(path)
                member.type, member.mode, member.linkname = entry.kind, entry.mode, entry.target
                member.uid = member.gid = entry.owner
                member.mtime, member.size = epoch, len(entry.content)
                archive.addfile(member, io.BytesIO(entry.content))

    def write_folder(self, folder: Path, wanted: Callable[[str], bool]):
        """Writes files and links into a folder."""
        for path, entry in sorted(self.entries.items()):
            if path == "." or not wanted(path):
                continue
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind == tarfile.DIRTYPE:
                place.mkdir(exist_ok=True)
            elif entry.kind == tarfile.SYMTYPE:
                place.symlink_to(entry.target)
            else:
                place.write_bytes(entry.content)
                place.chmod(entry.mode)
