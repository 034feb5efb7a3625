"""The steps of the torture: a shell script that leaves stamps outside the data directory, and tasks made of it.

Invariant: a stamp is written before and after the work of an attempt, in one write of less than a pipe's size, so a
stamp is there completely or not at all.
"""

from dataclasses import dataclass
from pathlib import Path

SCRIPT = r"""#!/bin/sh
# step.sh STAMPS HOW LINES [POSITION-FILE]
at=0
[ -z "${4-}" ] || at=$(stat -c %s "$4")
echo "begin $LIGHTFLOW_RUN_ID $LIGHTFLOW_STEP $LIGHTFLOW_ATTEMPT $at" >>"$1"
i=0
while [ "$i" -lt "$3" ]; do
    echo "run $LIGHTFLOW_RUN_ID step $LIGHTFLOW_STEP attempt $LIGHTFLOW_ATTEMPT line $i"
    i=$((i + 1))
done
code=0
case $2 in
fail) code=1 ;;
skip) code=75 ;;
flaky) [ $((LIGHTFLOW_ATTEMPT % 2)) -eq 0 ] || code=1 ;;
slow) sleep 0.$((LIGHTFLOW_RUN_ID % 7 + 1)) ;;
hang) sleep 600 ;;
daemon) setsid -f sleep 600 >/dev/null 2>&1 </dev/null ;;
nested) { (sleep 600 & exec sleep 600) & (setsid sh -c 'sleep 600 & sleep 600' &) ; } >/dev/null 2>&1 </dev/null ;;
esac
echo "end $LIGHTFLOW_RUN_ID $LIGHTFLOW_STEP $LIGHTFLOW_ATTEMPT $code" >>"$1"
exit $code
"""


def log_of(run: int, step: str, attempt: int, lines: int) -> bytes:
    """The complete log of one attempt."""
    return "".join(f"run {run} step {step} attempt {attempt} line {number}\n" for number in range(lines)).encode()


@dataclass(frozen=True)
class Stamp:
    """A trace of a step outside the data directory: `begin` with a position in the disk's log, `end` with an exit code."""

    kind: str
    run: int
    step: str
    attempt: int
    number: int


class Workshop:
    """The folder of the script and the stamps, and the tasks that use it."""

    def __init__(self, folder: Path, position_file: Path | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.script = folder / "step.sh"
        self.stamps_file = folder / "stamps"
        self.position_file = position_file
        self.script.write_text(SCRIPT)
        # Steps of another user write stamps as well.
        folder.chmod(0o755)
        self.stamps_file.touch()
        self.stamps_file.chmod(0o666)

    def step(self, name: str, how: str = "ok", lines: int = 3, **more) -> dict:
        """A step of a task; the keys are those of the API."""
        words = [str(self.script), str(self.stamps_file), how, str(lines)]
        if self.position_file:
            words.append(str(self.position_file))
        return {"name": name, "command": "sh", "args": words, **more}

    def stamps(self) -> list[Stamp]:
        """All stamps so far, in the order in which they were written."""
        found = []
        for line in self.stamps_file.read_text().splitlines():
            kind, run, step, attempt, number = line.split(" ")
            found.append(Stamp(kind, int(run), step, int(attempt), int(number)))
        return found

    def rewrite(self, stamps: list[Stamp]):
        """Replaces the stamps, as if only these had been written."""
        text = "".join(f"{s.kind} {s.run} {s.step} {s.attempt} {s.number}\n" for s in stamps)
        self.stamps_file.write_text(text)

    def tasks(self) -> list[dict]:
        """Tasks with every kind of step; each ends with a step that must always run."""
        step = self.step
        always = {"rule": "always"}
        return [
            {"name": "plain", "pool": "narrow", "steps": [step("stop"), step("copy", lines=200), step("start", **always)]},
            {
                "name": "again",
                "pool": "narrow",
                "steps": [step("flaky", "flaky", retries=2), step("slow", "slow"), step("start", "flaky", retries=1, **always)],
            },
            {
                "name": "broken",
                "steps": [step("bad", "fail", retries=1), step("next"), step("mend", rule="on_failure"), step("start", **always)],
            },
            {
                "name": "daemons",
                "pool": "wide",
                "steps": [step("daemon", "daemon"), step("nested", "nested"), step("start", "daemon", **always)],
            },
            {"name": "nothing", "pool": "wide", "steps": [step("skip", "skip"), step("slow", "slow"), step("start", **always)]},
            {"name": "stuck", "pool": "wide", "steps": [step("hang", "hang", timeout=3), step("start", **always)]},
        ]


POOLS = [{"name": "narrow", "slots": 1}, {"name": "wide", "slots": 2}]


def create(server, tasks: list[dict]):
    """Makes the pools and the tasks."""
    for pool in POOLS:
        server.api("POST", "/pools", pool)
    for task in tasks:
        server.api("POST", "/tasks", {"keep_runs": 10000, **task})
