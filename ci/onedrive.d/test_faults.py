"""The real gate against the faults of a line and of a service: the exit code, the words, and a service that is up again."""

import gzip
import os
import random
import unittest

from cases import KEEPS_TOKEN, VERSION
from nights import FOLDER, MIB, OnHost

# `ci/onedrive faults --long`: outages that a lease has the patience for, which is 60 s, and throttling beyond it.
LONG = os.environ.get("ONEDRIVE_LONG") == "yes"
OUTAGE_S = 50 if LONG else 10
THROTTLED_S = 120 if LONG else 8
# rclone gives up a connection or a sign-in after some seconds of its own; this is longer, also on a busy machine.
GONE_S = 50 if LONG else 15
PARTS = 16
# With an rclone that is too old for OneDrive the gate says so and tries; how long it holds out is rclone's own matter.
PATIENT = unittest.skipUnless(KEEPS_TOKEN, "patience needs an rclone that OneDrive takes")
ARCHIVE = r"/archives/app-[0-9-]+\.tar\.gz"
MANIFEST = r"/archives/app-[0-9-]+\.manifest\.gz"


class OnBadLine(OnHost):
    """A service with a file of two chunks."""

    big = 6 * MIB
    keys = {"tpslimit": 0, "chunk_mib": 5}

    def setUp(self):
        super().setUp()
        if not KEEPS_TOKEN and self.refuses_this_rclone():
            self.skipTest("the gate refuses this rclone")

    def open_world(self, **settings):
        super().open_world(**settings)
        self.gate.write({"big": random.Random(13).randbytes(self.big)})

    def green_with(self, *faults: dict, hits: int = 1) -> dict[str, tuple[int, str]]:
        """A green night in spite of faults, each of which was met."""
        self.control.faults(*faults)
        told = self.green_night()
        for fault in self.control.counters()["faults"]:
            self.assertGreaterEqual(fault["hits"], hits, fault)
        return told


class Throttled(OnBadLine):
    """OneDrive asks for patience."""

    def copied_with(self, **headers: str):
        """A mirror and an archive in spite of throttling. No lease is open, so the deadline is the only limit."""
        self.control.faults({"match": " graph", "nth": 10, "seconds": THROTTLED_S, "status": 429, "headers": headers})
        for verb in ("sync", "archive"):
            self.step(verb)
        self.check_copies()
        self.assertGreater(self.control.counters()["faults"][0]["hits"], 1)

    def test_429_with_retry_after_is_waited_out(self):
        self.copied_with(**{"Retry-After": "3"})

    @PATIENT
    def test_429_without_retry_after_is_waited_out(self):
        self.copied_with()

    @unittest.skipUnless(LONG, "takes two minutes; --long")
    def test_throttling_beyond_the_patience_of_a_lease_is_told_and_the_service_is_up_again(self):
        self.control.faults({"match": " graph", "nth": 10, "seconds": THROTTLED_S, "status": 429})
        told = self.night()
        self.assertIn(told["sync"][0], (69, 124), told)
        self.assertIn("throttled", told["sync"][1])

    @PATIENT
    def test_503_is_waited_out(self):
        self.green_with({"match": "", "nth": 10, "seconds": GONE_S, "status": 503}, hits=2)


@PATIENT
class Outages(OnBadLine):
    """OneDrive is away for some seconds."""

    def test_connections_that_are_dropped_at_once_are_waited_out(self):
        self.green_with({"match": "connect", "seconds": GONE_S, "drop": "at-once", "reset": True}, hits=2)

    def test_a_failing_name_of_the_sign_in_is_waited_out(self):
        self.control.settings(token_life=8)
        self.world.write_config(self.world.config, "onedrive")
        self.green_with({"match": "^token ", "seconds": GONE_S, "status": 503}, hits=2)

    def test_an_outage_at_the_first_request_of_a_sync_is_waited_out(self):
        self.green_with({"match": "", "seconds": GONE_S, "drop": "at-once"}, hits=2)

    def test_an_outage_while_the_archive_is_sent_is_waited_out(self):
        self.green_with({"match": f"^chunk .*{ARCHIVE}", "nth": 2, "seconds": OUTAGE_S, "drop": "at-once"})

    def test_a_finished_upload_survives_an_outage_while_its_manifest_is_sent(self):
        self.step("stop")
        self.step("sync")
        self.control.reset()
        # The outage begins with the manifest and is one of everything.
        self.control.faults({"match": MANIFEST, "seconds": OUTAGE_S, "drop": "at-once"})
        self.step("archive")
        self.step("start")
        self.check_copies()
        self.assertLess(self.control.counters()["bytes_up"], 1.5 * self.big)

    def test_an_outage_while_the_archive_gets_its_name_is_waited_out(self):
        self.green_with({"match": f"^patch .*{ARCHIVE}", "seconds": OUTAGE_S, "drop": "at-once"})


