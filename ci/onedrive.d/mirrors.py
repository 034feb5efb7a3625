"""Tests of mirrors: the state of the remote as the second reader sees it, and a tree that changes by a seed."""

import os
import random
import shutil
import time
from pathlib import Path

import pictures
from nights import FOLDER, OnHost
from oracle import LocalFolder, Mirror

LIMIT_S = 120
# A lease that a test can wait for, and no limits: a small tree changes by half in a day.
TABLES = "[lease]\nseconds = {}\nkeeper = \"process\"\n[limits]\nfew_files = 1000\nmin_left_percent = 0"


def processes(*words: str) -> list[int]:
    """The processes whose command line has all these words."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (OSError, ValueError):
            continue
        if folder.name.isdigit() and all(word in line for word in words):
            found.append(int(folder.name))
    return found


def wait_for(condition, limit: float = LIMIT_S):
    """Waits until it holds; returns its value."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError("it never came about")


class DriveFolder:
    """The remote's folder on the stand-in, as a store of the second reader. Names that rclone encodes look encoded here."""

    def __init__(self, control):
        self.control = control
        self.sizes = {path[len(FOLDER) + 1 :].encode(): item["size"] for path, item in control.files().items()}
        self.paths = set(self.sizes)

    def read(self, path: bytes) -> bytes:
        """The content of a file."""
        return self.control.read(f"{FOLDER}/{path.decode()}")


class OnMirror(OnHost):
    """A service with a mirror."""

    lease_s = 600
    keys = {"tpslimit": 0, "wait_while_down": 5}

    def open_world(self, **settings):
        super().open_world(**settings)
        self.configure()

    def configure(self, top: str = "", tables: str = "", **keys):
        """Writes the configuration with a short lease and without limits."""
        self.gate.configure(top, f"{TABLES.format(self.lease_s)}\n{tables}", **{**self.keys, **keys})

    def night_of(self, subject: str = "app", store=None) -> tuple[Mirror, object]:
        """The last complete night by the second reader."""
        mirror = Mirror(store or DriveFolder(self.control), subject)
        return mirror, mirror.night()

    def picture_of_remote(self, subject: str = "app", store=None) -> dict | None:
        """The picture of the last complete night, or None when there is none."""
        mirror, night = self.night_of(subject, store)
        return night and pictures.of_night(mirror, night)

    def picture(self, folder: Path | None = None) -> dict:
        """The picture of a folder: of the service's data by default."""
        return pictures.of_folder(folder or self.gate.data())

    def restored(self, code: int = 0) -> Path:
        """A folder with the mirror, as the gate restores it."""
        target = self.gate.place / "back"
        shutil.rmtree(target, ignore_errors=True)
        self.on_host("--restore", "app", "--from", "mirror", "--to", str(target), "--keep-privileges", code=code)
        return target

    def assert_same(self, one: dict, other: dict | None, words: str = ""):
        """Insists that two pictures are equal."""
        self.assertIsNotNone(other, f"there is no complete night; {words}")
        if found := pictures.differences(one, other):
            self.fail(f"{found}\n{words}")

    def check_mirror(self, words: str = ""):
        """The second reader, the gate's restore and the plain files of the mirror all give the service's data."""
        now = self.picture()
        self.assert_same(now, self.picture_of_remote(), f"second reader; {words}")
        self.assert_same(now, self.picture(self.restored()), f"--restore; {words}")
        incoming = {path for path in DriveFolder(self.control).paths if path.startswith(b"app/.incoming/")}
        self.assertEqual(incoming, set(), f"contents were left behind; {words}")

    def copied(self, target: str) -> LocalFolder:
        """A copy of the remote's folder by rclone, with the names as they are."""
        place = self.scratch / "copied"
        shutil.rmtree(place, ignore_errors=True)
        self.rclone("copy", "--no-unicode-normalization", target, place)
        return LocalFolder(place)

    def uploads(self) -> list[str]:
        """The paths of all files whose content was sent since the counters began anew."""
        lines = [line.split(" ") for _, status, line in self.control.get("/journal") if status in (200, 201)]
        paths = [" ".join(words[3:]) for words in lines if words[0] in ("chunk", "put")]
        return [path.removeprefix(f"{FOLDER}/") for path in paths]


