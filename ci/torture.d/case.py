"""One case of the torture: a folder, a source of random choices, counters, and the line that repeats it."""

import random
import shutil
import traceback
from collections import Counter
from pathlib import Path

from violation import Violation


class Case:
    """A case. Its choices depend on the seed and on its own name alone, so it can be repeated by itself."""

    def __init__(self, binary: Path, scratch: Path, options: str, seed: int, part: str, name: str, number: int):
        self.binary = binary
        self.key = f"{name}:{number}"
        self.part = part
        self.options = f"{options} --seed {seed}".strip()
        self.number = number
        self.rng = random.Random(f"{seed} {part} {self.key}")
        self.folder = scratch / f"{part}-{name}-{number}"
        self.counters: Counter = Counter()
        self._ends: list = []

    def count(self, what: str, number: int = 1):
        """Adds to a counter of the table."""
        self.counters[what] += number

    def on_end(self, act):
        """Runs `act` when the case is over, last one first."""
        self._ends.append(act)

    def repeat(self) -> str:
        """The line that runs this case again."""
        return f"ci/torture {self.options} --case {self.key} {self.part}"

    def run(self, body) -> str | None:
        """Runs the case; returns the text of its failure. The folder of a failure is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        failure = None
        try:
            body(self)
        except Violation as error:
            failure = str(error)
        except Exception:
            failure = traceback.format_exc()
        for end in reversed(self._ends):
            try:
                end()
            except Exception:
                failure = (failure or "") + traceback.format_exc()
        if failure is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        return failure
