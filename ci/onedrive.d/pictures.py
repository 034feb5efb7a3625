"""Pictures of a tree: of a folder on the disk, and of a night on the remote, in one form that can be compared.

Invariant: two pictures are equal exactly when type, mode, owner, time, size, content, target and names of every entry are. `trees.py`
compares attributes and holes as well, and takes longer.
"""

import hashlib
import os
import stat
from pathlib import Path

from oracle import Mirror, Night

LETTERS = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}


def of_folder(top: Path) -> dict[bytes, tuple]:
    """The picture of a folder; sockets are in no copy."""
    root, picture, names = os.fsencode(top), {}, {}
    paths = [os.path.join(parent, name) for parent, folders, files in os.walk(root) for name in folders + files]
    for path in [root, *paths]:
        found = os.lstat(path)
        letter = LETTERS.get(stat.S_IFMT(found.st_mode))
        if letter is None:
            continue
        size, content = 0, b""
        if letter == "f":
            with open(path, "rb") as file:
                size, content = found.st_size, hashlib.sha256(file.read()).digest()
        elif letter == "l":
            content = os.readlink(path)
        name = os.path.relpath(path, root)
        mode = 0o777 if letter == "l" else stat.S_IMODE(found.st_mode)
        picture[name] = (letter, mode, found.st_uid, found.st_gid, found.st_mtime_ns, size, content)
        names.setdefault(found.st_ino if letter != "d" else name, []).append(name)
    return with_names(picture, names.values())


def of_night(mirror: Mirror, night: Night) -> dict[bytes, tuple]:
    """The picture of a night, with every content read and compared with its digest."""
    picture, names = {}, {}
    for entry in night.entries.values():
        first = night.entries[entry.target] if entry.letter == "h" else entry
        letter = "f" if first.letter == "s" else first.letter
        content = b""
        if letter == "f":
            content = hashlib.sha256(mirror.content(night, first)).digest()
        elif letter == "l":
            content = first.target
        name = entry.path or b"."
        mode = 0o777 if letter == "l" else first.mode
        picture[name] = (letter, mode, first.uid, first.gid, first.modified, first.size, content)
        names.setdefault(first.path, []).append(name)
    return with_names(picture, names.values())


def with_names(picture: dict[bytes, tuple], groups) -> dict[bytes, tuple]:
    """Adds all names of a file to each of them."""
    for group in groups:
        for name in group:
            picture[name] += (tuple(sorted(group)),)
    return picture


def differences(one: dict, other: dict, most: int = 5) -> str:
    """The first differences of two pictures."""
    paths = [path for path in sorted(one.keys() | other.keys()) if one.get(path) != other.get(path)]
    lines = [f"{path!r}: {one.get(path)} and {other.get(path)}" for path in paths[:most]]
    return "\n".join([*lines, f"{len(paths)} entries differ"]) if paths else ""
