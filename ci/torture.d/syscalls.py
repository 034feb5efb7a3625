"""SIGKILL at every system call, injected by strace.

strace counts the calls of each name in each thread, so a point is a name and a number. A first pass without kills
counts the calls; each point is then one case: a copy of the same data directory, the kill, an ordinary start, and the examination.
"""

import functools
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import processes
from case import Case
from history import Client
from invariants import check, rows
from runner import Runner, wait_for
from steps import Workshop, create
from violation import Violation

LIMIT_S = 30
CALL = re.compile(r"^(\d+) +(\w+)\(")
# A thread ends by them; no call comes after.
LAST = ("exit", "exit_group", "rt_sigreturn", "restart_syscall")


def has_killed(trace: Path) -> bool:
    """Reports if strace wrote that it killed."""
    return trace.exists() and b"killed by SIGKILL" in trace.read_bytes()


class Scene:
    """A moment of a server's life whose system calls are the points. `prepare` brings the data directory there."""

    name = ""
    # strace kills each supervisor at its own call of this number, so a step may end without having begun.
    may_not_begin = False

    def __init__(self, case: Case):
        self.case = case
        self.workshop = Workshop(case.folder / "workshop")
        self.client = Client(self.workshop)
        self.runner = Runner(case.binary, case.folder)
        self.trace = case.folder / "trace"
        case.on_end(self.runner.end)

    def prepare(self):
        """Before strace."""

    def strace(self, *words: str) -> subprocess.Popen:
        """Starts the scene under strace."""
        raise NotImplementedError

    def play(self, tracer: subprocess.Popen):
        """Plays the scene until its end, or until the kill."""
        raise NotImplementedError

    def end(self, tracer: subprocess.Popen):
        """Ends the server, if the kill did not, and strace with it."""
        processes.kill(p.pid for p in processes.of_data(self.runner.data) if p.pid != tracer.pid)
        tracer.wait(LIMIT_S)
        if self.runner.server:
            self.runner.server.disconnect()
            self.runner.server.process.wait(LIMIT_S)

    def examine(self):
        """An ordinary start takes up what is there; then everything works."""
        server = self.runner.start()
        if not rows(self.runner.data, "SELECT 1 FROM tasks"):
            create(server, self.workshop.tasks())
        self.client.trigger(server, "daemons")
        if not self.client.history.acknowledged:
            raise Violation("the server takes no run after the kill")
        check(self.runner, self.workshop, self.client.history, may_not_begin=self.may_not_begin)


