"""The real rclone against the stand-in: its features, and each version's handling of faults."""

import configparser
import hashlib
import json
import os
import unittest

from cases import KEEPS_TOKEN, VERSION, OnStandin

MIB = 1 << 20
CHUNK = 10 * MIB
BIG = 2 * CHUNK + 5 * MIB
ACCOUNTS = ("personal", "personal-sha1", "business")


class Accepting(OnStandin):
    """An account that takes a bearer token everywhere, so that all versions of rclone work."""

    settings = {"refuse_bearer": False}


class Work(Accepting):
    """rclone's features that a backup needs."""

    def tree(self) -> dict[str, bytes]:
        content = {"empty": b"", "a/small": b"hi\n", "a/b/big": os.urandom(BIG), "Ünï: quote'(1) #%.txt": b"x"}
        for name, data in content.items():
            self.file(f"src/{name}", data)
        return content

    def test_a_tree_is_copied_changed_moved_and_deleted_on_every_account(self):
        content = self.tree()
        source = self.scratch / "src"
        for account in ACCOUNTS:
            with self.subTest(account):
                self.file("src/a/small", b"hi\n")
                self.file("src/empty", b"")
                self.open_world(account=account, refuse_bearer=False)
                self.rclone("copy", source, "drive:top/data")
                there = self.control.files("/top/data")
                self.assertEqual(
                    {entry["sha1"].lower() for entry in there.values()},
                    {hashlib.sha1(data).hexdigest() for data in content.values()},
                )
                self.assertIn("0 differences", self.rclone("check", source, "drive:top/data").err)
                self.file("src/a/small", b"changed")
                (source / "empty").unlink()
                self.rclone("sync", source, "drive:top/data", "--backup-dir", "drive:top/old")
                self.assertEqual(self.stored("/top/old"), {"/top/old/empty", "/top/old/a/small"})
                self.assertEqual(self.control.read("/top/data/a/small"), b"changed")
                self.rclone("moveto", "drive:top/data/a/small", "drive:top/new")
                self.rclone("copyto", "drive:top/new", "drive:top/copied")
                self.assertEqual(self.control.read("/top/copied"), b"changed")
                got = self.rclone("cat", "--offset", 11 * MIB, "--count", 20, "drive:top/data/a/b/big", binary=True)
                self.assertEqual(got.out, content["a/b/big"][11 * MIB : 11 * MIB + 20])
                self.rclone("purge", "drive:top/old")
                self.assertNotIn("old/\n", self.rclone("lsf", "drive:top").out)
                about = json.loads(self.rclone("about", "drive:", "--json").out)
                self.assertEqual(about["used"], self.control.counters()["drive"]["used"] + about["trashed"])
                self.assertGreater(about["trashed"], 0)

    def test_names_that_rclone_encodes_come_back(self):
        names = ["two  blanks", "dot.", " lead", "~tilde", 'q"*<>?|\\:', "ＡＢ", ".hidden", "~$owner"]
        for name in names:
            self.file(f"src/{name}", name.encode())
        self.rclone("copy", self.scratch / "src", "drive:names")
        self.rclone("copy", "drive:names", self.scratch / "back")
        self.assertEqual(sorted(os.listdir(self.scratch / "back")), sorted(names))

    def test_names_that_differ_by_case_are_one_name(self):
        self.file("one", b"first")
        self.file("two", b"second")
        self.rclone("copyto", self.scratch / "one", "drive:folder/Name")
        self.rclone("copyto", self.scratch / "two", "drive:FOLDER/nAME")
        self.assertEqual(len(self.stored()), 1)
        self.assertEqual(self.control.read("/Folder/NAME"), b"second")

    def test_names_that_differ_by_unicode_form_are_two(self):
        names = ("e\u0301", "\u00e9")
        for name in names:
            self.rclone("copyto", self.file("file", name.encode()), f"drive:{name}")
        self.assertEqual({name: self.control.read(name) for name in self.stored()}, {f"/{n}": n.encode() for n in names})

    def test_reserved_names_and_long_paths_are_refused(self):
        self.file("file")
        for account in ("personal", "business"):
            self.open_world(account=account, refuse_bearer=False)
            refused = ["con", "LPT1", ".lock", "desktop.ini", "a/" + "n" * 200 + "/" + "m" * 200]
            if account == "business":
                refused.append("x_vti_y")
            for name in refused:
                with self.subTest(account=account, name=name[:20]):
                    answer = self.rclone("copyto", self.scratch / "file", f"drive:{name}", code=None)
                    self.assertNotEqual(answer.code, 0)
                    self.assertIn("invalidRequest", answer.err)
            self.rclone("copyto", self.scratch / "file", "drive:con.txt")
            self.assertEqual(self.stored(), {"/con.txt"})

    def test_ten_thousand_files_are_listed(self):
        self.control.ask("PUT", "/files", {f"/many/{n % 20}/{n}": str(n) for n in range(10_000)})
        self.assertEqual(json.loads(self.rclone("size", "--json", "drive:many").out)["count"], 10_000)

    def test_long_folders_come_in_pages(self):
        self.control.ask("PUT", "/files", {f"/many/{n}": "x" for n in range(25)})
        listed = self.rclone("lsf", "--onedrive-list-chunk=10", "drive:many").out.split()
        self.assertEqual(len(listed), 25)
        self.assertEqual(self.control.counters()["requests"]["children"], 3)

    def test_the_recycle_bin_and_versions_count(self):
        for data in (b"1" * 1000, b"2" * 500):
            self.rclone("copyto", self.file("file", data), "drive:file")
        self.assertEqual(self.control.counters()["drive"]["used"], 1500)
        self.rclone("deletefile", "drive:file")
        self.assertEqual(self.control.counters()["drive"], {"used": 0, "recycled": 1500, "files": 0})

    @unittest.skipIf(VERSION < (1, 67), "hard_delete came with rclone 1.67")
    def test_hard_delete_frees_the_room(self):
        self.rclone("copyto", self.file("file"), "drive:file")
        self.rclone("deletefile", "--onedrive-hard-delete", "drive:file")
        self.assertEqual(self.control.counters()["drive"], {"used": 0, "recycled": 0, "files": 0})

    def test_office_files_grow_on_arrival_on_business(self):
        self.open_world(account="business", refuse_bearer=False)
        answer = self.rclone("copyto", self.file("table.xlsx"), "drive:table.xlsx", code=1)
        self.assertIn("corrupted on transfer: sizes differ", answer.err)


