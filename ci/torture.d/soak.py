"""Many runs without a fault: afterwards the server holds no more threads, descriptors and memory than before."""

import os
import time
from pathlib import Path

from case import Case
from history import Client
from invariants import check, settle
from lightflow_server import SocketConnection
from runner import Runner
from steps import Workshop, create
from violation import Violation

WARM_UP = 30
MORE_MEMORY_KB = 6 * 1024


class Usage:
    """The server's resources, from /proc."""

    def __init__(self, pid: int):
        proc = Path(f"/proc/{pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        self.threads = int(status["Threads"])
        self.memory_kb = int(status["VmRSS"].split()[0])
        self.descriptors = len(os.listdir(proc / "fd"))
        children = (proc / "task" / str(pid) / "children").read_text().split()
        states = [Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0] for child in children]
        self.zombies = states.count("Z")

    def __str__(self):
        return f"{self.threads} threads, {self.descriptors} descriptors, {self.memory_kb} KiB, {self.zombies} zombies"


def work(case: Case, client: Client, runner: Runner, names: list[str], rounds: int):
    """Triggers and readers; each round leaves a reader of events in the middle of its stream."""
    server = runner.server
    for number in range(rounds):
        client.trigger(server, names[number % len(names)])
        if number % 20 == 0:
            reader = SocketConnection(runner.data / "lightflow.sock")
            reader.request("GET", "/api/v1/events")
            reader.getresponse()
            client.look(server)
            reader.close()
        time.sleep(case.rng.choice([0, 0.01, 0.03]))
    settle(runner)


def soak(rounds: int, case: Case):
    """The soak."""
    workshop = Workshop(case.folder / "workshop")
    client = Client(workshop)
    runner = Runner(case.binary, case.folder)
    case.on_end(runner.end)
    server = runner.start()
    create(server, workshop.tasks())
    names = ["plain", "again", "broken", "daemons", "nothing"]
    work(case, client, runner, names, WARM_UP)
    server.disconnect()
    time.sleep(1)
    before = Usage(server.process.pid)
    work(case, client, runner, names, rounds)
    server.disconnect()
    time.sleep(1)
    after = Usage(server.process.pid)
    case.count("acknowledged", len(client.history.acknowledged))
    grown = after.memory_kb - before.memory_kb
    if after.threads > before.threads + 2 or after.descriptors > before.descriptors + 3 or after.zombies or grown > MORE_MEMORY_KB:
        raise Violation(f"before: {before}; after {rounds} triggers: {after}")
    done = check(runner, workshop, client.history)
    case.count("runs", done.runs)
    case.count("steps", done.steps)
    case.count("KiB grown", max(0, grown))


def cases(scale, _only: str | None) -> list:
    """One soak."""
    rounds = scale(60, 20_000)
    return [("runs", 0, lambda case: soak(rounds, case))]