class FirstStart(Scene):
    """From nothing to a server that is ready."""

    name = "first-start"

    def __init__(self, case: Case):
        super().__init__(case)
        # With a certificate, as by default.
        self.runner.env["LIGHTFLOW_TLS"] = "on"

    def strace(self, *words: str) -> subprocess.Popen:
        command = ["strace", "-f", "-q", "-e", "signal=KILL", *words, *map(str, self.runner.command())]
        with self.runner.log.open("ab") as out:
            return subprocess.Popen(command, env=self.runner.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def play(self, tracer: subprocess.Popen):
        def over():
            return tracer.poll() is not None or b"lightflow serves" in self.runner.log.read_bytes()
        wait_for("the end of the start", over, LIMIT_S)
        # The last calls follow the message.
        until = time.monotonic() + 0.1
        while tracer.poll() is None and time.monotonic() < until:
            time.sleep(0.005)

    def examine(self):
        if b"/setup?token=" not in self.runner.log.read_bytes():
            self.runner.start()
            self.runner.stop()
            if b"/setup?token=" not in self.runner.log.read_bytes():
                raise Violation("no setup link in the log")
        super().examine()


class Recovery(FirstStart):
    """A start that takes up a run whose server was killed."""

    name = "recovery"
    may_not_begin = True

    def prepare(self):
        server = self.runner.start()
        create(server, self.workshop.tasks())
        self.client.trigger(server, "stuck")
        self.client.trigger(server, "plain")
        wait_for("the step", lambda: any(s.step == "hang" for s in self.workshop.stamps()))
        self.runner.kill_tree()
        self.runner.log.write_bytes(b"")


class Run(Scene):
    """Two runs from the request to the end: one with a retry, one that fails."""

    name = "run"
    may_not_begin = True

    def prepare(self):
        server = self.runner.start()
        step = self.workshop.step
        always = {"rule": "always"}
        tasks = [
            {"name": "one", "steps": [step("flaky", "flaky", retries=1), step("start", **always)]},
            {"name": "two", "steps": [step("bad", "fail"), step("never"), step("start", **always)]},
        ]
        create(server, tasks)

    def strace(self, *words: str) -> subprocess.Popen:
        # Steps are programs of the user: only the server and its supervisors are counted.
        command = ["strace", "-f", "-q", "-e", "signal=KILL", *words, "-p", str(self.runner.server.process.pid)]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tasks = Path(f"/proc/{self.runner.server.process.pid}/task")

        def followed():
            # The first call of a waiting server may be the one that is killed.
            if not self.runner.server.is_alive():
                return True
            return all("TracerPid:\t0" not in (thread / "status").read_text() for thread in tasks.iterdir())
        wait_for("strace", followed, LIMIT_S)
        return tracer

    def play(self, tracer: subprocess.Popen):
        server = self.runner.server
        for task in ("one", "two"):
            self.client.trigger(server, task)

        def over():
            return not server.is_alive() or not rows(self.runner.data, "SELECT 1 FROM runs WHERE finished_at IS NULL")
        wait_for("the end of the runs", over, LIMIT_S)

    def examine(self):
        server = self.runner.start()
        self.client.trigger(server, "one")
        check(self.runner, self.workshop, self.client.history, may_not_begin=self.may_not_begin)


SCENES = {scene.name: scene for scene in (FirstStart, Recovery, Run)}


def count_calls(scene_type: type, binary: Path) -> list[tuple[str, int]]:
    """Plays a scene without kills; returns the points: each call's name with each number that a thread reaches."""
    with tempfile.TemporaryDirectory(prefix="lightflow-calls-") as folder:
        case = Case(binary, Path(folder), "", 0, "syscalls", "count", 0)
        case.folder.mkdir(parents=True)
        scene = scene_type(case)
        scene.prepare()
        tracer = scene.strace("-o", str(scene.trace))
        scene.play(tracer)
        scene.end(tracer)
        most: Counter = Counter()
        calls: Counter = Counter()
        strangers = set()
        for line in scene.trace.read_text(errors="replace").splitlines():
            found = CALL.match(line)
            if not found or found[1] in strangers or found[2] in LAST:
                continue
            thread, name = found.groups()
            if name == "execve" and "/lightflow" not in line:
                strangers.add(thread)
                continue
            calls[thread, name] += 1
            most[name] = max(most[name], calls[thread, name])
        return [(name, number) for name in sorted(most) for number in range(1, most[name] + 1)]


def point(scene_type: type, name: str, number: int, case: Case):
    """One kill."""
    scene = scene_type(case)
    scene.prepare()
    # Only the named call is traced, so all others go at full speed.
    tracer = scene.strace("-o", str(scene.trace), "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}")
    try:
        scene.play(tracer)
    finally:
        scene.end(tracer)
    case.count("kills", has_killed(scene.trace))
    scene.examine()


def cases(scale, only: str | None) -> list:
    """All points of each scene; a short torture takes a few of each. A point that is repeated is not counted again."""
    if only and "*" not in only:
        scene, call, number = only.split(":")
        return [(f"{scene}:{call}", int(number), functools.partial(point, SCENES[scene], call, int(number)))]
    binary = Path(os.environ["TORTURE_BINARY"])
    found = []
    for name, scene_type in SCENES.items():
        if only and not only.startswith(name):
            continue
        points = count_calls(scene_type, binary)
        for call, number in points[:: max(1, len(points) // scale(6, 100_000))]:
            found.append((f"{name}:{call}", number, functools.partial(point, scene_type, call, number)))
    return found
