"""Mirrors of the real gate: nasty trees on each kind of remote, requests, and things that happen to a host and to a remote."""

import json
import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path

import nasty
import oracle
import pictures
import test_oracle as made
import trees
from cases import KEEPS_TOKEN, RCLONE, VERSION
from gate import Gate
from mirrors import FOLDER, DriveFolder, OnMirror
from nights import MIB
from oracle import Mirror

LONG = os.environ.get("ONEDRIVE_LONG") == "yes"
ONE_PROCESS = VERSION >= (1, 68)
NEW = unittest.skipUnless(ONE_PROCESS, "needs an rclone that answers on a socket")
QUIET = 10


@NEW
class Nasty(OnMirror):
    """A tree of nasty names and types."""

    account = "personal"

    def setUp(self):
        self.settings = {"account": self.account, "refuse_bearer": KEEPS_TOKEN}
        super().setUp()
        shutil.rmtree(self.gate.data())
        nasty.make(self.gate.data())
        self.prepare()

    def prepare(self):
        """Puts another remote in the place of OneDrive."""

    def check(self):
        """The second reader and the gate compose the tree, to the last attribute."""
        wanted = trees.describe(self.gate.data())
        mirror = Mirror(self.copied(self.gate.target), "app")
        composed = self.scratch / "composed"
        shutil.rmtree(composed, ignore_errors=True)
        oracle.compose(mirror, mirror.night(), composed)
        self.assertEqual(trees.differences(wanted, trees.describe(composed)), [], "second reader")
        self.assertEqual(trees.differences(wanted, trees.describe(self.restored())), [], "--restore")

    def test_it_comes_back_as_it_was_and_so_it_does_when_it_changed(self):
        self.step("stop")
        said = self.step("sync")
        self.step("start")
        self.check_output(said)
        self.check()
        names = self.gate.data() / "names"
        (names / "CON").unlink()
        (names / "NUL").write_bytes(b"changed in the bundle")
        (names / "case").rename(names / "cAse")
        (names / "line\nfeed").write_bytes(b"changed beside it")
        os.unlink(os.fsencode(names) + b"/caf\xe9")
        (self.gate.data() / "links/dangling").unlink()
        self.step("sync")
        self.check()
        self.control.reset()
        self.step("sync")
        # An older rclone is a new process for each request, and looks the folders up again.
        self.assertLessEqual(self.control.counters()["total"], QUIET if ONE_PROCESS else 2 * QUIET)

    def check_output(self, said: str):
        """The number of bundled entries is told, with at most ten names."""
        results = [json.loads(line[8:]) for line in said.splitlines() if line.startswith("result: ")]
        bundled = [result["bundled"] for result in results if result["kind"] == "mirror"]
        self.assertGreaterEqual(bundled[0], len(nasty.RESERVED) + len(nasty.OUTSIDE_UNICODE) + 1, said)


class NastyWithSha1(Nasty):
    """An account of the years before 2023."""

    account = "personal-sha1"


class NastyBusiness(Nasty):
    """SharePoint, with Office files that grow on arrival."""

    account = "business"


class NastyEncrypted(Nasty):
    """A crypt remote with encrypted names, also with Debian's rclone where OneDrive still takes its transfers."""

    __unittest_skip__ = False

    def prepare(self):
        password = self.rclone("obscure", "a password").out.strip()
        with self.world.config.open("a") as config:
            config.write(f"[secret]\ntype = crypt\nremote = onedrive:/Secret\npassword = {password}\n")
        self.gate.target = f"secret:{FOLDER}"
        self.configure()


class NastyOnDisk(Nasty):
    """A folder of this host."""

    def prepare(self):
        disk = self.scratch / "disk"
        disk.mkdir(mode=0o700)
        self.world.config.write_text(f"[onedrive]\ntype = alias\nremote = {disk}\n")
        self.configure(local_folders=[str(disk)])

    def check_output(self, said: str):
        """A disk takes reserved names."""


