"""The sample services as the demo sees them: commands, folders, data at their stop, and their downtime."""

import http.client
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import sample_service
from world import World

PROBE_EVERY_S = 0.02
PROGRAM = Path(sample_service.__file__).resolve()


class SampleService(sample_service.Service):
    """One service of the demo."""

    def __init__(self, name: str, world: World, data_root: Path):
        super().__init__(world.folder(f"services/{name}"), data_root / name / "data")
        self.name = name
        self.data.mkdir(parents=True)
        self.prober = Prober(self)

    def command(self, verb: str) -> list[str]:
        """The argument vector by which the gate stops, starts or asks this service."""
        return [sys.executable, "-B", str(PROGRAM), verb, *self.arguments()]

    def bring_up(self):
        """Starts the service and begins to watch it."""
        subprocess.run(self.command("start"), check=True, stdin=subprocess.DEVNULL)
        self.prober.start()


@dataclass
class Outage:
    """From the last answer before to the first one after, in seconds of the monotonic clock."""

    begin: float
    end: float | None = None


class Prober(threading.Thread):
    """Asks a service over and over whether it answers."""

    def __init__(self, service: SampleService):
        super().__init__(daemon=True)
        self.service = service
        self.outages: list[Outage] = []
        self.ended = threading.Event()

    def run(self):
        answered = time.monotonic()
        up = True
        while not self.ended.wait(PROBE_EVERY_S):
            try:
                self.service.rows()
                answered = time.monotonic()
                if not up:
                    self.outages[-1].end = answered
                up = True
            except (OSError, http.client.HTTPException, ValueError):
                if up:
                    self.outages.append(Outage(answered))
                up = False

    def finish(self) -> list[Outage]:
        """Ends the watch; returns when the service did not answer."""
        self.ended.set()
        self.join()
        return self.outages
