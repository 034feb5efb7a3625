"""Common parts of the tests of the stand-in and of the gate: a world for each test, and the rclone under test."""

import os
import re
import subprocess
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from client import Client
from settings import Settings
from world import World

RCLONE = os.environ.get("ONEDRIVE_RCLONE", "/usr/bin/rclone")
RCLONE_LIMIT_S = 120


def version_of(program: str) -> tuple[int, int]:
    """Major and minor version of an rclone."""
    text = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    major, minor = re.match(r"rclone v(\d+)\.(\d+)", text).groups()
    return int(major), int(minor)


VERSION = version_of(RCLONE)
# The release from which rclone shows no bearer token, neither to the upload host nor to the download host.
KEEPS_TOKEN = VERSION >= (1, 67)


@dataclass
class Answer:
    """The end of a program."""

    code: int
    out: str
    err: str


class OnStandin(unittest.TestCase):
    """A world for each test; `settings` are those of its account."""

    settings: dict = {}
    remote = "drive"

    def setUp(self):
        self.scratch = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="onedrive-test-"))).resolve()
        self.open_world(**self.settings)

    def open_world(self, **settings):
        """Starts a stand-in; a test that needs another account calls it again."""
        if getattr(self, "closing", None):
            self.closing()
        world = World(Settings(**settings), remote=self.remote)
        world.__enter__()
        self.closing = self._once(lambda: world.__exit__(None, None, None))
        self.addCleanup(self.closing)
        self.world, self.control = world, Client(world.socket)

    @staticmethod
    def _once(action):
        done = []

        def act():
            if not done:
                done.append(True)
                action()

        return act

    def program(self, *words, code: int | None = 0, limit: float = RCLONE_LIMIT_S, binary: bool = False, **more) -> Answer:
        """Runs a program in this world and insists on its exit code."""
        environment = {**self.world.environment(), **more}
        done = subprocess.run([str(word) for word in words], env=environment, capture_output=True, timeout=limit, check=False)
        err = done.stderr.decode(errors="replace")
        out = done.stdout if binary else done.stdout.decode(errors="replace")
        if code is not None:
            self.assertEqual(done.returncode, code, f"{words}\n{'' if binary else out}{err}")
        return Answer(done.returncode, out, err)

    def rclone(self, *words, **more) -> Answer:
        """Runs the rclone under test. A failure is tried twice at the lowest level, and once as a whole."""
        return self.program(RCLONE, "--retries=1", "--low-level-retries=2", *words, **more)

    def file(self, name: str, content: bytes = b"content") -> Path:
        """A file in the test's own folder."""
        place = self.scratch / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    def stored(self, path: str = "") -> set[str]:
        """The paths of all files on the drive."""
        return set(self.control.files(path))