class ManyFiles(OnMirror):
    """A mirror of many files in many folders, which was made before the gate had manifests."""

    files, folders = 10_000, 210

    def fill(self):
        """Makes the files, and puts them on the drive with their times, as a former version of the gate did."""
        data = self.gate.data()
        for number in range(self.files):
            file = data / f"{number % self.folders:06}/{number // self.folders}"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{number}")
            os.utime(file, (0, 1_600_000_000 + number))
        self.control.write_folder(f"{FOLDER}/app/data", data)

    def check_manifest(self):
        """Sizes, times and digests of the last night are those of the data. The contents would take minutes."""
        _, night = self.night_of()
        wanted = {name: (seen[5], seen[4], seen[6]) for name, seen in self.picture().items() if seen[0] == "f"}
        files = {path: entry for path, entry in night.entries.items() if entry.letter == "f"}
        digests = {path: wanted[path][2] if entry.digest == "-" else bytes.fromhex(entry.digest) for path, entry in files.items()}
        found = {path: (entry.size, entry.modified, digests[path]) for path, entry in files.items()}
        self.assertEqual(pictures.differences(wanted, found), "")

    def cost(self) -> int:
        """The requests of a sync."""
        self.control.reset()
        self.step("sync")
        return self.control.counters()["total"]


@NEW
class ManyRequests(ManyFiles):
    """The requests of nights."""

    def test_a_former_mirror_is_adopted_and_quiet_nights_take_few_requests(self):
        self.fill()
        self.control.reset()
        self.step("sync")
        self.assertEqual([path for path in self.uploads() if "/data/" in path or "/.incoming/" in path], [])
        self.check_manifest()
        quiet = self.cost()
        kinds = self.control.counters()["requests"]
        for number in range(30):
            (self.gate.data() / f"{number % 10:06}/{number // 10}").write_text(f"changed {number}")
        changed = self.cost()
        self.check_manifest()
        print(f"{self.files} files in {self.folders + 1} folders: {quiet} requests a quiet night {kinds}, {changed} with 30 changed files")
        self.assertLessEqual(quiet, QUIET)
        # rclone makes two requests for each of 30 uploads, and three for each of 60 moves.
        self.assertLessEqual(changed, 280)


@NEW
class Adopted(ManyFiles):
    """A former mirror on each kind of account."""

    files, folders = 20, 4

    def test_files_without_a_hash_that_can_be_compared_are_counted_in_a_warning(self):
        for account, tells in (("personal", True), ("business", True), ("personal-sha1", False)):
            with self.subTest(account):
                self.open_world(account=account)
                self.fill()
                wanted = [] if tells else [str(len(self.sources()))]
                said = self.step("sync")
                results = [json.loads(line[8:]) for line in said.splitlines() if line.startswith("result: ")]
                told = [one["message"].split()[0] for one in results if one.get("code") == "adopted_by_time"]
                self.assertEqual(told, wanted, said)
                self.check_mirror(account)


