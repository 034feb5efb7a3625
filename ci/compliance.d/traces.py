"""System calls of the gate for a refused line: no process, no file but its own few."""

import unittest

import samples
from cases import OnTrixie
from lines import corpus, unescape
from machine import HERE


class Traces(OnTrixie, unittest.TestCase):
    """The gate under strace."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        samples.install(cls.machine)
        cls.machine.put(HERE / "traced.py", "/root/traced.py")

    def traced(self, requests: list[bytes]) -> list[str]:
        digits = "\n".join(request.hex() for request in requests)
        return self.machine.do(f"python3 /root/traced.py <<'END'\n{digits}\nEND").splitlines()

    def test_a_refused_line_starts_nothing_and_opens_nothing_but_the_configuration(self):
        requests = [unescape(line.split("\t", 1)[1]) for line in corpus("reject.txt")]
        self.assertEqual(self.traced(requests), [f"{len(requests)} lines"])

    def test_an_accepted_line_is_seen_to_start_programs(self):
        calls = self.traced([b"backupctl --stop n8n", b"backupctl --start n8n"])
        self.assertTrue(any("sample-service" in call and "execve" in call for call in calls))
        self.assertTrue(any("/var/lib/backupctl" in call and "O_CREAT" in call for call in calls))
