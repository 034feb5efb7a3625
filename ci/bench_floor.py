"""The least work of a run, made by hand: its processes, and the writes that must be on the disk.

The runner is compared with these loops in the same run of `ci/bench`.
"""

import os
import shutil
import time
from pathlib import Path

STEPS = 4
# Pages of the database that a commit writes, seen in runs.
COMMIT_BYTES = 5 * 4096


def bare_loop(program: list[str], count: int) -> float:
    """Starts a program and waits for it, again and again: the least work of any runner."""
    began = time.monotonic()
    actions = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    for _ in range(count):
        os.waitpid(os.posix_spawn(program[0], program, {}, file_actions=actions), 0)
    return time.monotonic() - began


def floor_loop(folder: Path, program: list[str], count: int, prints: bool) -> float:
    """The least work of runs that survive a power cut: a commit at the start and at each step's end, the processes, and a log
    with its name on the disk for each step that prints."""
    folder = folder / "floor"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    commits = os.open(folder / "commits", os.O_WRONLY | os.O_CREAT)
    page = bytes(COMMIT_BYTES)
    # A log of changes is written over from its beginning, so its length does not change.
    os.write(commits, page)
    os.fsync(commits)
    began = time.monotonic()
    for run in range(count):
        commit(commits, page)
        logs = folder / str(run)
        for step in range(STEPS):
            output, log = os.pipe()
            actions = [(os.POSIX_SPAWN_DUP2, log, 1)]
            process = os.posix_spawn(program[0], program, {}, file_actions=actions)
            os.close(log)
            text = os.read(output, 65536)
            os.close(output)
            os.waitpid(process, 0)
            if prints:
                keep(logs, step, text)
            commit(commits, page)
    took = time.monotonic() - began
    os.close(commits)
    return took


def commit(file: int, page: bytes):
    """One durable write."""
    os.pwrite(file, page, 0)
    os.fdatasync(file)


def keep(folder: Path, step: int, text: bytes):
    """A log, durable with its name."""
    new = step == 0
    folder.mkdir(exist_ok=True)
    log = os.open(folder / f"{step}.log", os.O_WRONLY | os.O_CREAT)
    os.write(log, text)
    os.fdatasync(log)
    os.close(log)
    for names in [folder, folder.parent] if new else [folder]:
        entries = os.open(names, os.O_RDONLY)
        os.fsync(entries)
        os.close(entries)