@PATIENT
class EveryRequest(OnBadLine):
    """An outage that begins with any request of a night: with some of them, and with all in `--long`."""

    parts = PARTS if LONG else 1

    def test_an_outage_at_any_request_is_waited_out(self):
        self.green_night()
        total = self.control.counters()["total"]
        part = int(os.environ.get("ONEDRIVE_PART", "0"))
        chosen = range(1 + part, total + 1, PARTS) if LONG else [total // 3, 2 * total // 3]
        for number in chosen:
            with self.subTest(request=number):
                self.open_world(**self.settings)
                self.green_with({"match": "", "nth": number, "seconds": OUTAGE_S, "drop": "at-once"})


class BrokenLines(OnBadLine):
    """Single requests that break."""

    def test_a_chunk_that_breaks_off_is_sent_again(self):
        self.green_with({"match": "^chunk ", "nth": 2, "drop_request_after": 1000, "reset": True})

    def test_a_lost_answer_after_the_last_byte_does_no_harm(self):
        for path in ("/data/big", ARCHIVE):
            with self.subTest(path):
                self.open_world(**self.settings)
                self.green_with({"match": f"^chunk .*{path}", "nth": 2, "drop": "answer"})

    def test_an_upload_session_that_is_gone_is_made_anew(self):
        self.green_with({"match": f"^chunk .*{ARCHIVE}", "nth": 2, "status": 404})

    def test_a_lost_answer_to_a_move_does_no_harm(self):
        self.green_with({"match": f"^patch .*{ARCHIVE}", "drop": "answer"})

    def test_an_archive_is_in_place_when_every_answer_to_its_move_is_lost(self):
        told = self.green_with({"match": f"^patch .*{ARCHIVE}", "count": 0, "drop": "answer"}, hits=2)
        self.assertIn("it was done, although rclone failed", told["archive"][1])

    def test_verifying_goes_on_over_a_line_that_breaks_twice(self):
        self.green_night()
        self.control.faults({"match": f"^download .*{ARCHIVE}", "count": 2, "drop_answer_after": 3 * MIB})
        self.assertIn("is good", self.on_host("--verify", "app"))
        self.assertEqual(self.control.counters()["faults"][0]["hits"], 2)

    def test_restoring_goes_on_over_a_line_that_breaks_twice(self):
        self.green_night()
        self.control.faults({"match": f"^download .*{ARCHIVE}", "count": 2, "drop_answer_after": 3 * MIB})
        self.on_host("--restore", "app", "--to", str(self.gate.place / "back"))
        self.assertEqual((self.gate.place / "back/big").read_bytes(), self.sources()["big"])


class Refusals(OnHost):
    """Faults that no patience repairs: the service stays up, or comes up again, and the reason is printed."""

    def setUp(self):
        super().setUp()
        if not KEEPS_TOKEN and self.refuses_this_rclone():
            self.skipTest("the gate refuses this rclone")

    def test_a_sign_in_that_was_revoked_stops_nothing(self):
        self.control.settings(token_life=1)
        self.world.write_config(self.world.config, "onedrive")
        self.control.post("revoke")
        said = self.step("stop", None)
        self.assertEqual(self.last.returncode, 69, said)
        self.assertRegex(said, "reconnect|sign-in|sign in")
        self.assertTrue(self.gate.is_up())

    def test_a_sign_in_that_was_revoked_fails_a_transfer_with_its_reason(self):
        self.control.settings(token_life=1)
        self.world.write_config(self.world.config, "onedrive")
        self.control.post("revoke")
        for verb in ("sync", "archive"):
            self.assertRegex(self.step(verb, 69), "invalid_grant|sign in|reconnect")

    def test_a_full_drive_stops_nothing(self):
        self.open_world(quota=1000, refuse_bearer=KEEPS_TOKEN)
        self.control.write("/photo", bytes(1000))
        said = self.step("stop", None)
        self.assertIn(self.last.returncode, (69, 73), said)
        self.assertRegex(said, "quota|full|space")
        self.assertTrue(self.gate.is_up())

    def test_a_drive_that_fills_up_in_a_mirror_is_no_space(self):
        self.open_world(quota=MIB, refuse_bearer=KEEPS_TOKEN)
        self.gate.write({"big": os.urandom(2 * MIB)})
        told = self.night()
        self.assertEqual((told["stop"][0], told["sync"][0], told["start"][0]), (0, 73, 0), told)
        self.assertRegex(told["sync"][1], "quota|full|space")

    def test_a_drive_that_fills_up_in_an_archive_is_no_space_and_leaves_no_part(self):
        self.open_world(quota=3 * MIB, refuse_bearer=KEEPS_TOKEN)
        self.gate.write({"big": os.urandom(2 * MIB)})
        told = self.night()
        self.assertEqual([code for code, _ in told.values()], [0, 0, 73, 0], told)
        self.assertRegex(told["archive"][1], "quota|full|space")
        self.assertEqual(self.check_archives(), [])

    def test_a_full_disk_behind_a_local_remote_is_no_space(self):
        self.local_remote("1m")
        self.gate.write({"big": os.urandom(2 * MIB)})
        self.step("stop")
        for verb in ("sync", "archive"):
            self.assertRegex(self.step(verb, 73), "space|full")
        self.step("start")
        self.assertTrue(self.gate.is_up())


class Bits(OnHost):
    """A bit that flips, on an account with a common hash."""

    account = "business"

    def setUp(self):
        self.settings = {"account": self.account, "refuse_bearer": KEEPS_TOKEN}
        super().setUp()
        if not KEEPS_TOKEN and self.refuses_this_rclone():
            self.skipTest("the gate refuses this rclone")

    def changed_once(self, path: str):
        """A night in which a file changes on its way: it is sent again, or refused."""
        self.control.faults({"match": f"^chunk .*{path}", "flip": 999})
        told = self.night()
        self.assertIn(told["archive"][0], (0, 65, 69), told)
        self.assertEqual(self.control.counters()["faults"][0]["hits"], 1)
        # Nothing stands in its place unless it is the archive that was packed.
        self.assertEqual(len(self.check_archives()), 0 if told["archive"][0] else 1)

    def test_an_archive_that_changes_on_its_way_is_sent_again_or_refused(self):
        self.changed_once(ARCHIVE)

    def test_a_manifest_that_changes_on_its_way_is_sent_again_or_refused(self):
        self.changed_once(MANIFEST)

    def test_an_archive_that_changes_every_time_is_never_in_its_place(self):
        self.control.faults({"match": f"^chunk .*{ARCHIVE}", "count": 0, "flip": 999})
        told = self.night()
        self.assertIn(told["archive"][0], (65, 69), told)
        self.assertEqual([name for name in self.archives() if name.endswith(".tar.gz")], [])

    def test_a_stored_archive_with_a_flipped_bit_is_found(self):
        self.green_night()
        self.control.post("flip", f"{FOLDER}/app/archives/{self.check_archives()[0]}")
        self.assertIn("finding: ", self.on_host("--verify", "app", code=65))
        self.on_host("--restore", "app", "--to", str(self.gate.place / "back"), code=65)
        self.assertFalse((self.gate.place / "back").exists())

    def test_a_stored_manifest_with_a_flipped_bit_is_found_and_does_not_stop_a_restore(self):
        self.green_night()
        self.control.post("flip", f"{FOLDER}/app/archives/{self.archives()[0]}")
        self.assertIn("finding: ", self.on_host("--verify", "app", code=65))
        self.assertIn("manifest", self.on_host("--restore", "app", "--to", str(self.gate.place / "back")))
        self.assertEqual((self.gate.place / "back/file").read_bytes(), self.content["file"])

    def test_a_mirrored_file_with_a_flipped_bit_is_named_by_a_restore(self):
        self.green_night()
        self.control.post("flip", f"{FOLDER}/app/data/folder/second")
        said = self.on_host("--restore", "app", "--from", "mirror", "--to", str(self.gate.place / "back"), code=None)
        self.assertIn("folder/second", said)


class BitsWithoutHash(Bits):
    """The same on an account that has no hash in common with this rclone."""

    account = "personal-sha1" if VERSION >= (1, 62) else "personal"


class Encrypted(OnHost):
    """A crypt remote on an account without a hash in common with this rclone."""

    def setUp(self):
        without = "personal-sha1" if VERSION >= (1, 62) else "personal"
        self.settings = {"account": without, "refuse_bearer": KEEPS_TOKEN}
        super().setUp()
        if not KEEPS_TOKEN and self.refuses_this_rclone():
            self.skipTest("the gate refuses this rclone")
        self.encrypted_remote()

    def test_a_night_is_green_and_its_archive_can_be_read(self):
        self.assertEqual([code for code, _ in self.night().values()], [0, 0, 0, 0])
        self.assertIn("is good", self.on_host("--verify", "app"))
        self.on_host("--restore", "app", "--from", "mirror", "--to", str(self.gate.place / "back"))
        self.assertEqual((self.gate.place / "back/file").read_bytes(), self.content["file"])

    def test_an_archive_that_changes_on_its_way_is_sent_again_or_refused(self):
        self.control.faults({"match": f"^chunk .*{ARCHIVE}", "flip": 9999})
        told = self.night()
        self.assertEqual(self.control.counters()["faults"][0]["hits"], 1)
        if told["archive"][0] == 0:
            self.assertIn("is good", self.on_host("--verify", "app"))
        else:
            self.assertIn(told["archive"][0], (65, 69))


@unittest.skipIf(VERSION < (1, 63), "needs an rclone that downloads")
class Incomplete(OnHost):
    """Restores of which not all can be had."""

    def test_a_mirror_with_one_refused_file_keeps_the_rest_and_names_it(self):
        self.green_night()
        self.control.post("malware", f"{FOLDER}/app/data/folder/second")
        said = self.on_host("--restore", "app", "--from", "mirror", "--to", str(self.gate.place / "back"), code=65)
        self.assertIn("folder/second", said)
        self.assertFalse((self.gate.place / "back").exists())
        left = [path for path in self.gate.place.iterdir() if path.name.endswith(".incomplete")]
        self.assertEqual([(path / "file").read_bytes() for path in left], [self.content["file"]])

    def test_files_that_came_before_the_deadline_are_kept(self):
        self.green_night()
        self.control.faults({"match": "^download .*/data/", "nth": 2, "count": 0, "status": 429, "headers": {"Retry-After": "120"}})
        words = ("--restore", "app", "--from", "mirror", "--to", str(self.gate.place / "back"), "--timeout", "12")
        said = self.on_host(*words, code=124)
        self.assertIn(".incomplete", said)
        self.assertFalse((self.gate.place / "back").exists())
        (left,) = [path for path in self.gate.place.iterdir() if path.name.endswith(".incomplete")]
        came = [path for path in left.rglob("*") if path.is_file() and not path.name.endswith(".partial")]
        self.assertTrue(came)

    def test_a_refused_file_comes_back_with_av_override(self):
        self.green_night()
        self.control.post("malware", f"{FOLDER}/app/data/folder/second")
        with self.world.config.open("a") as config:
            config.write("av_override = true\n")
        self.on_host("--restore", "app", "--from", "mirror", "--to", str(self.gate.place / "back"))
        self.assertEqual((self.gate.place / "back/folder/second").read_bytes(), self.content["folder/second"])

    def test_a_manifest_that_cannot_be_read_is_a_warning(self):
        self.green_night()
        self.control.ask("PUT", f"/file?path={FOLDER}/app/archives/{self.archives()[0]}", gzip.compress(b"nonsense\n"))
        self.assertIn("manifest", self.on_host("--restore", "app", "--to", str(self.gate.place / "back")))
        self.assertEqual((self.gate.place / "back/file").read_bytes(), self.content["file"])
