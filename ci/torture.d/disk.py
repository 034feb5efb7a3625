"""A disk for one case: an image with a file system, below it a server that logs writes and flushes; and its replay.

Invariant of a replay: a write that was logged before a later flush is kept; one after the last flush is kept, lost, or
kept in part, in units of 4 KiB. Writes are applied in the order of the log.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from disk_server import RECORD, Faults
from violation import Violation

BLOCK = 4096
# Sizes: the least that each mkfs takes, and some room.
KINDS = {"ext4": 96 << 20, "xfs": 300 << 20, "btrfs": 160 << 20}
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-K"],
}
EXAMINE = {
    "ext4": ["e2fsck", "-f", "-n"],
    "xfs": ["xfs_repair", "-n"],
    "btrfs": ["btrfs", "check", "--readonly"],
}


def available() -> bool:
    """Reports if this machine lets a test mount a disk of its own; a container often does not."""
    try:
        for device in ("/dev/fuse", "/dev/loop-control"):
            os.close(os.open(device, os.O_RDWR))
    except OSError as error:
        print(f"  skipped, no disk of one's own: {error}", flush=True)
        return False
    return True


def run(*words, check: bool = True) -> subprocess.CompletedProcess:
    """A tool of the system."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, errors="replace")
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def copy(source: Path, target: Path):
    """Copies an image without its holes."""
    run("cp", "--sparse=always", source, target)


class Mounted:
    """An image that is attached to a loop device and mounted."""

    def __init__(self, image: Path, point: Path, kind: str):
        self.point = point
        self.kind = kind
        point.mkdir(exist_ok=True)
        self.loop = run("losetup", "--find", "--show", image).stdout.strip()
        try:
            done = run("mount", "-t", kind, "-o", "nodiscard", self.loop, point, check=False)
            if done.returncode:
                raise Violation(f"the {kind} file system does not mount: {done.stderr}")
        except BaseException:
            run("losetup", "-d", self.loop, check=False)
            raise

    def close(self):
        """Unmounts it and lets the device go; once."""
        if self.loop is None:
            return
        loop, self.loop = self.loop, None
        for _ in range(100):
            if run("umount", self.point, check=False).returncode == 0:
                break
            time.sleep(0.05)
        run("losetup", "-d", loop, check=False)
        if self.kind == "btrfs":
            # Images of one file system bear one number, and the kernel remembers the newest device.
            for _ in range(100):
                if not Path(f"/sys/block/{Path(loop).name}/loop/backing_file").exists():
                    break
                time.sleep(0.02)
            run("btrfs", "device", "scan", "--forget", check=False)


class Disk:
    """A disk that logs."""

    def __init__(self, folder: Path, kind: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.kind = kind
        self.base = folder / "base"
        self.image = folder / "image"
        self.log = folder / "log"
        self.faults = Faults(folder / "control")
        self.file = folder / "file"
        made = folder / "made"
        with made.open("wb") as file:
            file.truncate(KINDS[kind])
        run(*MAKE[kind], made)
        copy(made, self.base)
        made.unlink()
        copy(self.base, self.image)
        self.file.touch()
        self.log.touch()
        words = [self.file, self.image, self.log, folder / "control"]
        server = Path(__file__).with_name("disk_server.py")
        self.server = subprocess.Popen([sys.executable, "-B", server, *words], stdout=subprocess.PIPE)
        if self.server.stdout.readline() != b"ready\n":
            raise RuntimeError("the disk's server does not start; it needs /dev/fuse")
        self.mounted: Mounted | None = None

    def position(self) -> int:
        """The length of the log."""
        return self.log.stat().st_size

    def mount(self, point: Path):
        """Mounts the file system."""
        self.mounted = Mounted(self.file, point, self.kind)

    def unmount(self):
        """Unmounts the file system."""
        if self.mounted:
            self.mounted.close()
            self.mounted = None

    def close(self):
        """Unmounts everything and ends the server."""
        self.faults.set()
        self.unmount()
        for _ in range(100):
            if run("umount", self.file, check=False).returncode == 0:
                break
            time.sleep(0.05)
        try:
            self.server.wait(5)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()


@dataclass(frozen=True)
class Record:
    """One record of the log; `end` is the length of the log after it."""

    kind: bytes
    offset: int
    length: int
    data: int
    end: int


def records(log: Path) -> list[Record]:
    """All records, without their data."""
    found = []
    size = log.stat().st_size
    with log.open("rb") as file:
        at = 0
        while at + RECORD.size <= size:
            file.seek(at)
            kind, offset, length = RECORD.unpack(file.read(RECORD.size))
            end = at + RECORD.size + (length if kind == b"W" else 0)
            if end > size:
                break
            found.append(Record(kind, offset, length, at + RECORD.size, end))
            at = end
    return found


class Replay:
    """Images of a disk as power cuts leave them, for cuts in growing order."""

    def __init__(self, disk: Disk, stable: Path):
        self.log = disk.log
        self.records = records(disk.log)
        self.stable = stable
        copy(disk.base, stable)
        # Writes before this record are on the stable image.
        self.applied = 0

    def cut(self, number: int, rng: random.Random, target: Path) -> int:
        """Writes the image of a cut after `number` records; returns the length of the log then."""
        border = max((i for i in range(self.applied, number) if self.records[i].kind == b"F"), default=self.applied)
        with self.log.open("rb") as log:
            with self.stable.open("r+b") as image:
                for record in self.records[self.applied : border]:
                    self._apply(record, log, image, None, 1)
            self.applied = border
            shutil.rmtree(target, ignore_errors=True)
            copy(self.stable, target)
            kept = rng.choice([0, 0.2, 0.5, 0.8, 1])
            with target.open("r+b") as image:
                for record in self.records[border:number]:
                    self._apply(record, log, image, rng, kept)
                # The write that goes on at the moment of the cut.
                if number < len(self.records):
                    self._apply(self.records[number], log, image, rng, rng.choice([0, 0.5]))
        return self.records[number - 1].end if number else 0

    @staticmethod
    def _apply(record: Record, log, image, rng: random.Random | None, kept: float):
        if record.kind != b"W":
            return
        log.seek(record.data)
        data = log.read(record.length)
        for start in range(0, record.length, BLOCK if kept < 1 else max(record.length, 1)):
            if kept < 1 and rng.random() >= kept:
                continue
            image.seek(record.offset + start)
            image.write(data[start : start + BLOCK] if kept < 1 else data)
