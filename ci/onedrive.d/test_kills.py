"""Syncs that are cut off at any request: the mirror is one of two complete nights, and the next sync goes on where the former was.

`ci/onedrive kills` takes 20 points with a fixed seed, `ci/onedrive kills --long` takes 300. ONEDRIVE_SEED chooses other points.
"""

import os
import random
import signal
import unittest

import pictures
from cases import VERSION
from mirrors import FOLDER, Changing, DriveFolder, OnMirror, processes, wait_for

LONG = os.environ.get("ONEDRIVE_LONG") == "yes"
SEED = int(os.environ.get("ONEDRIVE_SEED", "17"))
POINTS = 300 if LONG else 20
PARTS = 20 if LONG else 5
# A gate whose line is cut tries until its deadline.
CUT_S = 8
VICTIMS = ("gate", "gate", "rclone", "line")


@unittest.skipIf(VERSION < (1, 68), "needs an rclone that answers on a socket")
class Points(OnMirror):
    """Points of a sync, in turns with whole nights."""

    parts = PARTS
    # A point in five waits for its lease; the others have a --start, as in the runner.
    lease_s = 25

    def setUp(self):
        super().setUp()
        self.part = int(os.environ.get("ONEDRIVE_PART", "0"))
        self.dice = random.Random(f"{SEED}-{self.part}")
        self.tree = Changing(self.gate.data(), self.dice.randrange(1 << 30))
        self.met = 0

    def cut_off(self, victim: str, nth: int, is_answered: bool):
        """A sync that ends at its request number `nth`. The stand-in carries that request out, or does not; it sees no later one."""
        self.control.reset()
        lost = {"match": "", "nth": nth, "drop": "answer"}
        gone = {"match": "", "nth": nth + is_answered, "count": 0, "drop": "at-once"}
        self.control.faults(*([lost] if is_answered else []), gone)
        line = self.gate.words("sync") + (f" --timeout {CUT_S}" if victim == "line" else "")
        gate = self.gate.spawn(line)
        hit = lambda: any(fault["hits"] for fault in self.control.counters()["faults"])  # noqa: E731
        wait_for(lambda: gate.poll() is not None or hit())
        if hit():
            self.met += 1
            if victim == "gate":
                gate.send_signal(signal.SIGKILL)
            elif victim == "rclone":
                for process in processes("rcd", "--rc-no-auth"):
                    os.kill(process, signal.SIGKILL)
        if victim == "rclone":
            self.control.faults()
        said, _ = gate.communicate(timeout=120)
        wait_for(lambda: not processes("rcd", "--rc-no-auth"))
        self.control.faults()
        return gate.returncode, said

    def one_of(self, before: dict | None, after: dict, words: str) -> bool:
        """The mirror is one of two nights, by the second reader and by the gate's restore; True if it is the new one."""
        found = self.picture_of_remote()
        if found is None:
            self.assertIsNone(before, f"the former night is gone; {words}")
            return False
        is_new = not pictures.differences(after, found)
        if not is_new:
            self.assertIsNotNone(before, words)
            self.assert_same(before, found, f"neither of two nights; {words}")
        self.assert_same(found, self.picture(self.restored()), f"--restore and the second reader; {words}")
        return is_new

    def back_up(self, waits: bool, words: str):
        """The service is up again: by --start, or by its lease."""
        if not waits:
            self.step("start")
        wait_for(self.gate.is_up, limit=3 * self.lease_s)
        self.assertTrue(self.gate.is_up(), words)

    def next_sync(self, words: str):
        """The next sync is green, and sends no content again that is in the incoming folder whole."""
        present = {path.decode() for path in DriveFolder(self.control).paths if path.startswith(b"app/.incoming/")}
        self.control.reset()
        said = self.step("sync", None)
        self.assertEqual(self.last.returncode, 0, f"{words}\n{said}")
        self.assertEqual([path for path in self.uploads() if path in present], [], f"sent twice; {words}")
        self.check_mirror(words)

    def contents(self) -> set[str]:
        """The hashes of all files below data, versions and incoming."""
        return {item["quickxor"] for path, item in self.control.files().items() if "/mirror." not in path}

    def point(self, number: int, before: dict | None, requests: int) -> int:
        """One point: the changes of a day, a sync that is cut off, the checks, and the next sync. Returns its requests."""
        victim, nth = self.dice.choice(VICTIMS), self.dice.randrange(1, requests * 2 // 3)
        is_answered, waits = self.dice.random() < 0.5, self.dice.random() < 0.2
        words = f"point {number} of part {self.part}, seed {SEED}: {victim} at request {nth} of {requests}, answered: {is_answered}"
        if before is not None:
            self.tree.night()
        after, held = self.picture(), self.contents()
        if waits:
            self.step("stop")
        _, said = self.cut_off(victim, nth, is_answered)
        words = f"{words}\n{said}"
        self.back_up(waits, words)
        self.one_of(before, after, words)
        self.assertEqual(held - self.contents(), set(), f"a content is lost; {words}")
        self.next_sync(words)
        return self.control.counters()["total"]

    def test_each_point_gives_one_of_two_nights(self):
        self.point(0, None, 60)
        before = self.picture()
        # The number of requests of a sync without a fault.
        self.tree.night()
        self.control.reset()
        self.step("sync")
        requests = self.control.counters()["total"]
        self.check_mirror("after a whole night")
        before = self.picture()
        for number in range(1, POINTS // PARTS + 1):
            self.point(number, before, requests)
            before = self.picture()
        print(f"part {self.part}: {POINTS // PARTS + 1} points, {self.met} of them were reached; {requests} requests a night")
        self.assertGreaterEqual(self.met, POINTS // PARTS // 2)


def contents(picture: dict) -> dict:
    """The contents of all files in a picture: all that a mirror of former days holds."""
    return {path: (seen[5], seen[6]) for path, seen in picture.items() if seen[0] == "f"}


class Adoption(Points):
    """The first sync of this gate over a mirror that a former one made, cut off."""

    parts = 4 if LONG else 1

    def test_each_point_gives_one_of_two_nights(self):
        requests = 120
        for number in range(25 if LONG else 2):
            with self.subTest(number):
                self.open_world(**self.settings)
                self.tree = Changing(self.gate.data(), self.dice.randrange(1 << 30))
                self.control.write_folder(f"{FOLDER}/app/data", self.gate.data())
                for link in self.tree.entries("link"):
                    path = f"{FOLDER}/app/data/{link.relative_to(self.gate.data())}.rclonelink"
                    self.control.write(path, os.readlink(link).encode())
                requests = self.adopt(number, requests)

    def adopt(self, number: int, requests: int) -> int:
        """One point. Of the former night only contents are known."""
        before, held = contents(self.picture()), self.contents()
        self.tree.night()
        victim, nth, is_answered = self.dice.choice(VICTIMS), self.dice.randrange(1, requests + 1), self.dice.random() < 0.5
        words = f"adoption {number}, seed {SEED}: {victim} at request {nth} of {requests}, answered: {is_answered}"
        _, said = self.cut_off(victim, nth, is_answered)
        words = f"{words}\n{said}"
        found = contents(self.picture(self.restored()))
        if pictures.differences(contents(self.picture()), found):
            self.assert_same(before, found, f"neither of two nights; {words}")
        self.assertEqual(held - self.contents(), set(), f"a content is lost; {words}")
        self.next_sync(words)
        return max(self.control.counters()["total"], 40)


if __name__ == "__main__":
    unittest.main()
