"""The runs as a small grid that is drawn anew in place, or as a line for each change where that is not possible."""

import os
import sys
import time
from datetime import datetime

BOXES = {
    "pending": "⬛",
    "queued": "⬛",
    "running": "🟦",
    "retrying": "🟦",
    "success": "🟩",
    "skipped": "⬜",
    "failed": "🟥",
    "cancelled": "🟥",
    "interrupted": "🟥",
    "not_run": "⬛",
}
WORDS = {"queued": "waits", "skipped": "skipped", "failed": "failed", "not_run": "not run"}
CELL = 15
NAME = 16
REDRAW_EVERY_S = 0.1


class Grid:
    """Rows are runs, columns are steps; at most 80 columns wide with four steps."""

    def __init__(self):
        self.in_place = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.lines = 0
        self.told: dict = {}

    def follow(self, runs: list[int], look) -> list[dict]:
        """Shows the runs until all are over; `look(id)` gives one as the API does. Returns them."""
        while True:
            views = [look(run) for run in runs]
            if self.in_place:
                self.draw(views)
            else:
                self.tell(views)
            if all(view["finished"] for view in views):
                return views
            time.sleep(REDRAW_EVERY_S)

    def draw(self, views: list[dict]):
        """Draws the grid over its former self."""
        text = [f"{'':{NAME}}" + "".join(f"{step['name']:<{CELL}}" for step in views[0]["steps"])]
        text += [f"{view['task'][: NAME - 1]:{NAME}}" + "".join(map(cell, view["steps"])) for view in views]
        up = f"\x1b[{self.lines}A" if self.lines else ""
        sys.stdout.write(up + "".join(f"\r\x1b[K{line.rstrip()}\n" for line in text))
        sys.stdout.flush()
        self.lines = len(text)

    def tell(self, views: list[dict]):
        """Prints the boxes that changed."""
        for view in views:
            for step in view["steps"]:
                key, state = (view["id"], step["position"]), step["state"]
                if self.told.get(key, "pending") == state:
                    continue
                self.told[key] = state
                if state != "queued":
                    took = f" {seconds(step):.1f} s" if step["duration_ms"] is not None else ""
                    print(f"  {view['task']:{NAME}} {step['name']:8} {BOXES.get(state, '?')} {state}{took}", flush=True)


def cell(step: dict) -> str:
    """A box with a word or a duration, as wide as every other."""
    state = step["state"]
    text = WORDS.get(state) or ("" if step["started_at"] is None else f"{seconds(step):.1f} s")
    # The box takes two columns and is one character.
    return f"{BOXES.get(state, '?')} {text:<{CELL - 3}}"


def seconds(step: dict) -> float:
    """Duration of the step, up to now if it runs."""
    if step["duration_ms"] is not None:
        return step["duration_ms"] / 1000
    return max(0.0, time.time() - datetime.fromisoformat(step["started_at"]).timestamp())
