"""The tutorial's tasks, and a night of them: set up, triggered and followed through the API."""

import time
from pathlib import Path

from appliance import Appliance
from board import Unexpected
from report import Report
from services import Service

#       step       run rule      seconds
TABLE = [
    ("stop", "on_success", 180),
    ("sync", "on_success", 600),
    ("archive", "on_success", 600),
    ("start", "always", 300),
]
# The runner itself is copied while it runs.
HOT = ("sync", "archive")
# An emulated board under load takes its time; the gate gives up a little before the step does.
TIMEOUTS = {f"{step.upper()}_TIMEOUT": str(seconds - 10) for step, _, seconds in TABLE}
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
NIGHT_LIMIT_S = 1500
# Before midnight (UTC) no night begins that would end after it: archives are made on one day of the week.
SAFE_FROM_MIDNIGHT_S = 300


class Night:
    """The tasks of some services."""

    def __init__(self, appliance: Appliance, report: Report, services: list[Service]):
        self.appliance, self.report, self.services = appliance, report, services

    def set_up(self, script: Path):
        """Follows the tutorial, in its order. The installer made the pool and the variables of the connection."""
        api = self.appliance.api
        api("PUT", "/scripts/backup.py", raw=script.read_bytes())
        for key, value in TIMEOUTS.items():
            self.set_variable(key, value)
        for name in [*(service.name for service in self.services), "lightflow"]:
            steps = [
                {"name": step, "command": "python3", "args": f"backup.py --{step} {name}", "rule": rule, "timeout": seconds}
                for step, rule, seconds in TABLE
                if name != "lightflow" or step in HOT
            ]
            api("POST", "/tasks", {"name": f"backup_{name}", "cron": "0 3 * * *", "pool": "backup", "steps": steps})

    def make_archives_today(self):
        """Sets the weekday of archives to that of the server's zone, UTC."""
        left = 86400 - time.time() % 86400
        if left < SAFE_FROM_MIDNIGHT_S:
            self.report.say(f"waiting {left:.0f} s for midnight (UTC) to pass, because the weekday matters")
            time.sleep(left + 1)
        self.set_variable("ARCHIVE_WEEKDAY", WEEKDAYS[time.gmtime().tm_wday])

    def set_variable(self, key: str, value: str):
        """As a person would on the page."""
        self.appliance.api("PUT", f"/variables/{key}", {"value": value, "secret": False})

    def begin(self, name: str) -> int:
        """Run now; returns the run's number."""
        return self.appliance.api("POST", f"/tasks/backup_{name}/run")["run"]

    def look(self, run: int) -> dict:
        """A run with its boxes."""
        return self.appliance.api("GET", f"/runs/{run}")

    def follow(self, runs: list[int], until=lambda views: all(view["finished"] for view in views)) -> list[dict]:
        """Tells each box that changes, until all runs are over."""
        told: dict = {}
        end = time.monotonic() + NIGHT_LIMIT_S
        while True:
            views = [self.look(run) for run in runs]
            for view in views:
                for step in view["steps"]:
                    self._tell(told, view, step)
            if until(views):
                return views
            if time.monotonic() > end:
                raise Unexpected(f"the runs are not over after {NIGHT_LIMIT_S} s: {[view['state'] for view in views]}")
            time.sleep(1)

    def _tell(self, told: dict, view: dict, step: dict):
        key, state = (view["id"], step["position"]), step["state"]
        if told.get(key, "pending") == state:
            return
        told[key] = state
        if state != "queued":
            took = f" {step['duration_ms'] / 1000:.1f} s" if step["duration_ms"] is not None else ""
            self.report.say(f"{view['task']:16} {step['name']:8} {state}{took}")

    def logs(self, view: dict) -> str:
        """The output of a run's steps, with the reasons of their colours."""
        text = ""
        for step in view["steps"]:
            text += f"\n--- {view['task']}, step {step['name']}: {step['state']} ({step['reason']})\n"
            if step["attempt"]:
                text += self.appliance.api("GET", f"/runs/{view['id']}/steps/{step['position']}/log")
        return text

    def expect(self, view: dict, state: str, boxes: list[str]) -> str:
        """Raises, with the logs, unless a run and its boxes have these colours."""
        found = [step["state"] for step in view["steps"]]
        if (view["state"], found) != (state, boxes):
            raise Unexpected(f"it is {view['state']} with {found} instead of {state} with {boxes}{self.logs(view)}")
        return f"{state}: {', '.join(found)}"
