"""Whole nights of the real gate against the stand-in."""

import concurrent.futures
import json
import os
import unittest

from cases import KEEPS_TOKEN, VERSION
from nights import FOLDER, MIB, OnHost


class Nights(OnHost):
    """Stop, sync, archive, start, with nothing in the way."""

    def setUp(self):
        super().setUp()
        if not KEEPS_TOKEN and self.refuses_this_rclone():
            self.skipTest("the gate refuses this rclone")

    def test_two_nights_are_green_and_the_second_keeps_what_the_first_had(self):
        self.gate.write({"big": os.urandom(11 * MIB)})
        self.green_night()
        self.gate.write({"file": b"changed"})
        (self.gate.data() / "folder/second").unlink()
        self.green_night()
        versions = self.control.files(f"{FOLDER}/app/.versions")
        self.assertEqual({path.split("/", 6)[6] for path in versions}, {"file", "folder/second"})

    def test_a_night_on_each_kind_of_account_is_green_and_tells_how_the_archive_was_checked(self):
        for account in ("personal", "personal-sha1", "business"):
            with self.subTest(account):
                self.open_world(account=account, refuse_bearer=KEEPS_TOKEN)
                told = self.green_night()
                common = {"personal": VERSION >= (1, 62), "personal-sha1": VERSION < (1, 62), "business": True}[account]
                results = [json.loads(line[8:]) for line in told["archive"][1].splitlines() if line.startswith("result: ")]
                checked = [entry["checked"] for entry in results if "checked" in entry]
                self.assertEqual(checked, ["hash" if common else "read"])

    def test_an_archive_is_listed_verified_and_restored_and_so_is_the_mirror(self):
        self.green_night()
        self.assertIn("today", self.on_host("--list"))
        self.assertIn("is good", self.on_host("--verify", "app"))
        for source in ((), ("--from", "mirror")):
            target = self.gate.place / f"back{len(source)}"
            self.on_host("--restore", "app", *source, "--to", str(target))
            back = {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}
            self.assertEqual(back, self.sources())

    def test_an_archive_of_the_same_day_takes_the_place_of_the_former(self):
        self.green_night()
        self.gate.write({"file": b"changed"})
        self.green_night()
        self.assertEqual(len(self.check_archives()), 1)


class Together(OnHost):
    """Several gates at once, with tokens that are good once."""

    services = ("one", "two", "three", "four")

    def test_four_gates_renew_a_token_at_once_and_none_loses_it(self):
        if not KEEPS_TOKEN and self.gate.step("sync", "one").returncode:
            self.skipTest("the gate refuses this rclone")
        # Go renews ten seconds before the end: each rclone renews at its first request. All wait for the answer together.
        self.control.settings(token_life=1)
        self.world.write_config(self.world.config, "onedrive")
        self.control.settings(token_life=3600)
        self.control.faults({"match": "^token ", "count": 0, "delay": 2})
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda name: self.gate.step("sync", name), self.services))
        self.assertEqual([one.returncode for one in done], [0] * 4, "\n".join(one.stdout + one.stderr for one in done))
        for name in self.services:
            self.assertEqual(self.mirrored(name), self.sources(name))
        # The sign-in is still good.
        self.step("sync", service="one")
        self.assertGreater(self.control.counters()["tokens"], 0)


