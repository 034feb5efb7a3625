"""The promises of the runner, checked from outside: stamps of steps, Python's sqlite3, /proc, the API.

`check` waits until all runs are over, compares every fact of a history with the runner, stops it, and examines the
database file. It raises a Violation with all broken promises.
"""

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import processes
from history import History
from runner import Runner, wait_for
from steps import Workshop, log_of
from violation import Violation

DONE = ("success", "skipped", "failed")
OPEN_RUNS = "SELECT id FROM runs WHERE state IN ('queued', 'running')"


def rows(data: Path, sql: str, *values) -> list[sqlite3.Row]:
    """Asks the live database, read-only, by another SQLite than the runner's."""
    with closing(sqlite3.connect(f"file:{data}/lightflow.db?mode=ro", uri=True, timeout=30)) as db:
        db.row_factory = sqlite3.Row
        return db.execute(sql, values).fetchall()


def settle(runner: Runner, limit_s: float = 90):
    """Waits until no run goes on."""
    def over():
        return not rows(runner.data, OPEN_RUNS)
    try:
        wait_for("the end of all runs", over, limit_s)
    except Violation as error:
        left = [row["id"] for row in rows(runner.data, OPEN_RUNS)]
        raise Violation(f"{error}: runs {left} do not end") from error


class Check:
    """One examination; `broken` collects the broken promises."""

    def __init__(
        self,
        runner: Runner,
        workshop: Workshop,
        history: History,
        complete_logs: bool = True,
        lost_writes: bool = False,
        may_not_begin: bool = False,
    ):
        self.runner = runner
        self.workshop = workshop
        self.history = history
        self.complete_logs = complete_logs
        # A runner whose database cannot be written goes on; if it is killed meanwhile, it does not know of that work.
        self.lost_writes = lost_writes
        self.may_not_begin = may_not_begin
        self.broken: list[str] = []
        self.runs = 0
        self.steps = 0

    def expect(self, good: bool, text: str):
        """Notes a promise that does not hold."""
        if not good:
            self.broken.append(text)

    def facts(self):
        """Acknowledged and finished runs are as they were."""
        stored = {row["id"]: row for row in rows(self.runner.data, "SELECT * FROM runs")}
        names = {row["name"] for row in rows(self.runner.data, "SELECT name FROM tasks")}
        runs = self.history.runs()
        self.expect(len(set(runs)) == len(runs), f"a number was given to two runs: {sorted(runs)}")
        for task, _ in self.history.tasks:
            self.expect(task in names, f"the acknowledged task {task} is lost")
        for run in runs:
            self.expect(run in stored, f"the acknowledged run {run} is lost")
        for run, _ in self.history.cancelled:
            if run in stored:
                kept = stored[run]["cancel"] is not None or run in self.history.shown
                self.expect(kept, f"the acknowledged cancel of run {run} is lost")
        stamps = self.workshop.stamps()
        for run, shown in self.history.shown.items():
            if run not in stored:
                self.broken.append(f"run {run}, shown as {shown.state}, is lost")
                continue
            now = (stored[run]["state"], self.step_states(run))
            self.expect(now == (shown.state, shown.steps), f"run {run} was shown as {shown.state} {shown.steps} and is {now}")
            late = [s for s in stamps[shown.stamps :] if s.run == run]
            self.expect(not late, f"run {run} was shown as finished, and then: {late}")

    def step_states(self, run: int) -> tuple:
        """Name, state and attempts of each step, from the database."""
        sql = "SELECT definition ->> 'name', state, attempt FROM step_runs WHERE run_id = ? ORDER BY position"
        return tuple(tuple(row) for row in rows(self.runner.data, sql, run))

    def api(self):
        """The API says the same as the database."""
        for row in rows(self.runner.data, "SELECT id, state FROM runs"):
            run = self.runner.server.api("GET", f"/runs/{row['id']}")
            told = tuple((step["name"], step["state"], step["attempt"]) for step in run["steps"])
            kept = self.step_states(row["id"])
            self.expect((run["state"], told) == (row["state"], kept), f"run {row['id']}: API {told}, database {kept}")

    def steps_of_runs(self):
        """Rules, attempts and logs of every step, against the stamps."""
        begun, ended = defaultdict(list), defaultdict(dict)
        for stamp in self.workshop.stamps():
            if stamp.kind == "begin":
                begun[stamp.run, stamp.step].append(stamp.attempt)
            else:
                ended[stamp.run, stamp.step][stamp.attempt] = stamp.number
        known = set()
        sql = """SELECT s.*, definition ->> 'name' AS name, definition ->> 'rule' AS rule,
                 coalesce(definition ->> 'retries', 0) AS retries, r.cancel FROM step_runs s JOIN runs r ON r.id = s.run_id"""
        for row in rows(self.runner.data, sql):
            self.steps += 1
            key = (row["run_id"], row["name"])
            known.add(key)
            self.one_step(row, begun[key], ended[key])
        self.runs = len({run for run, _ in known})
        for key in begun:
            self.expect(key in known, f"step {key[1]} of run {key[0]} ran, and the database does not know it")

    def one_step(self, row: sqlite3.Row, begun: list[int], ended: dict[int, int]):
        """One step against its stamps."""
        name = f"run {row['run_id']} step {row['name']} ({row['rule']}, {row['state']}, attempt {row['attempt']})"
        if not self.lost_writes:
            self.expect(len(begun) == len(set(begun)), f"{name}: one attempt ran twice: {begun}")
            self.expect(not begun or max(begun) <= row["attempt"], f"{name}: attempts {begun} ran")
            self.expect(row["state"] != "not_run" or not begun, f"{name}: it ran")
        if row["rule"] == "always":
            if row["cancel"] != "force":
                self.expect(row["state"] in DONE, f"{name}: always means always")
                self.expect(bool(begun) or self.may_not_begin, f"{name}: no attempt ran")
        elif not self.lost_writes:
            self.expect(len(begun) <= 1 + row["retries"], f"{name}: {len(begun)} attempts ran")
        if row["state"] in ("success", "skipped"):
            code = 0 if row["state"] == "success" else 75
            self.expect(ended.get(row["attempt"]) == code, f"{name}: it did not end with {code}: {ended}")
            if self.complete_logs:
                self.log(row, name)

    def log(self, row: sqlite3.Row, name: str):
        """The log of a green or grey step is complete."""
        path = f"/api/v1/runs/{row['run_id']}/steps/{row['position']}/log"
        text = self.runner.server.request("GET", path)
        text = b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"lightflow: "))
        lines = 200 if row["name"] == "copy" else 3
        good = text == log_of(row["run_id"], row["name"], row["attempt"], lines)
        self.expect(good, f"{name}: the log is not complete: {len(text)} bytes, {text[-120:]!r}")

    def processes(self):
        """No process of a step is left."""
        left = processes.gone(lambda: processes.of_steps(self.runner.data))
        self.expect(not left, f"processes are left: {[p.command for p in left]}")

    def file(self):
        """The database file is sound after the stop, and its log of changes empty."""
        wal = self.runner.data / "lightflow.db-wal"
        self.expect(not wal.exists() or wal.stat().st_size == 0, "the log of changes is not empty after a clean stop")
        left = processes.gone(lambda: processes.of_data(self.runner.data))
        self.expect(not left, f"processes are left after the stop: {[p.command for p in left]}")
        for pragma in ("integrity_check", "foreign_key_check"):
            found = [tuple(row) for row in rows(self.runner.data, f"PRAGMA {pragma}")]
            self.expect(found in ([], [("ok",)]), f"{pragma}: {found[:5]}")

    def run(self):
        """All of it; raises with the broken promises."""
        settle(self.runner)
        self.facts()
        self.api()
        self.steps_of_runs()
        self.processes()
        self.runner.stop()
        self.file()
        if self.broken:
            raise Violation("\n".join(self.broken[:20]))


def check(runner: Runner, workshop: Workshop, history: History, **options) -> Check:
    """Examines a runner that runs, and stops it."""
    done = Check(runner, workshop, history, **options)
    done.run()
    return done
