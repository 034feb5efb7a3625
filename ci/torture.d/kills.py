"""Random kills of the server, of supervisors and of the whole tree, while several tasks run, retry and are cancelled.

A case is one life of a data directory: many starts, each with some work, then a kill. The examination comes at its end.
"""

import random
import time

import processes
from case import Case
from history import Client
from invariants import check
from runner import Runner
from steps import Workshop, create

KILLS_A_LIFE = 10
VICTIMS = {"server": 40, "tree": 20, "programs": 10, "supervisor": 20, "start": 10, "stop": 10}


def life(case: Case):
    """One life; `case.rng` decides all of it."""
    rng = case.rng
    workshop = Workshop(case.folder / "workshop")
    client = Client(workshop)
    runner = Runner(case.binary, case.folder)
    case.on_end(runner.end)
    tasks = workshop.tasks()
    server = runner.start()
    create(server, tasks)
    for _ in range(KILLS_A_LIFE):
        if runner.server is None or not runner.server.is_alive():
            runner.start()
        work(rng, runner.server, client, [task["name"] for task in tasks])
        victim = rng.choices(list(VICTIMS), VICTIMS.values())[0]
        case.count(f"kills of the {victim}" if victim != "stop" else "ordinary stops", strike(rng, runner, victim))
    if runner.server is None or not runner.server.is_alive():
        runner.start()
    done = check(runner, workshop, client.history)
    case.count("runs", done.runs)
    case.count("acknowledged", len(client.history.acknowledged))


def work(rng: random.Random, server, client: Client, names: list[str]):
    """Some acts, and a pause."""
    for _ in range(rng.randint(1, 8)):
        act = rng.random()
        known = client.history.runs()
        if act < 0.6 or not known:
            client.trigger(server, rng.choice(names))
        elif act < 0.75:
            client.cancel(server, rng.choice(known[-6:]), rng.random() < 0.3)
        elif act < 0.85:
            client.retry(server, rng.choice(known))
        else:
            client.look(server)
        time.sleep(rng.choice([0, 0, 0.01, 0.05]))
    time.sleep(rng.uniform(0, 0.25))


def strike(rng: random.Random, runner: Runner, victim: str) -> int:
    """Kills; returns the number of kills."""
    if victim == "server":
        runner.server.kill()
        return 1
    if victim == "tree":
        runner.kill_tree()
        return 1
    if victim == "programs":
        runner.kill_programs()
        return 1
    if victim == "stop":
        runner.stop()
        return 1
    if victim == "supervisor":
        found = processes.supervisors(runner.data)
        return processes.kill([rng.choice(found).pid]) if found else 0
    # In the middle of a start, which takes up what the kill before it left.
    runner.server.kill()
    starting = runner.start_and_forget()
    time.sleep(rng.uniform(0, 0.06))
    starting.kill()
    starting.wait()
    return 2


def cases(scale, _only: str | None) -> list:
    """The lives of a short or a long torture."""
    return [("life", number, life) for number in range(scale(2, 220))]