class TwoReaders(OnMirror):
    """Remotes made by hand, read by the gate and by the second reader: both give the same night, or both refuse."""

    def setUp(self):
        super().setUp()
        self.disk = self.local_remote("64m") / FOLDER[1:]

    def both(self, remote: made.Remote, words: str):
        """Compares the two."""
        shutil.rmtree(self.disk, ignore_errors=True)
        for path, data in remote.files.items():
            place = self.disk / os.fsdecode(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        mirror = Mirror(remote, "app")
        try:
            wanted = pictures.of_night(mirror, mirror.night())
        except oracle.Damaged as error:
            said = self.on_host("--restore", "app", "--from", "mirror", "--to", str(self.gate.place / "refused"), code=None)
            words = f"{words}: {error}\n{said}"
            is_there = (self.gate.place / "refused").exists()
            for left in [*self.gate.place.glob("*.incomplete"), self.gate.place / "refused"]:
                shutil.rmtree(left, ignore_errors=True)
            self.assertEqual((self.last.returncode, is_there), (65, False), words)
        else:
            self.assert_same(wanted, self.picture(self.restored()), words)

    def test_each_point_of_a_transition(self):
        steps = made.transition()
        for point in range(len(steps) + 1):
            with self.subTest(point):
                remote = made.first_night()
                for step in steps[:point]:
                    step(remote)
                self.both(remote, f"point {point}")

    def test_books_that_are_cut_off_or_do_not_fit(self):
        steps = made.transition()
        remote = made.first_night()
        for step in steps[: len(made.COMING) + 1]:
            step(remote)
        delta, full = b"app/mirror.manifest-000001.0001.gz", b"app/mirror.manifest-000001.gz"
        for name, cut in ((delta, 10), (delta, 0), (delta, -1), (full, -1)):
            with self.subTest(name=name, cut=cut):
                shorter = made.Remote()
                shorter.files = {**remote.files, name: remote.files[name][:cut]}
                if name == full:
                    # Without a whole manifest it is a mirror of former days, which the second reader does not know.
                    continue
                self.both(shorter, f"{name!r} cut at {cut}")
        for lines in (["gone data/never"], [made.line("p", "nowhere/pipe")], [made.line("d", "z"), made.line("d", "y")]):
            with self.subTest(lines=lines):
                remote = made.first_night()
                remote.put(delta.decode(), made.delta(1, *lines))
                self.both(remote, str(lines))
        remote = made.first_night()
        remote.put(delta.decode(), b"nothing")
        remote.put("app/mirror.manifest-000001.0002.gz", made.delta(2))
        self.both(remote, "a damaged delta with another behind it")

    def test_contents_that_are_missing_or_changed(self):
        for path, data in (("app/data/same", b"the sane"), ("app/data/same", b"the"), ("app/data/same", None)):
            with self.subTest(data=data):
                remote = made.first_night()
                remote.files.pop(path.encode())
                if data is not None:
                    remote.put(path, data)
                self.both(remote, str(data))

    def test_part_of_a_content_in_the_incoming_folder_does_not_count(self):
        remote = made.first_night()
        for step in made.transition():
            step(remote)
        # An upload of a later night broke off, and has the name of a content of the last delta.
        remote.put(f"app/.incoming/{made.digest(made.NEW['changed'])[:32]}", b"ne")
        self.both(remote, "part of a content")


@unittest.skipUnless(LONG, "takes a quarter of an hour; --long")
class ManyFolders(ManyFiles):
    """A mirror of 70,000 files in 65,000 folders."""

    files, folders = 70_000, 65_000

    def test_a_quiet_night_takes_few_requests(self):
        self.fill()
        self.step("sync")
        self.assertLessEqual(self.cost(), QUIET)


@unittest.skipUnless(LONG, "takes minutes; --long")
class Million(OnMirror):
    """A million entries, nearly all of them further names of few files, so that little is uploaded."""

    folders, names = 1000, 999

    def peaks(self, line: str) -> dict[str, int]:
        """Runs a request; the highest memory of gate and rclone in MiB."""
        peaks: dict[str, int] = {}
        gate = self.gate.spawn(line)
        while gate.poll() is None:
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
                except (OSError, ValueError):
                    continue
                name = status["Name"]
                if name.startswith(("backupctl", "rclone")) and "VmHWM" in status:
                    peaks[name] = max(peaks.get(name, 0), int(status["VmHWM"].split()[0]) // 1024)
            time.sleep(0.05)
        said, _ = gate.communicate()
        self.assertEqual(gate.returncode, 0, said)
        return peaks

    def test_the_gate_stays_below_64_mib(self):
        data = self.gate.data()
        for folder in range(self.folders):
            (data / f"{folder:03}").mkdir()
            if folder % 20 == 0:
                (data / f"{folder:03}/first").write_text(f"{folder}")
            for name in range(self.names):
                os.link(data / f"{folder // 20 * 20:03}/first", data / f"{folder:03}/{name:03}")
        for title in ("first", "quiet", "changed"):
            if title == "changed":
                for folder in range(0, self.folders, 7):
                    (data / f"{folder:03}/500").unlink()
            self.control.reset()
            began = time.monotonic()
            peaks = self.peaks(self.gate.words("sync"))
            counted = self.control.counters()
            print(f"{title}: {time.monotonic() - began:.1f} s, {peaks} MiB, {counted['total']} requests, {counted['bytes_up']} bytes up")
            self.assertLess(peaks["backupctl"], 64)


class Twenty(OnMirror):
    """A mirror of twenty files."""

    def setUp(self):
        super().setUp()
        self.gate.write({f"folder/{number}": os.urandom(2000) for number in range(20)})
        self.step("sync")
        self.check_mirror()

    def held(self) -> set[str]:
        """The hashes of all contents on the drive, those of the books left out."""
        return {item["quickxor"] for path, item in self.control.files().items() if "/mirror." not in path}


@NEW
class Host(Twenty):
    """Things that happen to a host and its clock."""

    def test_a_night_after_a_lost_state_folder_sends_nothing_again(self):
        shutil.rmtree(self.gate.place / "state")
        self.gate.write({"folder/3": b"changed meanwhile"})
        self.control.reset()
        self.step("sync")
        self.assertEqual(len([path for path in self.uploads() if "/mirror." not in path]), 1)
        self.check_mirror()

    def test_a_full_disk_of_the_gate_keeps_the_former_night_and_names_the_cause(self):
        before = self.picture()
        self.gate.write({"folder/1": b"changed", "new": os.urandom(100)})
        state = self.gate.place / "state"
        keep = self.scratch / "state"
        shutil.copytree(state, keep)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", state], check=False)
        shutil.copytree(keep, state, dirs_exist_ok=True)
        with (state / "filler").open("wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(4096))
        said = self.step("sync", None)
        self.assertIn(self.last.returncode, (0, 73), said)
        if self.last.returncode:
            self.assertRegex(said, "space|full")
            self.assert_same(before, self.picture_of_remote())
        (state / "filler").unlink()
        self.step("sync")
        self.check_mirror()

    def test_a_clock_that_went_back_loses_nothing(self):
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            self.skipTest("libfaketime is missing")
        held = self.held()
        for days in (-400, -1, 3000):
            self.gate.write({"folder/1": f"changed {days}".encode(), f"new{days}": b"new"})
            words = [*self.gate._command("--ssh-gate")]
            environment = {**os.environ, "SSH_ORIGINAL_COMMAND": self.gate.words("sync"), "LD_PRELOAD": str(library), "FAKETIME": f"{days:+}d"}
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{days}\n{done.stdout}{done.stderr}")
            self.check_mirror(f"{days} days")
            self.assertEqual(held - self.held(), set())
            held = self.held()

    def test_a_former_night_stays_in_the_versions(self):
        before = self.sources()
        self.gate.write({"folder/1": b"changed"})
        (self.gate.data() / "folder/2").unlink()
        self.step("sync")
        self.check_mirror()
        versions = {path.decode().split("/", 4)[4] for path in DriveFolder(self.control).paths if path.startswith(b"app/.versions/")}
        self.assertEqual(versions, {"folder/1", "folder/2"})
        stored = {self.control.read(path) for path in self.control.files(f"{FOLDER}/app/.versions")}
        self.assertEqual(stored, {before["folder/1"], before["folder/2"]})


@NEW
class Remote(Twenty):
    """Things that happen to a remote."""

    def test_two_boards_on_one_folder_lose_nothing_and_are_told(self):
        first = self.held()
        place = self.scratch / "second"
        place.mkdir()
        mine, other = self.gate, Gate(place, self.world.config, RCLONE, self.services)
        self.gate = other
        self.configure()
        other.write({f"folder/{number}": os.urandom(1000) for number in range(10)})
        said = self.step("sync", None)
        if self.last.returncode == 0:
            self.check_mirror("the second board")
        second = {path: data for path, data in self.sources().items()}
        self.assertEqual(first - self.held(), set(), f"contents of the first board are lost\n{said}")
        self.gate = mine
        said += self.step("sync")
        self.assertRegex(said, "another (board|host)|second board|not ours|other board")
        self.check_mirror("the first board again")
        stored = {self.control.read(path) for path in self.control.files(f"{FOLDER}/app")}
        if other.request(other.words("sync")).returncode == 0:
            self.assertEqual(set(second.values()) - stored, set(), "contents of the second board are lost")

    def test_a_remote_that_was_changed_by_hand_is_repaired(self):
        self.control.ask("DELETE", f"/file?path={FOLDER}/app/data/folder/1")
        self.control.write(f"{FOLDER}/app/data/folder/2", b"changed by hand")
        self.control.write(f"{FOLDER}/app/data/folder/by hand", b"added by hand")
        # The proof that the mirror is still ours fails, so the remote is listed.
        self.control.ask("DELETE", f"/file?path={FOLDER}/app/mirror.complete")
        self.step("sync")
        self.check_mirror()
        stored = {self.control.read(path) for path in self.control.files(f"{FOLDER}/app")}
        self.assertIn(b"changed by hand", stored)
        self.assertIn(b"added by hand", stored)

    def test_a_manifest_that_was_damaged_by_hand_is_made_anew(self):
        for path in self.control.files(f"{FOLDER}/app"):
            if "/mirror.manifest-" in path:
                self.control.write(path, b"nothing")
        self.step("sync")
        self.check_mirror()

    def test_a_full_drive_keeps_the_former_night_and_names_the_cause(self):
        before = self.picture()
        room = self.control.counters()["drive"]
        self.control.settings(quota=room["used"] + room["recycled"] + 100_000)
        self.gate.write({"folder/1": b"changed", "big": os.urandom(MIB)})
        self.assertRegex(self.step("sync", 73), "quota|full|space")
        self.assert_same(before, self.picture_of_remote())
        self.assert_same(before, self.picture(self.restored()))
        self.control.settings(quota=1 << 40)
        self.step("sync")
        self.check_mirror()


@NEW
class Extra(OnMirror):
    """An extra target."""

    def test_extra_targets_have_mirrors_of_their_own(self):
        top = self.scratch / "etc"
        nasty.make(top)
        self.configure(tables=f'[extra.etc]\npath = "{top}"')
        line = f"backupctl --sync-extra etc --remote {self.gate.target}"
        done = self.gate.request(line)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        mirror = Mirror(self.copied(self.gate.target), "extra:etc")
        oracle.compose(mirror, mirror.night(), self.scratch / "composed")
        self.assertEqual(trees.differences(trees.describe(top), trees.describe(self.scratch / "composed")), [])
        self.control.reset()
        self.gate.request(line)
        self.assertLessEqual(self.control.counters()["total"], QUIET)
        # The gate reads it back as well.
        self.assertRegex(self.on_host("--verify-extra", "etc"), "is good: .* complete as of 20")
        back = self.scratch / "back"
        self.on_host("--restore-extra", "etc", "--to", str(back), "--keep-privileges")
        self.assertEqual(trees.differences(trees.describe(top), trees.describe(back)), [])
        self.assertIn("complete as of", self.on_host("--list"))
        # A content that was changed on the remote is found by both.
        path = next(path for path in sorted(self.control.files(f"{FOLDER}/extra/etc")) if not path.endswith(".rclonelink"))
        self.control.write(path, b"changed by hand")
        self.assertRegex(self.on_host("--verify-extra", "etc", code=65), "other than the manifest says")
        self.on_host("--restore-extra", "etc", "--to", str(self.scratch / "damaged"), code=65)
        self.assertFalse((self.scratch / "damaged").exists())
        for target in ("none", "app"):
            self.assertIn("extra", self.on_host("--verify-extra", target, code=77))

    def test_a_transition_of_an_extra_target_that_was_begun_is_read_as_the_new_night(self):
        top = self.scratch / "etc"
        top.mkdir()
        (top / "file").write_bytes(b"before")
        self.configure(tables=f'[extra.etc]\npath = "{top}"')
        line = f"backupctl --sync-extra etc --remote {self.gate.target}"
        self.gate.request(line)
        (top / "file").write_bytes(b"after")
        self.control.faults({"match": r"^patch .*/\.incoming/", "count": 0, "status": 403})
        self.assertNotEqual(self.gate.request(line).returncode, 0)
        self.control.faults()
        back = self.scratch / "back"
        said = self.on_host("--restore-extra", "etc", "--to", str(back))
        self.assertIn("was interrupted", said)
        self.assertEqual((back / "file").read_bytes(), b"after")
        self.assertIn("is good", self.on_host("--verify-extra", "etc"))


if __name__ == "__main__":
    unittest.main()
