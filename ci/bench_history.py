"""A history of a million step runs, written into the database of a stopped server."""

import json
import sqlite3
import time
from pathlib import Path

STEPS_A_RUN = 5
DAY_MS = 86_400_000
APART_MS = 300_000


def fill(database: Path, step_runs: int):
    """Gives every task whose retention keeps them the same number of finished runs, five minutes apart, oldest first."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA synchronous = OFF")
    tasks = connection.execute("SELECT id, name, definition FROM tasks WHERE definition ->> 'keep_runs' = 10000 ORDER BY id").fetchall()
    steps = {task: json.loads(definition)["steps"] for task, _, definition in tasks}
    runs = step_runs // STEPS_A_RUN
    first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM runs").fetchone()[0]
    begin = int(time.time() * 1000) - runs * APART_MS - DAY_MS
    with connection:
        connection.executemany(
            """INSERT INTO runs (id, task_id, task_name, trigger, state, created_at, started_at, finished_at)
               VALUES (?, ?, ?, 'manual', ?, ?, ?, ?)""",
            (
                (first + n, *tasks[n % len(tasks)][:2], state(n), at := begin + n * APART_MS, at + 5, at + 4_000)
                for n in range(runs)
            ),
        )
        connection.executemany(
            """INSERT INTO step_runs (run_id, position, definition, state, attempt, exit_code, queued_at, started_at, finished_at)
               VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)""",
            (
                (first + n, position, json.dumps(step), *step_state(n, position), at := begin + n * APART_MS, at + 5, at + 1_000)
                for n in range(runs)
                for position, step in enumerate(steps[tasks[n % len(tasks)][0]])
            ),
        )
    connection.close()


def state(n: int) -> str:
    """One run of fifty failed."""
    return "failed" if n % 50 == 0 else "success"


def step_state(n: int, position: int) -> tuple[str, int]:
    """The last step of a failed run failed."""
    failed = n % 50 == 0 and position == STEPS_A_RUN - 1
    return ("failed", 1) if failed else ("success", 0)
