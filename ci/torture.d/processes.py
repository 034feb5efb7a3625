"""Processes of a runner, found by their environment in /proc."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A living process."""

    pid: int
    parent: int
    command: str
    program: str
    environment: frozenset


def living() -> list[Process]:
    """All processes of this PID namespace that are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rpartition(") ")[2].split(" ")[:2]
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            program = os.readlink(entry / "exe")
            environment = frozenset((entry / "environ").read_bytes().split(b"\0"))
        except OSError:
            continue
        if state != "Z":
            found.append(Process(int(entry.name), int(parent), command, program, environment))
    return found


def of_data(data: Path) -> list[Process]:
    """The server, supervisors and steps that work in a data directory. A supervisor that stands by names no directory, and
    one case at a time runs in this PID namespace, so the program alone tells it.
    """
    mark = f"LIGHTFLOW_DATA_DIR={data}".encode()
    return [p for p in living() if mark in p.environment or p.program.endswith("/lightflow")]


def of_steps(data: Path) -> list[Process]:
    """Supervisors and steps, without the server."""
    return [p for p in of_data(data) if any(one.startswith(b"LIGHTFLOW_RUN_ID=") for one in p.environment)]


def supervisors(data: Path) -> list[Process]:
    """The supervisors, those that stand by included. A step between fork and exec has its supervisor's command, and is none."""
    found = [p for p in of_data(data) if "__supervise" in p.command]
    return [p for p in found if p.parent not in {other.pid for other in found}]


def kill(pids) -> int:
    """Kills processes; returns the number of those that were still there."""
    killed = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            pass
    return killed


def gone(find, limit_s: float = 10) -> list[Process]:
    """Waits until `find` finds no process; returns those that stay."""
    until = time.monotonic() + limit_s
    while left := find():
        if time.monotonic() > until:
            return left
        time.sleep(0.02)
    return []
