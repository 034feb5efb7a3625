"""Power cuts at block level. A runner works on a disk that logs writes and flushes; then the log is replayed up to random
moments, with unflushed writes lost or kept, and a runner starts on each of these disks.

A fact counts for a cut if it was known before the cut: the position in the disk's log was noted with it.
"""

import functools
import os
import random
import time
from pathlib import Path

from case import Case
from disk import EXAMINE, KINDS, Disk, Mounted, Replay, available, run
from history import Client
from invariants import check
from runner import Runner
from steps import POOLS, Workshop
from violation import Violation

CUTS = 20


def record(case: Case, disk: Disk, workshop: Workshop, point: Path) -> Client:
    """Work on the disk: a first start, tasks, many runs, kills and stops."""
    rng = case.rng
    client = Client(workshop, disk.position)
    disk.mount(point)
    case.on_end(disk.close)
    runner = Runner(case.binary, case.folder, point / "data")
    case.on_end(runner.end)
    server = runner.start()
    for pool in POOLS:
        server.api("POST", "/pools", pool)
    tasks = workshop.tasks()
    for task in tasks:
        server.api("POST", "/tasks", {"keep_runs": 10000, **task})
        client.history.tasks.append((task["name"], disk.position()))
    names = [task["name"] for task in tasks]
    for _ in range(3):
        for _ in range(rng.randint(4, 12)):
            client.trigger(server, rng.choice(names))
            time.sleep(rng.choice([0, 0.02, 0.1]))
            if rng.random() < 0.2 and client.history.acknowledged:
                client.cancel(server, rng.choice(client.history.runs()), False)
            client.look(server)
        time.sleep(rng.uniform(0.1, 0.6))
        client.look(server)
        if rng.random() < 0.5:
            runner.kill_tree()
        else:
            runner.stop()
        server = runner.start()
    client.look(server)
    runner.kill_tree()
    runner.server = None
    disk.unmount()
    return client


def recording(kind: str, cuts: int, case: Case):
    """One recording, and its cuts."""
    disk = Disk(case.folder / "disk", kind)
    workshop = Workshop(case.folder / "workshop", disk.log)
    point = case.folder / "mounted"
    client = record(case, disk, workshop, point)
    stamps = workshop.stamps()
    replay = Replay(disk, case.folder / "stable")
    moments = sorted(case.rng.randint(1, len(replay.records)) for _ in range(cuts))
    # Each cut has choices of its own, so that one of them can be repeated by hand.
    seeds = [case.rng.random() for _ in moments]
    broken = []
    for moment, seed in zip(moments, seeds):
        image = case.folder / "cut"
        position = replay.cut(moment, random.Random(seed), image)
        known = [stamp for stamp in stamps if stamp.kind != "begin" or stamp.number <= position]
        begun = {(s.run, s.step, s.attempt) for s in known if s.kind == "begin"}
        workshop.rewrite([s for s in known if (s.run, s.step, s.attempt) in begun])
        try:
            examine(case, kind, image, point, workshop, client.history.until(position))
        except Violation as error:
            broken.append(f"{kind}, cut after record {moment} of {len(replay.records)}: {error}")
            keep = case.folder / f"broken-{moment}"
            os.replace(image, keep)
        case.count(f"power cuts on {kind}")
    case.count("records", len(replay.records))
    if broken:
        raise Violation("\n".join(broken))


def examine(case: Case, kind: str, image: Path, point: Path, workshop: Workshop, history):
    """A runner starts on the disk that the cut left. `history` counts the stamps that remain."""
    mounted = Mounted(image, point, kind)
    runner = Runner(case.binary, case.folder, point / "data")
    try:
        left = len(workshop.stamps())
        history.shown = {run: shown.__class__(**{**vars(shown), "stamps": left}) for run, shown in history.shown.items()}
        runner.start()
        done = check(runner, workshop, history)
        case.count("runs", done.runs)
    finally:
        runner.end()
        mounted.close()
    found = run(*EXAMINE[kind], image, check=False)
    if found.returncode:
        raise Violation(f"fsck: {found.stdout[-500:]} {found.stderr[-500:]}")


def cases(scale, _only: str | None) -> list:
    """Recordings on each file system."""
    found = []
    for kind in KINDS if available() else ():
        for number in range(scale(1, 7)):
            found.append((kind, number, functools.partial(recording, kind, scale(4, CUTS))))
    return found
