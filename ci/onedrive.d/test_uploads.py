"""First uploads over several nights, and the time for which a service is down: it is up before the remote is asked."""

import json
import os
import re
import shutil
import unittest

from cases import RCLONE, VERSION
from gate import Gate
from mirrors import FOLDER, OnMirror, wait_for
from nights import MIB

NEW = unittest.skipIf(VERSION < (1, 68), "needs an rclone that answers on a socket")


class OnNights(OnMirror):
    """A service that is stopped before each sync, and started behind it, as the user's script does."""

    def stopped_sync(self, code: int | None = 0, more: str = "") -> str:
        """Stop, sync, start; returns all that the sync said."""
        self.step("stop")
        said = self.step("sync", code, more=more)
        synced = self.last
        self.step("start")
        self.last = synced
        return said

    def results(self, said: str, kind: str) -> list[dict]:
        """The result lines of a kind."""
        lines = [json.loads(line[8:]) for line in said.splitlines() if line.startswith("result: ")]
        return [line for line in lines if line["kind"] == kind]


@NEW
class Downtime(OnNights):
    """A stopped service starts before the remote is asked for anything, and the mirror is right all the same."""

    def setUp(self):
        super().setUp()
        self.gate.write({f"folder/{number}": os.urandom(2000) for number in range(20)})
        self.stopped_sync()
        self.check_mirror()

    def change(self, words: str):
        """A night's changes: a file of each kind of change."""
        self.gate.write({"folder/1": f"changed {words}".encode(), f"new {words}": os.urandom(1000)})
        (self.gate.data() / "folder/2").unlink(missing_ok=True)

    def test_a_service_is_up_before_the_first_request_of_a_night(self):
        for words in ("quiet", "changed"):
            with self.subTest(words):
                if words == "changed":
                    self.change(words)
                self.step("stop")
                self.control.reset()
                # The remote does not answer before the service is up.
                self.control.faults({"match": ".", "count": 0, "delay": 600})
                sync = self.gate.spawn(self.gate.words("sync"))
                wait_for(self.gate.is_up)
                self.assertEqual([line for line in self.control.get("/journal") if line[1]], [])
                self.control.faults()
                self.assertEqual(sync.wait(timeout=120), 0, sync.stdout.read())
                sync.stdout.close()
                self.step("start")
                self.check_mirror(words)

    def test_files_that_change_while_they_are_uploaded_are_copied_as_they_were(self):
        self.change("before")
        wanted = self.picture()
        self.step("stop")
        self.control.reset()
        self.control.faults({"match": ".", "count": 0, "delay": 600})
        sync = self.gate.spawn(self.gate.words("sync"))
        wait_for(self.gate.is_up)
        self.gate.write({"folder/1": b"changed by the service", "new before": b"", "later": b"later"})
        self.control.faults()
        self.assertEqual(sync.wait(timeout=120), 0, sync.stdout.read())
        sync.stdout.close()
        self.step("start")
        self.assert_same(wanted, self.picture_of_remote())
        self.stopped_sync()
        self.check_mirror("the next night")

    def test_a_mirror_that_another_board_wrote_is_compared_with_once_more_after_a_second_short_stop(self):
        place = self.scratch / "second"
        place.mkdir()
        mine, other = self.gate, Gate(place, self.world.config, RCLONE, self.services)
        self.gate = other
        self.configure()
        shutil.copytree(mine.data(), other.data(), dirs_exist_ok=True)
        other.write({"folder/3": b"of the other board"})
        self.stopped_sync()
        self.gate = mine
        self.change("mine")
        self.step("stop")
        said = self.step("sync")
        self.assertRegex(said, "stopping app once more")
        self.assertTrue(self.gate.is_up(), said)
        self.step("start")
        self.check_mirror("the first board")
        stored = {self.control.read(path) for path in self.control.files(f"{FOLDER}/app")}
        self.assertIn(b"of the other board", stored)

    def test_without_a_lease_the_work_is_left_to_the_next_night(self):
        self.change("mine")
        self.step("stop")
        for path in self.control.files(f"{FOLDER}/app"):
            if path.endswith("mirror.complete"):
                self.control.ask("DELETE", f"/file?path={path}")
        self.control.reset()
        self.control.faults({"match": ".", "count": 0, "delay": 600})
        sync = self.gate.spawn(self.gate.words("sync"))
        wait_for(self.gate.is_up)
        # The lease ends here.
        self.step("start")
        self.control.faults()
        said, _ = sync.communicate(timeout=120)
        self.assertEqual(sync.returncode, 69, said)
        self.assertIn("the next sync continues", said)
        self.stopped_sync()
        self.check_mirror("the next night")

    def test_a_transition_that_was_begun_is_finished_while_the_service_is_up(self):
        self.change("begun")
        self.control.faults({"match": r"^patch .*/\.incoming/", "nth": 1, "count": 0, "status": 403})
        self.stopped_sync(None)
        self.assertNotEqual(self.last.returncode, 0)
        self.control.faults()
        self.change("next")
        self.step("stop")
        self.control.reset()
        self.control.faults({"match": ".", "count": 0, "delay": 600})
        sync = self.gate.spawn(self.gate.words("sync"))
        wait_for(self.gate.is_up)
        self.control.faults()
        said, _ = sync.communicate(timeout=120)
        self.assertEqual(sync.returncode, 0, said)
        self.assertNotIn("once more", said)
        self.assertIn("finishing the transition", said)
        self.step("start")
        self.check_mirror("after the transition")


