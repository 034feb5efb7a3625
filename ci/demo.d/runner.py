"""The runner's side: a server, and the tutorial's pool, variables, script and tasks, all set up by its own CLI."""

import glob
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from host import FOLDER, Host
from lightflow_server import Server
from services import SampleService
from world import World

#       step       run rule      seconds
TABLE = [
    ("stop", "on_success", 30),
    ("sync", "on_success", 300),
    ("archive", "on_success", 600),
    ("start", "always", 180),
]
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
A_SUNDAY = "@2026-11-22 12:00:00"
SAFE_FROM_MIDNIGHT_S = 60


@dataclass
class Day:
    """On which day archives are made, and which one the archive step believes it to be."""

    weekday: str
    archives: bool
    environment: list[str]

    @classmethod
    def today(cls) -> "Day":
        """Archives are made on this very weekday."""
        return cls(WEEKDAYS[weekday_of_steps()], True, [])

    @classmethod
    def other(cls) -> "Day":
        """Archives are made on another weekday, so the archive step is skipped."""
        return cls(WEEKDAYS[weekday_of_steps() - 1], False, [])

    @classmethod
    def sunday(cls) -> "Day":
        """Archives are made on Sundays, and the archive step is led to believe that this is one."""
        library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not library:
            sys.exit("--sunday needs libfaketime: apt-get install libfaketime")
        # The monotonic clock is left alone: ssh measures its patience with it.
        return cls("sunday", True, [f"LD_PRELOAD={library[0]}", f"FAKETIME={A_SUNDAY}", "FAKETIME_DONT_FAKE_MONOTONIC=1"])


def weekday_of_steps() -> int:
    """Today in the server's zone, which is UTC here; waits if that is about to change."""
    left = 86400 - time.time() % 86400
    if left < SAFE_FROM_MIDNIGHT_S:
        print(f"waiting {left:.0f} s for midnight (UTC) to pass, because the weekday matters")
        time.sleep(left)
    return time.gmtime().tm_wday


class Runner:
    """A server in the world, with its tasks and variables."""

    def __init__(self, world: World, lightflow: Path):
        self.world = world
        world.folder("logs")
        log = world.root / "logs" / "lightflow"
        # TLS as by default; the port is whichever is free.
        self.server = Server(lightflow, world.folder("lightflow"), log, "127.0.0.1:0")

    def set_up(self, host: Host, script: Path, data_root: Path, day: Day, services: list[SampleService]):
        """Follows the tutorial, in its order."""
        cli = self.server.cli
        cli("pool", "create", "backup", "--slots", "1")
        for key, value in self._variables(host, data_root, day).items():
            cli("variable", "set", key, value)
        cli("variable", "set", "BACKUP_SSH_KEY", "--secret", "--file", "-", text=host.private_key)
        cli("script", "put", str(script), "--name", "backup.py")
        for service in services:
            self._create_task(service, day)

    def _variables(self, host: Host, data_root: Path, day: Day) -> dict[str, str]:
        return {
            "BACKUP_HOST": host.address,
            "BACKUP_KNOWN_HOSTS": host.known_hosts,
            "ONEDRIVE_REMOTE": "onedrive",
            "ONEDRIVE_FOLDER": FOLDER,
            "ARCHIVE_WEEKDAY": day.weekday,
            "KEEP_WEEKLY": "3",
            "KEEP_MONTHLY": "12",
            "BACKUP_DATA_ROOT": str(data_root),
        }

    def _create_task(self, service: SampleService, day: Day):
        words = ["task", "create", task_of(service), "--cron", "0 3 * * *", "--pool", "backup"]
        for step, rule, timeout in TABLE:
            words += ["--step", step, "--command", "python3", "--args", f"backup.py --{step} {service.name}"]
            words += ["--rule", rule, "--timeout", str(timeout)]
            if step == "archive":
                words += [word for pair in day.environment for word in ("--env", pair)]
        self.server.cli(*words)

    def trigger(self, service: SampleService) -> int:
        """Run now; returns the run's number."""
        return self.server.api("POST", f"/tasks/{task_of(service)}/run")["run"]

    def look(self, run: int) -> dict:
        """A run with its boxes."""
        return self.server.api("GET", f"/runs/{run}")

    def log_of(self, run: int, step: str) -> str:
        """The output of a step."""
        return self.server.cli("run", "logs", str(run), step)

    def addresses(self) -> tuple[str, str | None]:
        """The web page, and the link by which the first administrator is made."""
        log = self.world.log("lightflow")
        page = re.search(r"lightflow serves (https?://\S+)", log)
        setup = re.search(r"https?://\S+/setup\?token=\S+", log)
        return page.group(1) if page else "?", setup.group(0) if setup else None


def task_of(service: SampleService) -> str:
    """The name of a service's task, as in the tutorial."""
    return f"backup_{service.name}"


def expected(day: Day) -> list[str]:
    """The colours that the boxes of a run must have."""
    return ["success", "success", "success" if day.archives else "skipped", "success"]
