"""Prints the cost of the gate's work on OneDrive: requests and seconds at 120 ms a request.

The gate keeps its own limit of ten requests a second, as on a new configuration.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from cases import RCLONE, VERSION
from client import Client
from gate import BINARIES, FOLDER, Gate, hide_systemd
from settings import Settings
from world import World

LATENCY_S = 0.12
SERVICES = [f"service{number}" for number in range(1, 7)]
FOLDERS, FILES, CHANGED, OLD = 21, 10, 30, 8
DOWN = re.compile(r'^result: (\{.*"kind":"downtime".*\})$', re.M)


class Figures:
    """One world, measured piece by piece."""

    def __init__(self, world: World, place: Path):
        self.control = Client(world.socket)
        self.gate = Gate(place, world.config, RCLONE, SERVICES)
        for name in SERVICES:
            paths = [f"{folder:02}/{file}" for folder in range(FOLDERS) for file in range(FILES)]
            self.gate.write({path: path.encode() for path in paths}, name)

    def measure(self, title: str, work) -> None:
        """Does some work and prints its cost. `work` returns the finished programs."""
        self.control.reset()
        done = work()
        for one in done:
            # The doctor misses the account that only a real host has.
            if one.returncode not in (0, 69 if "doctor" in title else 0):
                sys.exit(f"{title}: exit code {one.returncode}\n{one.stdout}{one.stderr}")
        figures = self.control.counters()
        down = [json.loads(line)["ms"] / 1000 for one in done for line in DOWN.findall(one.stdout)]
        text = f"{title:42} {figures['total']:5} requests  {sum(one.seconds for one in done):6.1f} s"
        print(text + (f", down {min(down):.1f} to {max(down):.1f} s each" if down else ""), flush=True)

    def night(self, services: list[str], steps=("stop", "sync", "start")) -> list[subprocess.CompletedProcess]:
        """The steps of some services, one after the other."""
        return [self.gate.step(verb, name) for name in services for verb in steps]

    def change(self, service: str):
        """Changes files in ten folders."""
        self.gate.write({f"{number % 10:02}/{number // 10}": os.urandom(20) for number in range(CHANGED)}, service)

    def add_old_archives(self, service: str):
        """Puts ten archives of a former month in place, with manifests. The newest of two weeks stay, eight are too many."""
        folder = f"{FOLDER}/{service}/archives"
        name = next(path for path in self.control.files(folder) if path.endswith(".tar.gz"))
        archive = self.control.read(name)
        manifest = gzip.decompress(self.control.read(name.replace(".tar.gz", ".manifest.gz")))
        today = Path(name).name.removesuffix(".tar.gz")
        month = (date.today().replace(day=1) - timedelta(days=62)).replace(day=1)
        for day in range(OLD + 2):
            old = f"{service}-{month + timedelta(days=day)}"
            self.control.write(f"{folder}/{old}.tar.gz", archive)
            self.control.write(f"{folder}/{old}.manifest.gz", gzip.compress(manifest.replace(today.encode(), old.encode(), 1)))

    def archives(self, service: str) -> int:
        """Number of a service's archives."""
        return sum(path.endswith(".tar.gz") for path in self.control.files(f"{FOLDER}/{service}/archives"))


def main():
    """Prints one line for each kind of work."""
    hide_systemd()
    version = subprocess.run([BINARIES / "backupctl", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}; rclone {'.'.join(map(str, VERSION))}; {LATENCY_S * 1000:.0f} ms a request; tpslimit 10")
    with tempfile.TemporaryDirectory(prefix="onedrive-figures-") as scratch:
        with World(Settings(latency=LATENCY_S), remote="onedrive") as world:
            figures = Figures(world, Path(scratch).resolve())
            one = SERVICES[0]
            first = f"first sync of {FOLDERS * FILES} files, {FOLDERS} folders"
            figures.measure(first, lambda: [figures.gate.step("sync", one)])
            for name in SERVICES[1:]:
                figures.gate.step("sync", name)
            figures.measure("a night of six services without changes", lambda: figures.night(SERVICES))
            figures.change(one)
            figures.measure(f"a night with {CHANGED} changed files in 10 folders", lambda: figures.night([one]))
            figures.measure("an archive, nothing to prune", lambda: [figures.gate.step("archive", one)])
            figures.measure("an archive of the same day again", lambda: [figures.gate.step("archive", one)])
            two = SERVICES[1]
            figures.gate.step("archive", two)
            figures.add_old_archives(two)
            figures.control.ask("DELETE", f"/file?path={FOLDER}/{two}/archives/{two}-{date.today()}.manifest.gz")
            figures.control.ask("DELETE", f"/file?path={FOLDER}/{two}/archives/{two}-{date.today()}.tar.gz")
            before = figures.archives(two)
            figures.measure(f"an archive that prunes {OLD} old ones", lambda: [figures.gate.step("archive", two)])
            print(f"{'':42} ({before} before, {figures.archives(two)} after)")
            figures.measure("--verify of an archive", lambda: [figures.gate.on_host("--verify", one)])
            archive = ("--restore", one, "--to", f"{scratch}/back")
            figures.measure("--restore of an archive", lambda: [figures.gate.on_host(*archive)])
            mirror = ("--restore", one, "--from", "mirror", "--to", f"{scratch}/mirror")
            figures.measure(f"--restore of a mirror, {FOLDERS * FILES} files", lambda: [figures.gate.on_host(*mirror)])
            figures.measure("--list", lambda: [figures.gate.on_host("--list")])
            figures.measure("--doctor", lambda: [figures.gate.on_host("--doctor")])


if __name__ == "__main__":
    main()