class Doctor(OnHost):
    """The check of every hop."""

    def hops(self, *names: str) -> list[str]:
        found = self.doctor()
        return [line for name in names for line in found.get(name, [])]

    @unittest.skipUnless(KEEPS_TOKEN, "needs an rclone that works")
    def test_a_host_that_works_is_green(self):
        self.green_night()
        found = self.hops("config", "program", "folders", "data", "rclone", "remote", "archives", "leases", "services")
        self.assertEqual([line for line in found if line.startswith("FAIL")], [])

    @unittest.skipUnless(KEEPS_TOKEN, "needs an rclone that works")
    def test_a_small_file_is_stored_compared_by_hash_and_removed_again(self):
        for account in ("personal", "business"):
            with self.subTest(account):
                self.open_world(account=account)
                [found] = self.hops("write")
                self.assertRegex(found, "^OK: .* compared by hash, read back, renamed and deleted")
                self.assertEqual(self.stored(), set())
        self.open_world(account="personal-sha1")
        [found] = self.hops("write")
        self.assertRegex(found, "^WARN: .* hashes cannot be compared")

    @unittest.skipUnless(KEEPS_TOKEN, "needs an rclone that works")
    def test_the_step_that_failed_is_named(self):
        for match, words in (
            ("^session ", "storing a small file"),
            ("^download ", "reading the file back"),
            ("^patch .*probe$", "renaming the file"),
            ("^delete .*probe-renamed", "deleting the file"),
        ):
            with self.subTest(words):
                self.open_world(**self.settings)
                self.control.faults({"match": match, "count": 0, "status": 403})
                [found] = self.hops("write")
                self.assertRegex(found, f"^FAIL: .*{words}")

    @unittest.skipIf(KEEPS_TOKEN, "needs an rclone that is too old")
    def test_an_rclone_that_is_too_old_is_red_with_the_version_to_have(self):
        failed = [line for line in self.hops("rclone") if line.startswith("FAIL")]
        self.assertTrue(failed and "1.67" in failed[0], failed)
        self.assertNotIn("apt install rclone", " ".join(failed))

    def test_a_new_configuration_is_green_with_the_rclone_of_the_release_and_red_with_debians(self):
        self.open_world(refuse_bearer=True)
        self.gate.new_configuration()
        verdicts = [line.split(":")[0] for line in self.hops("config", "folders", "data", "rclone", "remote", "write", "services")]
        if KEEPS_TOKEN:
            self.assertEqual(set(verdicts) - {"SKIP"}, {"OK"}, self.doctor())
        else:
            self.assertEqual(verdicts.count("FAIL"), 2, self.doctor())
            self.assertIn("/usr/local/lib/backupctl/rclone", " ".join(self.hops("rclone", "write")))

    @unittest.skipUnless(KEEPS_TOKEN, "needs an rclone that works")
    def test_a_sign_in_for_reading_is_red(self):
        self.open_world(read_only=True)
        [failed] = [line for line in self.hops("remote", "write") if line.startswith("FAIL")]
        self.assertRegex(failed, "storing a small file.*may only read")
        self.assertEqual(self.stored(), set())

    @unittest.skipUnless(KEEPS_TOKEN, "needs an rclone that works")
    def test_a_full_drive_is_red(self):
        self.open_world(quota=10)
        self.control.write("/photo", b"0123456789")
        [failed] = [line for line in self.hops("remote", "write") if line.startswith("FAIL")]
        self.assertRegex(failed, "storing a small file.*full")

    @unittest.skipUnless(KEEPS_TOKEN, "needs an rclone that works")
    def test_a_wrong_drive_is_red_and_says_which_one_to_pick(self):
        text = self.world.config.read_text().replace(self.world.standin.drive.id, "0123456789abcdef")
        self.world.config.write_text(text)
        failed = [line for line in self.hops("remote") if line.startswith("FAIL")]
        self.assertTrue(failed and "choose the drive called OneDrive" in failed[0], failed)


@unittest.skipIf(KEEPS_TOKEN, "the newest rclone is not too old")
class TooOld(OnHost):
    """An rclone that shows its token to hosts that refuse it."""

    settings = {"refuse_bearer": True}

    def test_nothing_is_stopped_and_the_version_to_have_is_told(self):
        said = self.step("stop", None)
        self.assertNotEqual(self.last.returncode, 0)
        self.assertIn("1.67", said)
        self.assertTrue(self.gate.is_up())

    def test_a_transfer_is_refused_with_the_version_to_have(self):
        for verb in ("sync", "archive"):
            said = self.step(verb, None)
            self.assertIn(self.last.returncode, (69, 78))
            self.assertIn("1.67", said)
        self.assertEqual(self.stored(), set())

    def test_reading_is_refused_with_the_version_to_have(self):
        self.control.settings(refuse_bearer=False)
        for verb in ("sync", "archive"):
            self.step(verb, None)
        self.control.settings(refuse_bearer=True)
        for words in (("--verify", "app"), ("--restore", "app", "--from", "mirror", "--to", str(self.gate.place / "back"))):
            said = self.on_host(*words, code=None)
            self.assertNotEqual(self.last.returncode, 0, said)
            self.assertIn("1.67", said)