class Changing:
    """A tree that changes by a seed. Times are those of the changes, so every change shows."""

    def __init__(self, top: Path, seed: int, files: int = 40):
        self.top, self.random = top, random.Random(seed)
        for _ in range(files):
            self.add()
        (top / "empty").mkdir()

    def entries(self, *kinds: str) -> list[Path]:
        """The entries of these kinds, in a fixed order."""
        is_kind = {"file": lambda p: p.is_file() and not p.is_symlink(), "folder": lambda p: p.is_dir() and not p.is_symlink()}
        is_kind["link"] = Path.is_symlink
        return sorted(path for path in self.top.rglob("*") if any(is_kind[kind](path) for kind in kinds))

    def name(self) -> str:
        """A name that is not there yet, in one case of letters."""
        return f"n{self.random.randrange(10**9):09}"

    def folder(self) -> Path:
        """A folder of the tree, sometimes a new one."""
        folders = [self.top, *self.entries("folder")]
        chosen = self.random.choice(folders)
        if len(folders) < 9 or self.random.random() < 0.1:
            chosen = chosen / self.name()
            chosen.mkdir()
        return chosen

    def write(self, place: Path):
        """Writes a file anew."""
        place.write_bytes(self.random.randbytes(self.random.choice((0, 1, 300, 5000, 60_000))))

    def add(self):
        """A new file, link, folder, pipe, second name or second file of a content."""
        place = self.folder() / self.name()
        files = self.entries("file")
        match self.random.randrange(10) if files else 9:
            case 0:
                place.symlink_to(self.name())
            case 1:
                place.mkdir()
            case 2:
                os.link(self.random.choice(files), place)
            case 3:
                place.write_bytes(self.random.choice(files).read_bytes())
            case 4:
                os.mkfifo(place)
            case _:
                self.write(place)

    def change(self):
        """A file with another content."""
        self.write(self.random.choice(self.entries("file")))

    def delete(self):
        """An entry less."""
        path = self.random.choice(self.entries("file", "link"))
        path.unlink()

    def rename(self):
        """A file or a folder in another place."""
        path = self.random.choice(self.entries("file", "folder"))
        path.rename(path.parent / self.name())

    def rename_by_case(self):
        """The same name in the other case of letters."""
        path = self.random.choice(self.entries("file"))
        path.rename(path.parent / path.name.swapcase())

    def retype(self):
        """A folder, file or link in the place of another kind of entry."""
        path = self.random.choice(self.entries("file", "link"))
        path.unlink()
        match self.random.randrange(3):
            case 0:
                path.symlink_to("elsewhere")
            case 1:
                path.mkdir()
                self.write(path / self.name())
            case 2:
                self.write(path)
        folders = [folder for folder in self.entries("folder") if len(list(folder.rglob("*"))) < 4]
        if folders and self.random.random() < 0.5:
            folder = self.random.choice(folders)
            shutil.rmtree(folder)
            self.write(folder)

    def touch(self):
        """An entry with another mode, owner or time."""
        path = self.random.choice(self.entries("file", "folder"))
        match self.random.randrange(3):
            case 0:
                path.chmod(self.random.choice((0o600, 0o640, 0o755, 0o700)))
            case 1:
                os.chown(path, 100_000 + self.random.randrange(9), self.random.randrange(9))
            case 2:
                os.utime(path, ns=(0, self.random.randrange(2 * 10**18)))

    def night(self):
        """The changes of a day."""
        changes = [self.add] * 4 + [self.change] * 4 + [self.delete] * 2 + [self.rename, self.retype, self.touch, self.rename_by_case]
        self.random.shuffle(changes)
        for change in changes:
            change()


__all__ = ["FOLDER", "Changing", "DriveFolder", "OnMirror", "processes", "wait_for"]