class SignIn(OnStandin):
    """Tokens, and who may do something."""

    def refresh_token(self) -> str:
        config = configparser.RawConfigParser()
        config.read(self.world.config)
        return json.loads(config["drive"]["token"])["refresh_token"]

    def test_the_upload_host_refuses_a_bearer_token(self):
        answer = self.rclone("copyto", self.file("file"), "drive:file", code=None)
        self.assertEqual(answer.code, 0 if KEEPS_TOKEN else 1, answer.err)
        self.assertEqual(self.stored(), {"/file"} if KEEPS_TOKEN else set())
        if not KEEPS_TOKEN:
            self.assertIn("unauthenticated: Unauthenticated", answer.err)

    def test_the_download_host_refuses_a_bearer_token(self):
        self.control.write("/file", b"content")
        answer = self.rclone("cat", "drive:file", code=None)
        self.assertEqual(answer.out, "content" if KEEPS_TOKEN else "")
        if not KEEPS_TOKEN:
            self.assertIn("unauthenticated: Unauthenticated", answer.err)

    def test_an_expired_token_is_renewed_and_written_down_and_the_old_one_is_used_up(self):
        before = self.world.config.read_text()
        first = self.refresh_token()
        self.control.post("expire")
        expired = before.replace(json.loads(before.partition("token = ")[2])["expiry"], "2020-01-01T00:00:00Z")
        self.world.config.write_text(expired)
        self.rclone("lsd", "drive:")
        self.assertEqual(self.control.counters()["tokens"], 1)
        self.assertNotEqual(self.refresh_token(), first)
        self.rclone("lsd", "drive:")
        self.assertEqual(self.control.counters()["tokens"], 1)
        self.world.config.write_text(expired)
        self.assertIn("invalid_grant", self.rclone("lsd", "drive:", code=1).err)

    def test_a_token_of_short_life_is_renewed_in_the_middle(self):
        # Go renews ten seconds before the end, so each request of these renews.
        self.control.settings(token_life=1)
        self.world.write_config(self.world.config, "drive")
        for n in range(3):
            self.file(f"src/{n}", b"")
        self.rclone("copy", self.scratch / "src", "drive:")
        self.assertEqual(len(self.stored()), 3)
        self.assertGreater(self.control.counters()["tokens"], 2)

    def test_a_revoked_sign_in_is_an_invalid_grant(self):
        self.control.settings(token_life=1)
        self.world.write_config(self.world.config, "drive")
        self.control.post("revoke")
        self.assertIn("invalid_grant", self.rclone("lsd", "drive:", code=1).err)

    def test_a_sign_in_for_reading_refuses_to_write(self):
        self.open_world(read_only=True)
        self.rclone("lsd", "drive:")
        self.assertIn("accessDenied", self.rclone("mkdir", "drive:new", code=1).err)

    def test_another_drive_is_an_invalid_handle(self):
        text = self.world.config.read_text().replace(self.world.standin.drive.id, "0123456789abcdef")
        self.world.config.write_text(text)
        self.assertIn("ObjectHandle is Invalid", self.rclone("lsd", "drive:", code=1).err)


