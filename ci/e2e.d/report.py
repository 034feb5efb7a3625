"""Lines that are printed as events happen, and the figures and the verdict at the end."""

import time
import traceback
from collections.abc import Callable

from board import Unexpected

BEGAN = time.monotonic()


class Report:
    """Claims with their results, and the measurements."""

    def __init__(self):
        self.held = 0
        self.broken: list[str] = []
        self.figures: list[tuple[str, str]] = []

    def chapter(self, title: str):
        """A heading."""
        print(f"\n{clock()}  {title}", flush=True)

    def say(self, text: str):
        """Something that is no claim."""
        print(f"{'':10}{text}", flush=True)

    def claim(self, text: str, check: Callable[[], str | None]) -> bool:
        """Checks a claim. A failed claim is printed and remembered; the story continues, because it shows more then."""
        try:
            found = check()
        except Unexpected as wrong:
            return self._fails(text, str(wrong))
        except Exception:  # noqa: BLE001 (a check that cannot be made has not held)
            return self._fails(text, traceback.format_exc())
        self.held += 1
        print(f"{'':5}ok   {text}{f': {found}' if found else ''}", flush=True)
        return True

    def _fails(self, text: str, why: str) -> bool:
        self.broken.append(text)
        print(f"{'':5}NO   {text}: {why}", flush=True)
        return False

    def breaks_off(self, why: str):
        """The rest cannot be told."""
        self._fails("the story is told to its end", why)

    def figure(self, name: str, value: str):
        """Something measured."""
        self.figures.append((name, value))
        self.say(f"{name}: {value}")

    def verdict(self) -> int:
        """The last lines, and the exit code."""
        print("\nFigures", flush=True)
        for name, value in self.figures:
            print(f"  {name:<58} {value}")
        print(f"  {'the whole run':<58} {time.monotonic() - BEGAN:.0f} s")
        if self.broken:
            print(f"\nVERDICT: FAILED. {self.held} claims held, {len(self.broken)} did not:")
            for text in self.broken:
                print(f"  {text}")
            return 1
        print(f"\nVERDICT: PASSED. All {self.held} claims held.")
        return 0


def clock() -> str:
    """Minutes and seconds since the beginning."""
    seconds = int(time.monotonic() - BEGAN)
    return f"[{seconds // 60:3}:{seconds % 60:02}]"
