"""The wall clock moved through fire times: forward, back, while the server is off, and to 1970.

The server runs with a library that adds an offset to the wall clock (wallclock.c); the machine's own clock stays. A case
is a list of random moves, each with the fires that must follow and those that must not.
"""

import functools
import mmap
import struct
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from case import Case
from history import Client
from invariants import check, rows, settle
from runner import Runner, wait_for
from steps import Workshop, create
from violation import Violation

MOVES = 8
UTC = timezone.utc


class WallClock:
    """The offset of the server's wall clock."""

    layout = struct.Struct("<q")

    def __init__(self, folder: Path):
        self.file = folder / "clock"
        self.library = folder / "wallclock.so"
        self.file.write_bytes(bytes(self.layout.size))
        source = Path(__file__).with_name("wallclock.c")
        subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", self.library, source, "-lpthread"], check=True)
        with self.file.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), self.layout.size)

    def environment(self) -> dict:
        """For the server."""
        return {"LD_PRELOAD": str(self.library), "LIGHTFLOW_TORTURE_CLOCK": str(self.file)}

    def set(self, shown: datetime):
        """Sets the clock."""
        self.memory[:] = self.layout.pack(int((shown.timestamp() - time.time()) * 1e9))

    def now(self) -> datetime:
        """The time that the clock shows."""
        return datetime.fromtimestamp(time.time() + self.layout.unpack(self.memory[:])[0] / 1e9, UTC)


class Play:
    """One list of moves."""

    def __init__(self, case: Case):
        self.case = case
        self.rng = case.rng
        self.clock = WallClock(case.folder)
        self.workshop = Workshop(case.folder / "workshop")
        self.client = Client(self.workshop)
        self.runner = Runner(case.binary, case.folder, env=self.clock.environment())
        case.on_end(self.runner.end)
        self.clock.set(datetime(2027, 5, 3, 12, 0, tzinfo=UTC) + timedelta(minutes=self.rng.randrange(100_000)))
        step = self.workshop.step
        steps = [step("work"), step("start", rule="always")]
        server = self.runner.start()
        create(server, [
            {"name": "daily", "cron": "0 3 * * *", "auto": True, "on_missed": "run_once", "steps": steps},
            {"name": "choosy", "cron": "0 4 * * *", "auto": True, "on_missed": "skip", "steps": steps},
            {"name": "often", "cron": "*/5 * * * *", "auto": True, "on_missed": "skip", "steps": steps},
        ])

    def next_at(self, hour: int) -> datetime:
        """The next time of that hour."""
        now = self.clock.now()
        at = now.replace(hour=hour, minute=0, second=0, microsecond=0)
        return at if at > now else at + timedelta(days=1)

    def fires(self, task: str) -> list:
        """Fire times of a task with their runs."""
        return rows(self.runner.data, "SELECT * FROM runs WHERE task_name = ? AND due IS NOT NULL ORDER BY id", task)

    def of(self, task: str, due: datetime) -> list:
        """The runs of one fire time."""
        return [row for row in self.fires(task) if row["due"] == int(due.timestamp() * 1000)]

    def one_run(self, task: str, due: datetime, what: str):
        """Waits for the one run of a fire time."""
        def ran():
            return [row for row in self.of(task, due) if row["state"] != "missed"]
        wait_for(f"the run of {task} due {due:%Y-%m-%d %H:%M} ({what}; it is {self.clock.now():%Y-%m-%d %H:%M:%S})", ran, 15)

    def pass_by(self):
        """The clock walks over a fire time."""
        due = self.next_at(3)
        self.clock.set(due - timedelta(seconds=0.7))
        self.one_run("daily", due, "the clock passed it")

    def jump_over(self):
        """The clock is set forward over a fixed time by less than three hours: it runs at once."""
        due = self.next_at(3)
        self.clock.set(due - timedelta(minutes=self.rng.randint(1, 50)))
        time.sleep(0.3)
        self.clock.set(due + timedelta(minutes=self.rng.randint(1, 100)))
        self.one_run("daily", due, "the clock jumped over it")

    def back(self):
        """The clock is set back over a fixed time, by less than three hours: it does not run again."""
        self.pass_by()
        settle(self.runner)
        due = self.fires("daily")[-1]["due"]
        hours = self.rng.uniform(0.1, 2.5)
        self.clock.set(self.clock.now() - timedelta(hours=hours))
        time.sleep(0.3)
        self.clock.set(datetime.fromtimestamp(due / 1000, UTC) - timedelta(seconds=0.5))
        time.sleep(1.2)
        again = [row for row in self.fires("daily") if row["due"] == due]
        if len(again) != 1:
            raise Violation(f"a fixed time fired {len(again)} times after the clock went back")

    def off(self):
        """The machine is off at a fire time: one catch-up, or a record that it was missed."""
        self.clock.set(self.next_at(2) + timedelta(minutes=self.rng.randint(0, 50)))
        time.sleep(0.3)
        daily, choosy = self.next_at(3), self.next_at(4)
        before = len(self.fires("daily"))
        self.runner.kill_tree()
        self.clock.set(choosy + timedelta(days=self.rng.randint(0, 3), minutes=self.rng.randint(6, 500)))
        now = self.clock.now()
        while daily + timedelta(days=1) <= now:
            daily += timedelta(days=1)
        self.runner.start()
        self.one_run("daily", daily, "the machine was off")
        wait_for("the record of a missed fire", lambda: any(r["state"] == "missed" for r in self.fires("choosy")), 15)
        time.sleep(0.2)
        caught = len(self.fires("daily")) - before
        if caught != 1:
            raise Violation(f"{caught} catch-ups of one task")
        self.case.count("kills")

    def nineteen_seventy(self):
        """A start without a clock: nothing is made up for; the right time is followed again."""
        right = self.clock.now()
        self.runner.kill_tree()
        before = len(rows(self.runner.data, "SELECT 1 FROM runs"))
        self.clock.set(datetime(1970, 1, 1, 0, self.rng.randint(1, 59), tzinfo=UTC))
        self.runner.start()
        time.sleep(0.5)
        after = len(rows(self.runner.data, "SELECT 1 FROM runs"))
        if after != before:
            raise Violation(f"{after - before} runs were made in 1970")
        self.clock.set(right + timedelta(minutes=1))
        self.pass_by()
        self.case.count("kills")


def moves(case: Case):
    """Random moves, then the examination."""
    play = Play(case)
    acts = [Play.pass_by, Play.jump_over, Play.back, Play.off, Play.nineteen_seventy]
    done = []
    for _ in range(MOVES):
        act = case.rng.choice(acts)
        done.append(act.__name__)
        try:
            # A run that goes on would turn the next fire of its task into a missed one, rightly.
            settle(play.runner)
            act(play)
        except Violation as error:
            raise Violation(f"{error}\nmoves: {', '.join(done)}\n{play.runner.log.read_text()[-1500:]}") from error
        play.client.look(play.runner.server)
        case.count("moves of the clock")
    doubles = rows(play.runner.data, "SELECT task_name, due FROM runs WHERE due IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1")
    if doubles:
        raise Violation(f"fire times with two runs: {[tuple(row) for row in doubles]}")
    found = check(play.runner, play.workshop, play.client.history)
    case.count("runs", found.runs)


def cases(scale, _only: str | None) -> list:
    """Lists of moves."""
    return [("moves", number, functools.partial(moves)) for number in range(scale(1, 25))]
