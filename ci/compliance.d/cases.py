"""The hosts that tests run on: each test class has one of its own. A suite is written once, as a mixin, and runs on
every release that one of its classes names."""

import os
from pathlib import Path

from machine import Machine


class Case:
    """A test class with a host that has the gate on it."""

    release: str
    machine: Machine

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.machine = Machine(cls.release, Path(os.environ["COMPLIANCE_BIN_DIR"]))
        cls.addClassCleanup(cls.machine.down)
        cls.prepare()

    @classmethod
    def prepare(cls):
        """Sets the host up as the tutorial does."""
        cls.machine.up()


class OnTrixie(Case):
    """Debian 13: its sudo gives every command a terminal of its own (use_pty)."""

    release = "trixie"


class OnBookworm(Case):
    """Debian 12: its sudo runs a command as a child of its own on the existing terminal."""

    release = "bookworm"
