"""Every line of the corpora from an ssh client through sshd, the account's shell, sudo and the gate."""

import json
import re
import unittest
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import samples
from cases import OnBookworm, OnTrixie

ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}
# Files that a refused request may change: the journal and the audit log, and the records of sudo and sshd.
BOOKS = r"^/(var/log/(journal/|backupctl\.jsonl|auth\.log|lastlog|wtmp|btmp|faillog|sudo)|var/lib/(sudo|wtmpdb|lastlog)/)"

# Requests at the same time. sshd allows more sessions than that over one connection (ci/host.d/settings).
AT_A_TIME = 8


def corpus(name: str) -> list[str]:
    """The lines of a corpus without its comments."""
    lines = (samples.CORPUS / name).read_text().split("\n")
    return [line for line in lines if line and not line.startswith("#")]


def unescape(text: str) -> bytes:
    """The bytes that a line of reject.txt stands for."""

    def one(match: re.Match) -> bytes:
        word = match.group(1)
        return bytes([int(word[1:], 16)]) if word.startswith(b"x") else ESCAPES[word]

    return re.sub(rb"\\(x[0-9a-f]{2}|.)", one, text.encode())


class Lines:
    """Request lines, as the runner sends them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        samples.install(cls.machine)

    def test_refused_lines_are_refused_with_their_code_and_leave_nothing_behind(self):
        # The first request makes the audit log and the gate's folder in /run.
        self.assertEqual(self.machine.request("backupctl").code, 64)
        self.machine.do("touch /before")
        known = len(self.audit())
        rejected = [line.split("\t", 1) for line in corpus("reject.txt")]

        def wrong(entry: list[str]) -> str:
            code, line = entry
            answer = self.machine.request(unescape(line))
            if answer.code == int(code) and not answer.out:
                return ""
            return f"{answer.code} instead of {code}: {line[:200]}\n{answer.out}{answer.err}"

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            self.assertEqual("".join(pool.map(wrong, rejected)), "")
        fresh = self.audit()[known:]
        self.assertEqual({entry["event"] for entry in fresh}, {"refused"})
        self.assertEqual(len(fresh), len(rejected))
        self.assertEqual(self.changed_since("/before"), [])

    def test_accepted_lines_are_done(self):
        # In turn for each service: a --start would end a --sync of the same one.
        turns = defaultdict(list)
        for line in corpus("accept.txt"):
            turns[re.search(r"--(?:stop|start|sync|archive|sync-extra|rehearse) (\S+)", line).group(1)].append(line)

        def wrong(turn: list[str]) -> str:
            answers = [(line, self.machine.request(line)) for line in turn]
            return "".join(f"{answer.code}: {line}\n{answer.out}{answer.err}" for line, answer in answers if not done(line, answer.code))

        def done(line: str, code: int) -> bool:
            # A deadline of one second is accepted, and may pass on a busy machine.
            return code == 0 or (code == 124 and "--timeout 1 " in line + " ")

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            self.assertEqual("".join(pool.map(wrong, turns.values())), "")
        mirror = self.machine.do("cat /srv/onedrive/OdroidBackup/n8n/data/file")
        self.assertEqual(mirror, "n8n\n")

    def audit(self) -> list[dict]:
        """The lines of the gate's audit log."""
        text = self.machine.do("cat /var/log/backupctl.jsonl 2>/dev/null || true")
        return [json.loads(line) for line in text.splitlines()]

    def changed_since(self, file: str) -> list[str]:
        """Files and folders of the host that were changed since another one, without the books."""
        listing = self.machine.do(f"find / -xdev -newer {file} -print; find /home -newer {file} -print")
        return [path for path in listing.splitlines() if not re.match(BOOKS, path + "/")]


class LinesOnTrixie(Lines, OnTrixie, unittest.TestCase):
    pass


class LinesOnBookworm(Lines, OnBookworm, unittest.TestCase):
    pass
