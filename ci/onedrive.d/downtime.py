"""Seconds for which a backup keeps its service down: version 0.1 and this one, on ext4, btrfs and XFS, in one table.

Run by `ci/bench downtime`. The data lies on a loop device, the remote is the stand-in with a line of 20 MB/s and of 1 MB/s. Without
`--tpslimit` the gates have no limit of requests a second, so that the line alone is slow. Stop and start take no time of their own.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cases import RCLONE, VERSION
from client import Client
from gate import BINARIES, FOLDER, Gate, hide_systemd
from settings import Settings
from world import World

LATENCY_S = 0.05
FILES, FOLDERS, CHANGED = 5000, 100, 250
MB = 1_000_000
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "btrfs": ["mkfs.btrfs", "-q", "-f"], "xfs": ["mkfs.xfs", "-q", "-f"]}
SCRIPTS = {"stop": "rm -f {up}; echo stop $(date +%s.%N) >>{log}", "start": "touch {up}; echo start $(date +%s.%N) >>{log}"}
# In the order of the tutorial.
NIGHT, DAY = ("stop", "sync", "start"), ("stop", "sync", "archive", "start")


class Version:
    """One version of the gate, with its data on a loop device."""

    def __init__(self, name: str, binaries: Path, world: World, scratch: Path, disk: Path, tpslimit: int):
        self.name, self.control = name, Client(world.socket)
        place = scratch / name
        (place / "podman").mkdir(parents=True)
        subprocess.run(["mount", "--bind", disk, place / "podman"], check=True)
        self.log = place / "log"
        self.gate = Gate(place, world.config, RCLONE)
        self.gate.binaries = binaries
        for verb, text in SCRIPTS.items():
            script = place / "bin" / f"app-{verb}"
            script.write_text(f"#!/bin/sh\n{text.format(up=place / 'up' / 'app', log=self.log)}\n")
        self.gate.configure(tpslimit=tpslimit, tables='[lease]\nseconds = 80000\nkeeper = "process"')

    def fill(self, size: int):
        """Makes the data and puts it on the remote, as a former night left it."""
        dice = random.Random(1)
        data = self.gate.data()
        for number in range(FILES):
            file = data / f"{number % FOLDERS:02}/{number // FOLDERS:02}"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(dice.randbytes(size // FILES))
            os.utime(file, (0, 1_700_000_000 + number))
        self.control.write_folder(f"{FOLDER}/app/data", data)
        self.step("sync")

    def change(self, seed: int):
        """Changes one file in twenty."""
        dice = random.Random(seed)
        for number in dice.sample(range(FILES), CHANGED):
            file = self.gate.data() / f"{number % FOLDERS:02}/{number // FOLDERS:02}"
            file.write_bytes(dice.randbytes(file.stat().st_size))

    def step(self, verb: str):
        """One step, which has to be green."""
        with self.gate.spawn(self.gate.words(verb)) as gate:
            said, _ = gate.communicate()
        if gate.returncode:
            sys.exit(f"{self.name}: --{verb} ended with {gate.returncode}\n{said}")

    def measure(self, verbs: tuple[str, ...], seed: int) -> tuple[float, int, float]:
        """Seconds down, stops, and seconds in all of a backup after some changes."""
        self.change(seed)
        subprocess.run(["sync"], check=True)
        self.log.write_text("")
        began = time.monotonic()
        for verb in verbs:
            self.step(verb)
        took = time.monotonic() - began
        down, stops, since = 0.0, 0, None
        for verb, when in re.findall(r"(stop|start) ([\d.]+)", self.log.read_text()):
            if verb == "stop":
                since, stops = float(when), stops + 1
            elif since is not None:
                down, since = down + float(when) - since, None
        if since is not None:
            sys.exit(f"{self.name}: the service is still down after {verbs}")
        return down, stops, took


def parse() -> argparse.Namespace:
    """The options; `ci/bench --help` names the measurement."""
    parser = argparse.ArgumentParser(prog="ci/bench downtime")
    parser.add_argument("--quick", action="store_true", help="64 MiB in place of 1 GiB")
    parser.add_argument("--filesystem", action="append", choices=MAKE, help="one of ext4, btrfs, xfs; all by default")
    parser.add_argument("--speed", action="append", type=int, metavar="MB/S", help="20 and 1 by default")
    parser.add_argument("--tpslimit", type=int, default=0, help="requests a second of each gate; no limit by default")
    parser.add_argument("--no-archive", action="store_true", help="sync nights alone")
    parser.add_argument("old", type=Path, help="the folder of the gate of version 0.1")
    return parser.parse_args()


def disk(kind: str, scratch: Path) -> Path:
    """A new file system on a loop device."""
    place = scratch / "disk"
    place.mkdir(exist_ok=True)
    image = scratch / "image"
    with image.open("wb") as file:
        file.truncate(6 << 30)
    subprocess.run([*MAKE[kind], image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    return place


def one(kind: str, speed: int, name: str, binaries: Path, given: argparse.Namespace) -> dict[str, tuple[float, int, float]]:
    """All backups of one version on one file system over one line."""
    with tempfile.TemporaryDirectory(prefix="downtime-") as folder:
        scratch = Path(folder).resolve()
        place = disk(kind, scratch)
        try:
            with World(Settings(latency=LATENCY_S), remote="onedrive") as world:
                version = Version(name, binaries, world, scratch, place, given.tpslimit)
                version.fill((64 << 20) if given.quick else (1 << 30))
                Client(world.socket).settings(bandwidth=speed * MB)
                found = {"sync night": version.measure(NIGHT, 1)}
                if not given.no_archive:
                    found["archive day"] = version.measure(DAY, 2)
                return found
        finally:
            subprocess.run(["umount", "-l", scratch / name / "podman"], check=False)
            subprocess.run(["umount", "-l", place], check=False)


def main():
    """Prints one line for each file system, line and kind of backup."""
    given = parse()
    hide_systemd()
    said = [subprocess.run([where / "backupctl", "--version"], capture_output=True, text=True).stdout.strip() for where in (given.old, BINARIES)]
    size = "64 MiB" if given.quick else "1 GiB"
    print(f"{said[0]} and {said[1]}; rclone {'.'.join(map(str, VERSION))}; {size} in {FILES} files, {CHANGED} changed; {LATENCY_S * 1000:.0f} ms a request, tpslimit {given.tpslimit}")
    print(f"{'':22} {'down: 0.1':>12} {'now':>10} {'ratio':>7}   stops    whole backup: 0.1, now", flush=True)
    for kind in given.filesystem or MAKE:
        for speed in given.speed or (20, 1):
            old, now = (one(kind, speed, *version, given) for version in (("old", given.old), ("now", BINARIES)))
            for title, (before, old_stops, old_took) in old.items():
                after, new_stops, new_took = now[title]
                ratio = f"1:{before / after:.0f}" if after < before else f"{after / before:.1f}:1"
                what = f"{kind:5} {speed:2} MB/s {title}"
                print(f"{what:24}{before:9.1f} s {after:8.1f} s {ratio:>7}   {old_stops}, {new_stops}     {old_took:.0f} s, {new_took:.0f} s", flush=True)


if __name__ == "__main__":
    main()
