"""Runs the test classes of some files with several programs for rclone, each in namespaces of its own, several at a time.

parallel.py RCLONE… -- FILE… [-k PATTERN] [-f]
"""

import concurrent.futures
import importlib
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A test waits most of its time; in --long all of it.
AT_A_TIME = (20 if os.environ.get("ONEDRIVE_LONG") else 5) * (os.cpu_count() or 1)
# As process 1 of its namespace bash collects orphans, for example a keeper of a lease.
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
PROCESS_ONE = ["bash", "-c", '"$@"; exit $?', "bash"]


def classes(files: list[str]) -> list[tuple[str, int]]:
    """The names of the test classes that have tests, and each part of those that run in parts."""
    found = []
    for file in files:
        module = importlib.import_module(file)
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == file:
                if unittest.defaultTestLoader.getTestCaseNames(value):
                    found += [(f"{file}.{name}", part) for part in range(getattr(value, "parts", 1))]
    return found


def run(job: tuple[str, str, int], options: list[str]) -> tuple[bool, float, str]:
    """Runs one class with one rclone."""
    rclone, name, part = job
    namespaces = [*NAMESPACES, *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    command = [*namespaces, "--", *PROCESS_ONE, sys.executable, "-B", str(HERE / "suite.py"), name, *options]
    environment = {**os.environ, "ONEDRIVE_RCLONE": rclone, "ONEDRIVE_PART": str(part)}
    began = time.monotonic()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode == 0, time.monotonic() - began, done.stdout + done.stderr


def main() -> int:
    """Prints the output of each class as soon as it is over; the exit code is 0 when all passed."""
    words = sys.argv[1:]
    cut = words.index("--")
    programs, rest = words[:cut], words[cut + 1 :]
    files = [word for word in rest if word.startswith("test_")]
    options = [word for word in rest if word not in files]
    jobs = [(program, *test) for test in classes(files) for program in programs]
    began, failed = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        running = {pool.submit(run, job, options): job for job in jobs}
        for one in concurrent.futures.as_completed(running):
            passed, took, said = one.result()
            program, name, _ = running[one]
            print(f"---- {name}, {took:.0f} s\n{said}", flush=True)
            if not passed:
                failed.append(f"{name} with {program}")
    print(f"{len(jobs) - len(failed)} of {len(jobs)} classes passed in {time.monotonic() - began:.0f} s")
    for name in failed:
        print(f"FAILED: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
