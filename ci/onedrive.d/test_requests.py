"""The cost of the gate's work in requests, which does not depend on the machine, and faults of the one rclone that does it."""

import gzip
import os
import signal
import time
import unittest
from datetime import date, timedelta
from pathlib import Path

from cases import VERSION
from nights import FOLDER, OnHost

OLD = 8
LIMIT_S = 60


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


def wait_for(condition):
    """Waits until it holds; returns its value."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError("it never came about")


@unittest.skipIf(VERSION < (1, 68), "needs an rclone that answers on a socket")
class Requests(OnHost):
    """The number of requests."""

    def cost(self, work) -> dict:
        """The requests of some work."""
        self.control.reset()
        work()
        counted = self.control.counters()
        return {"all": counted["total"], **counted["requests"]}

    def add_old_archives(self):
        """Archives of a former month with manifests. The newest of two weeks stay, eight are too many."""
        folder = f"{FOLDER}/app/archives"
        (name,) = [name for name in self.archives() if name.endswith(".tar.gz")]
        archive = self.control.read(f"{folder}/{name}")
        manifest = gzip.decompress(self.control.read(f"{folder}/{name.replace('.tar.gz', '.manifest.gz')}"))
        month = (date.today().replace(day=1) - timedelta(days=62)).replace(day=1)
        for day in range(OLD + 2):
            old = f"app-{month + timedelta(days=day)}"
            said = manifest.replace(name.removesuffix(".tar.gz").encode(), old.encode(), 1)
            self.control.write(f"{folder}/{old}.tar.gz", archive)
            self.control.write(f"{folder}/{old}.manifest.gz", gzip.compress(said))

    def test_an_archive_takes_at_most_thirty_and_one_for_each_chunk(self):
        self.step("sync")
        cost = self.cost(lambda: self.step("archive"))
        self.assertLessEqual(cost["all"] - cost["chunk"], 30, cost)
        self.check_archives()
        again = self.cost(lambda: self.step("archive"))
        self.assertLessEqual(again["all"] - again["chunk"], 32, again)
        self.check_archives()

    def test_pruning_takes_three_for_each_file(self):
        self.step("archive")
        self.add_old_archives()
        alone = self.cost(lambda: self.step("archive"))
        # A look at a manifest that no archive has read yet: find it, ask for its address, download it.
        manifests = 3 * alone["content"]
        self.assertEqual(alone["content"], OLD + 2)
        self.assertEqual(len(self.archives()), 6)
        self.assertEqual(len(self.control.files(f"{FOLDER}/app/.pruned")), 2 * OLD)
        self.assertLessEqual(alone["all"] - manifests - 33, 3 * 2 * OLD + 4, alone)

    def test_reading_an_archive_takes_at_most_twelve(self):
        self.step("archive")
        for words in (("--verify", "app"), ("--restore", "app", "--to", str(self.gate.place / "back"))):
            cost = self.cost(lambda: self.on_host(*words))
            self.assertLessEqual(cost["all"], 12, cost)

    def tree(self, folders: int, files: int):
        """A tree with this number of folders, and of files in each."""
        self.gate.write({f"{folder:03}/{name:02}": b"%d.%d" % (folder, name) for folder in range(folders) for name in range(files)})

    def test_a_quiet_night_of_a_mirror_takes_at_most_ten(self):
        self.tree(30, 5)
        self.step("sync")
        cost = self.cost(lambda: self.step("sync"))
        self.assertLessEqual(cost["all"], 10, cost)

    def test_thirty_changed_files_in_ten_folders_take_at_most_280(self):
        self.tree(20, 5)
        self.step("sync")
        self.gate.write({f"{folder:03}/{name:02}": b"another content %d.%d" % (folder, name) for folder in range(10) for name in range(3)})
        cost = self.cost(lambda: self.step("sync"))
        # Two for each upload, three for each of two moves, two for each new folder of versions, one for all folders of the data.
        self.assertLessEqual(cost["all"], 280, cost)
        kept = self.control.files(f"{FOLDER}/app/.versions")
        self.assertEqual(len(kept), 30)
        self.assertEqual(self.control.read(f"{FOLDER}/app/data/003/01"), b"another content 3.1")
        self.assertEqual(self.cost(lambda: self.step("sync"))["all"] <= 10, True)

    def test_a_write_probe_takes_at_most_twenty_five(self):
        self.step("archive")
        self.assertLessEqual(self.cost(lambda: self.on_host("__facts", "probe", f"onedrive:{FOLDER}"))["all"], 25)


@unittest.skipIf(VERSION < (1, 68), "needs an rclone that answers on a socket")
class OneProcess(OnHost):
    """The process that does all of an archive's work."""

    def test_no_process_is_left_of_a_gate_that_is_killed(self):
        self.control.faults({"match": r"^(chunk|put) .*\.tar\.gz", "delay": 60})
        gate = self.gate.spawn(self.gate.words("archive"))
        wait_for(lambda: self.control.counters()["faults"][0]["seen"])
        self.assertEqual(len(processes("rcd", "--rc-no-auth")), 1)
        gate.send_signal(signal.SIGKILL)
        gate.wait()
        gate.stdout.close()
        wait_for(lambda: not processes("rcd", "--rc-no-auth"))

    def test_a_process_that_is_killed_is_started_again(self):
        self.control.faults({"match": r"^(chunk|put) .*\.tar\.gz", "delay": 8})
        gate = self.gate.spawn(self.gate.words("archive"))
        wait_for(lambda: self.control.counters()["faults"][0]["seen"])
        (rclone,) = processes("rcd", "--rc-no-auth")
        os.kill(rclone, signal.SIGKILL)
        said, _ = gate.communicate(timeout=LIMIT_S)
        self.assertEqual(gate.returncode, 0, said)
        self.check_archives()

    def test_nobody_else_can_connect(self):
        self.control.faults({"match": r"^(chunk|put) .*\.tar\.gz", "delay": 5})
        gate = self.gate.spawn(self.gate.words("archive"))
        wait_for(lambda: self.control.counters()["faults"][0]["seen"])
        (rclone,) = processes("rcd", "--rc-no-auth")
        # No TCP port, and of Unix sockets one whose name is gone.
        listening = Path(f"/proc/{rclone}/net/tcp").read_text().splitlines()[1:]
        inodes = {os.readlink(fd) for fd in Path(f"/proc/{rclone}/fd").iterdir()}
        self.assertFalse([line for line in listening if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in inodes])
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[6]}]" in inodes and len(fields) > 7:
                self.assertFalse(Path(fields[7]).exists(), line)
        said, _ = gate.communicate(timeout=LIMIT_S)
        self.assertEqual(gate.returncode, 0, said)


if __name__ == "__main__":
    unittest.main()
