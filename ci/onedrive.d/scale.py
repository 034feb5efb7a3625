"""Memory, seconds and requests of the gate with very many entries, beside rclone's memory.

Run by `ci/onedrive scale`. The tree lies on a file system of its own. The remote is a folder of the same disk, or the stand-in. The files
are put there at once, as a gate without manifests left them, unless `--sent` is given: to send a million files takes hours.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from cases import RCLONE, VERSION
from client import Client
from gate import BINARIES, FOLDER, Gate, hide_systemd
from settings import Settings
from world import World

IN_FOLDER = 199
CHANGED = 5
# Blocks of 1 KiB, for a million files of a few bytes and as many copies.
MAKE = ["mkfs.ext4", "-q", "-F", "-b", "1024", "-i", "1800"]
LIMITS = "[lease]\nseconds = 80000\nkeeper = \"process\"\n[limits]\nspool_reserve = 67108864"


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="ci/onedrive scale")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--in-folder", type=int, default=IN_FOLDER, help=f"files in each folder, {IN_FOLDER} by default")
    parser.add_argument("--empty", action="store_true", help="files without a content, for a disk in memory")
    parser.add_argument("--on", choices=("disk", "drive"), action="append", help="a folder of this host, or the stand-in; both by default")
    parser.add_argument("--sent", action="store_true", help="let the gate send the first copy")
    parser.add_argument("--latency", type=float, default=0, metavar="MS", help="milliseconds that each request takes")
    parser.add_argument("--tpslimit", type=int, default=0, help="the gate's limit of requests a second")
    parser.add_argument("--only", choices=("restore", "verify"), action="append", help="both by default, on the disk")
    parser.add_argument("--disk", type=Path, help="use this empty or former folder, and keep it")
    return parser.parse_args()


class Peaks(threading.Thread):
    """The highest memory of the processes of this namespace, looked at from outside until `stop`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.mib: Counter = Counter()
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.02):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
                except (OSError, ValueError):
                    continue
                if "VmHWM" not in status or words[0].endswith(("python3", "openssl")):
                    continue
                name = "rclone" if "rclone" in words[0] else f"gate {words[1]}" if words[1:2] and words[1].startswith("__") else "gate"
                self.mib[name] = max(self.mib[name], int(status["VmHWM"].split()[0]) / 1024)

    def stop(self) -> str:
        """The figures."""
        self.ended.set()
        self.join()
        return ", ".join(f"{name} {mib:.0f}" for name, mib in sorted(self.mib.items()))


class Scale:
    """One tree with one remote."""

    def __init__(self, given: argparse.Namespace, disk: Path, world: World, on: str):
        self.given, self.disk, self.control, self.on = given, disk, Client(world.socket), on
        place = disk / "host"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if on == "disk":
            folder = disk / "remote"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            world.config.write_text(f"[onedrive]\ntype = alias\nremote = {folder}\n")
        self.gate = Gate(place, world.config, RCLONE)
        keys = {"local_folders": [str(disk / "remote")]} if on == "disk" else {}
        self.gate.configure("", LIMITS, tpslimit=given.tpslimit, **keys)
        self.data = self.gate.data()
        tree = disk / f"tree-{given.files}-{given.in_folder}"
        if not tree.is_dir():
            make(tree, given.files, given.in_folder, b"" if given.empty else b"content %d\n")
        self.data.rmdir()
        tree.rename(self.data)
        self.tree = tree

    def __enter__(self) -> "Scale":
        return self

    def __exit__(self, *_):
        self.data.rename(self.tree)

    def seed(self):
        """Puts the files on the remote."""
        if self.on == "disk":
            folder = self.disk / "remote" / FOLDER[1:] / "app"
            folder.mkdir(parents=True)
            subprocess.run(["cp", "-a", self.data, folder], check=True)
            return
        self.control.write_folder(f"{FOLDER}/app/data", self.data)

    def change(self):
        """Changes some files, each in another folder."""
        folders = sorted(path for path in self.data.glob("*/*"))
        for folder in folders[:: max(1, len(folders) // CHANGED)][:CHANGED]:
            (folder / "file-000.txt").write_text(f"changed {time.time()}\n")

    def measure(self, title: str, *words: str, line: str = ""):
        """Runs the gate once, and prints its cost."""
        self.control.reset()
        peaks = Peaks()
        peaks.start()
        began = time.monotonic()
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"} | ({"SSH_ORIGINAL_COMMAND": line} if line else {})
        command = self.gate._command(*(words or ("--ssh-gate",)))
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        took, memory = time.monotonic() - began, peaks.stop()
        if done.returncode:
            print(f"{title}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}", flush=True)
            sys.exit(1)
        found = self.control.counters()
        traffic = f"; {found['total']} requests, {found['bytes_up']:,} bytes up, {found['bytes_down']:,} down" if self.on == "drive" else ""
        print(f"{self.on:5} {title:30} {took:7.1f} s; MiB: {memory}{traffic}", flush=True)

    def sync(self, title: str):
        """A sync."""
        self.measure(title, line=self.gate.words("sync"))

    def restore(self):
        """A restore, compared with the data."""
        back = self.disk / "back"
        shutil.rmtree(back, ignore_errors=True)
        self.measure("restore", "--restore", "app", "--from", "mirror", "--to", str(back))
        same = subprocess.run(["diff", "--recursive", "--no-dereference", "--brief", self.data, back], check=False)
        if same.returncode:
            sys.exit("the restored tree differs")
        shutil.rmtree(back)

    def work(self):
        """All measurements."""
        if not self.given.sent:
            self.seed()
            self.sync("a former mirror is adopted")
        else:
            self.sync("first sync")
        self.sync("a quiet night")
        self.change()
        self.sync(f"{CHANGED} changed files")
        self.sync("a quiet night")
        only = self.given.only or (("restore", "verify") if self.on == "disk" else ())
        if "verify" in only:
            self.measure("verify", "--verify", "app", "--from", "mirror")
        if "restore" in only:
            self.restore()


def make(top: Path, files: int, in_folder: int, content: bytes):
    """Many small files."""
    for number in range(files):
        folder = number // in_folder
        place = f"{top}/{folder // 100:02}/{folder % 100:02}"
        if number % in_folder == 0:
            os.makedirs(place)
        name = f"{place}/file-{number % in_folder:03}.txt"
        with open(name, "xb", buffering=0) as file:
            if content:
                file.write(content % number)
        os.utime(name, (0, 1_600_000_000 + number))


def main():
    """Prints one line for each piece of work."""
    given = parse()
    hide_systemd()
    version = subprocess.run([BINARIES / "backupctl", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}; rclone {'.'.join(map(str, VERSION))}; {given.files:,} files, {given.in_folder} in a folder; {given.latency:.0f} ms a request; tpslimit {given.tpslimit}", flush=True)
    with tempfile.TemporaryDirectory(prefix="onedrive-scale-") as folder:
        disk = given.disk and given.disk.resolve()
        if disk is None:
            image, disk = Path(folder) / "image", Path(folder).resolve() / "disk"
            with image.open("wb") as file:
                file.truncate(2_000_000_000 + given.files * 8000)
            subprocess.run([*MAKE, image], check=True)
            disk.mkdir()
            subprocess.run(["mount", "-o", "loop,noatime", image, disk], check=True)
        try:
            for on in given.on or ("disk", "drive"):
                with World(Settings(latency=given.latency / 1000), remote="onedrive") as world, Scale(given, disk, world, on) as scale:
                    scale.work()
        finally:
            if given.disk is None:
                subprocess.run(["umount", "-l", disk], check=False)


if __name__ == "__main__":
    main()