class Faults(Accepting):
    """A line and a service that fail."""

    def pause_after(self, status: int) -> float:
        """The seconds between the second and the third request for a session, of which two get this answer with Retry-After."""
        self.control.faults({"match": "^session ", "count": 2, "status": status, "headers": {"Retry-After": "2"}})
        self.rclone("copyto", "--low-level-retries=10", self.file("file"), "drive:file")
        self.assertEqual(self.stored(), {"/file"})
        times = [when for when, _, line in self.control.get("/journal") if line.startswith("session ")]
        # rclone's pacer lets one more request pass before it waits.
        return times[2] - times[1]

    def test_429_with_retry_after_is_waited_out(self):
        self.assertGreater(self.pause_after(429), 1.5)

    def test_503_with_retry_after_is_obeyed_by_newer_versions_alone(self):
        self.assertEqual(self.pause_after(503) > 1.5, VERSION >= (1, 69))

    def test_a_limit_of_requests_is_told_and_kept(self):
        self.control.settings(tps=10)
        for n in range(12):
            self.file(f"src/{n}", b"")
        self.rclone("copy", "--low-level-retries=10", self.scratch / "src", "drive:many")
        self.assertEqual(len(self.stored()), 12)
        self.assertGreater(self.control.counters()["answers"]["429"], 0)

    def test_without_patience_an_outage_is_an_error(self):
        self.control.faults({"match": "", "status": 503, "count": 0})
        self.assertIn("serviceNotAvailable", self.rclone("lsd", "drive:", code=1).err)
        self.assertEqual(self.control.counters()["answers"], {"503": 2})

    def test_connections_that_are_cut_or_reset_are_made_again(self):
        for fault in ({"match": "connect"}, {"match": "^item "}):
            for reset in (False, True):
                with self.subTest(match=fault["match"], reset=reset):
                    self.control.faults({**fault, "drop": "at-once", "reset": reset})
                    self.rclone("lsf", "drive:")
                    self.assertEqual(self.control.counters()["faults"][0]["hits"], 1)

    def test_an_outage_in_time_ends(self):
        self.control.faults({"match": "", "seconds": 1, "drop": "at-once"})
        self.rclone("lsd", "--low-level-retries=20", "drive:")
        self.assertGreater(self.control.counters()["faults"][0]["hits"], 1)

    def test_a_chunk_that_breaks_off_is_sent_again(self):
        content = os.urandom(BIG)
        self.control.faults({"match": "^chunk ", "nth": 2, "drop_request_after": 3 * MIB})
        self.rclone("copyto", self.file("big", content), "drive:big")
        self.assertEqual(self.control.read("/big"), content)
        self.assertEqual(self.control.counters()["requests"]["chunk"], 4)

    def test_a_lost_answer_after_a_chunk_costs_a_look_at_the_position(self):
        content = os.urandom(BIG)
        self.control.faults({"match": "^chunk ", "nth": 1, "drop": "answer"})
        self.rclone("copyto", self.file("big", content), "drive:big")
        self.assertEqual(self.control.read("/big"), content)
        self.assertEqual(self.control.counters()["requests"]["position"], 1)

    def test_a_lost_answer_after_the_last_chunk_leaves_the_file(self):
        content = os.urandom(BIG)
        self.control.faults({"match": "^chunk ", "nth": 3, "drop": "answer"})
        answer = self.rclone("copyto", self.file("big", content), "drive:big", code=None)
        self.assertNotEqual(answer.code, 0)
        self.assertIn("The upload session was not found", answer.err)
        self.assertEqual(self.control.read("/big"), content)
        # A second attempt finds the file in place.
        self.rclone("copyto", self.scratch / "big", "drive:big")
        self.assertEqual(self.control.counters()["requests"]["session"], 1)

    def test_a_download_that_breaks_off_goes_on_at_its_offset_in_newer_versions(self):
        content = os.urandom(3 * MIB)
        self.control.write("/file", content)
        self.control.faults({"match": "^download ", "drop_answer_after": MIB})
        answer = self.rclone("cat", "drive:file", code=None, binary=True)
        if VERSION >= (1, 63):
            self.assertEqual((answer.code, answer.out == content), (0, True), answer.err)
        else:
            self.assertEqual((answer.code != 0, len(answer.out) < len(content)), (True, True), answer.err)

    def test_a_flipped_bit_in_an_upload_is_seen_where_a_hash_is_common(self):
        for account in ACCOUNTS:
            with self.subTest(account):
                self.open_world(account=account, refuse_bearer=False)
                self.control.faults({"match": "^chunk ", "flip": 12345})
                answer = self.rclone("copyto", self.file("file", b"x" * 5000), "drive:file", code=None)
                # Before 1.62 rclone expected SHA-1 of personal accounts, and since then it expects QuickXorHash.
                common = {"personal": VERSION >= (1, 62), "personal-sha1": VERSION < (1, 62), "business": True}[account]
                self.assertEqual(answer.code, 1 if common else 0, answer.err)
                if common:
                    self.assertIn("corrupted on transfer", answer.err)

    def test_a_bit_that_flips_on_the_drive_is_found_by_reading_alone(self):
        self.open_world(account="business", refuse_bearer=False)
        self.rclone("copyto", self.file("src/file", b"x" * 5000), "drive:file")
        self.control.post("flip", "/file")
        self.rclone("check", self.scratch / "src", "drive:")
        self.assertIn("1 differences", self.rclone("check", "--download", self.scratch / "src", "drive:", code=1).err)

    def test_a_full_drive_is_said(self):
        self.open_world(refuse_bearer=False, quota=30 * MIB)
        self.rclone("copyto", self.file("big", os.urandom(BIG)), "drive:one")
        answer = self.rclone("copyto", self.scratch / "big", "drive:two", code=None)
        self.assertNotEqual(answer.code, 0)
        self.assertIn("quotaLimitReached", answer.err)
        self.assertEqual(self.stored(), {"/one"})

    def test_malware_is_handed_out_only_when_asked_for(self):
        self.control.write("/file", b"content")
        self.control.post("malware", "/file")
        self.rclone("cat", "drive:file", code=1)
        if VERSION >= (1, 63):
            self.assertEqual(self.rclone("cat", "--onedrive-av-override", "drive:file").out, "content")