@NEW
class FirstUpload(OnNights):
    """A first upload that takes several nights."""

    files, size = 30, MIB

    def setUp(self):
        super().setUp()
        self.configure(tables="[mirror]\nfirst_upload_mib = 4")
        self.gate.write({f"folder/{number:02}": os.urandom(self.size) for number in range(self.files)})

    def sync_until(self, uploaded: int) -> str:
        """Stop and a sync whose client goes away once about this number of files is up; returns all that the sync said."""
        self.step("stop")
        self.control.reset()
        self.control.faults({"match": r"^(chunk|put) .*/data/", "nth": uploaded + 1, "count": 0, "delay": 600})
        sync = self.gate.spawn(self.gate.words("sync") + " --timeout 600")
        wait_for(self.gate.is_up)
        said = ""
        for line in sync.stdout:
            said += line
            progress = re.match(r"progress: .* ([0-9]+) of \S+ files", line)
            if progress and int(progress[1]) >= uploaded - 4:
                break
        self.assertTrue(self.gate.is_up(), "the service runs during the upload")
        sync.terminate()
        said += sync.communicate(timeout=120)[0]
        self.assertNotEqual(sync.returncode, 0, said)
        self.control.faults()
        self.step("start")
        return said

    def stored_data(self) -> dict[str, dict]:
        """The files of the mirror on the drive."""
        return self.control.files(f"{FOLDER}/app/data")

    def listed(self) -> dict:
        """The state of the mirror, as --list tells it."""
        found = json.loads(self.on_host("--list", "--json"))
        return found["remotes"][0]["services"]["app"]["mirror"]

    def test_it_goes_on_every_night_and_one_short_stop_completes_it(self):
        told = []
        for night in range(2):
            said = self.sync_until(8)
            told.append(said)
            [match] = re.findall(r"first upload: (\d+) % of \S+ \S+, about (\d+) nights? left; complete as of: never", said)
            self.assertEqual(self.results(said, "mirror")[-1]["complete_as_of"], None)
            with self.subTest(night):
                self.assertGreater(int(match[0]), 0)
                self.assertGreater(int(match[1]), 0)
        first, second = [self.results(said, "mirror")[-1]["percent"] for said in told]
        self.assertGreater(second, first)
        self.assertIsNone(self.picture_of_remote())
        listed = self.listed()
        self.assertEqual(listed["complete_as_of"], None)
        self.assertGreater(listed["first_upload"]["files"], 8)
        # Between the nights a file changes, one vanishes, one becomes a folder, and one is new.
        names = sorted(path.rsplit("/", 1)[1] for path in self.stored_data() if "/folder/" in path)
        folder = self.gate.data() / "folder"
        (folder / names[0]).write_bytes(b"changed between the nights")
        (folder / names[1]).unlink()
        (folder / names[2]).unlink()
        (folder / names[2]).mkdir()
        (folder / names[2] / "inner").write_bytes(b"inner")
        (folder / "new").write_bytes(b"new between the nights")
        # The rest goes up while the service runs.
        self.control.reset()
        said = self.stopped_sync(69)
        self.assertRegex(said, "one short stop")
        self.assertRegex(said, "omplete as of: never")
        self.assertIsNone(self.picture_of_remote())
        # One short stop: nothing large is sent again.
        self.control.reset()
        said = self.stopped_sync()
        self.assertLess(self.control.counters()["bytes_up"], self.size)
        self.check_mirror("complete")
        self.assertNotEqual(self.results(said, "mirror")[-1]["complete_as_of"], None)
        self.assertNotEqual(self.listed()["complete_as_of"], None)

    def test_files_that_are_up_are_not_sent_again(self):
        self.sync_until(8)
        up = set(self.stored_data())
        self.assertGreaterEqual(len(up), 4)
        self.control.reset()
        self.stopped_sync(69)
        again = {path for path in self.uploads() if "/data/folder/" in path} & {path.removeprefix(f"{FOLDER}/") for path in up}
        # Uploads that were at work when the night ended may be sent once more.
        self.assertLessEqual(len(again), 4, again)

    def test_a_file_that_changes_while_the_service_runs_is_right_in_the_end(self):
        self.step("stop")
        self.control.faults({"match": r"^(chunk|put) .*/data/", "nth": 5, "count": 1, "delay": 3})
        sync = self.gate.spawn(self.gate.words("sync"))
        wait_for(self.gate.is_up)
        wait_for(lambda: self.control.counters()["faults"][0]["hits"])
        self.gate.write({"folder/00": b"by the service", "folder/29": os.urandom(1000), "folder/late": b"late"})
        (self.gate.data() / "folder/15").unlink()
        said, _ = sync.communicate(timeout=240)
        self.assertEqual(sync.returncode, 69, said)
        self.step("start")
        self.stopped_sync()
        self.check_mirror("complete")

    def test_a_lost_state_between_the_nights_takes_over_the_files_that_are_up(self):
        self.sync_until(8)
        up = {path.removeprefix(f"{FOLDER}/") for path in self.stored_data()}
        shutil.rmtree(self.gate.place / "state/mirrors")
        self.control.reset()
        for _ in range(3):
            self.stopped_sync(None)
            if self.last.returncode == 0:
                break
        self.check_mirror("complete")
        sent = {path for path in self.uploads() if "/data/folder/" in path}
        self.assertLessEqual(len(sent & up), 4)

    def test_a_small_first_upload_is_made_in_one_night(self):
        shutil.rmtree(self.gate.data() / "folder")
        self.gate.write({"small": b"small"})
        self.stopped_sync()
        self.check_mirror("small")


if __name__ == "__main__":
    unittest.main()
