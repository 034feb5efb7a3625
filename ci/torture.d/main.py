"""The command line of ci/torture, inside the namespaces that it made."""

import argparse
import importlib
import os
import sys
import tempfile
import time
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from case import Case  # noqa: E402

PARTS = {
    "syscalls": "SIGKILL at every system call of a first start, of a run, and of a start that takes up a run",
    "kills": "random kills of server, supervisors and whole tree",
    "power": "power cuts at block level on ext4, XFS and btrfs",
    "starved": "no space, no inodes, errors of the disk, slow flushes, no processes, a fork bomb",
    "clocks": "the clock moved through fire times",
    "soak": "many runs, then the server's threads, descriptors and memory",
}
SHOWN_LINES = 8
# Seconds between two lines about the progress of a part.
TELL_AGAIN_S = 60


def parse() -> argparse.Namespace:
    """The options; ci/torture prints the help."""
    parser = argparse.ArgumentParser(prog="ci/torture", usage="see ci/torture --help", add_help=False)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--case")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    return parser.parse_args()


def main() -> int:
    """Runs the cases of each part; exit code 1 after a failure."""
    options = parse()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(3), "big")
    print(f"seed {seed}", flush=True)
    scratch = Path(tempfile.mkdtemp(prefix="lightflow-torture-", dir=os.environ.get("TORTURE_TMP")))
    # Steps of another user pass through.
    scratch.chmod(0o755)
    failures = []

    words = "--long" if options.long else ""
    if options.scale != 1:
        words += f" --scale {options.scale}"

    def scale(short: int, long: int) -> int:
        return max(1, round((long if options.long else short) * options.scale))

    for part in options.parts or PARTS:
        module = importlib.import_module(part)
        counters: Counter = Counter()
        began = time.monotonic()
        told = began
        bad = count = 0
        for name, number, body in module.cases(scale, options.case):
            case = Case(options.binary, scratch, words, seed, part, name, number)
            if options.case and not fnmatchcase(case.key, options.case):
                continue
            count += 1
            failure = case.run(body)
            counters.update(case.counters)
            if time.monotonic() - told > TELL_AGAIN_S:
                told = time.monotonic()
                print(f"  {part}: {count} cases, {dict(counters)}", file=sys.stderr, flush=True)
            if failure is not None:
                bad += 1
                failures.append(case.repeat())
                lines = failure.strip().splitlines()
                print(f"FAILED {part} {case.key}, kept in {case.folder}", *lines[:SHOWN_LINES], *lines[SHOWN_LINES:][-SHOWN_LINES:], sep="\n  ", flush=True)
                print(f"  repeat: {case.repeat()}", flush=True)
        figures = ", ".join(f"{value:,} {what}" for what, value in counters.items())
        print(f"{part:9} {count:5} cases, {bad} failed, {time.monotonic() - began:6.0f} s: {figures}", flush=True)
    if not failures:
        os.rmdir(scratch)
        return 0
    print(f"{len(failures)} FAILED; repeat one of them alone:", *failures, sep="\n  ")
    return 1


if __name__ == "__main__":
    sys.exit(main())
