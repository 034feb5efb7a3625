"""A machine that lacks something for a while: space, inodes, a disk that works, processes. Once it is over every promise holds."""

import errno
import functools
import os
import time
from pathlib import Path

from case import Case
from disk import Disk, available, run
from disk_server import Faults
from history import Client
from invariants import check, settle
from runner import Runner
from steps import Workshop, create
from violation import Violation

ROUNDS = 3
# A user without any other process.
STRANGER = 54321
# Processes of the container in which the fork bomb goes off.
CONTAINER_PROCESSES = 200


class Shelter:
    """A workshop, a client and a runner for one case."""

    def __init__(self, case: Case, data: Path | None = None, prefix: tuple = ()):
        self.case = case
        self.rng = case.rng
        self.workshop = Workshop(case.folder / "workshop")
        self.client = Client(self.workshop)
        self.runner = Runner(case.binary, case.folder, data, prefix=prefix)
        case.on_end(self.runner.end)
        self.tasks = self.workshop.tasks()
        self.names = [task["name"] for task in self.tasks]

    def work(self, least: int = 3, most: int = 8):
        """Some triggers and looks, with pauses."""
        for _ in range(self.rng.randint(least, most)):
            self.client.trigger(self.runner.server, self.rng.choice(self.names))
            time.sleep(self.rng.choice([0, 0.05, 0.2]))
        self.client.look(self.runner.server)

    def examine(self, **options):
        """The examination, once the trouble is over."""
        if not self.runner.server or not self.runner.server.is_alive():
            self.runner.start()
        done = check(self.runner, self.workshop, self.client.history, **options)
        self.case.count("runs", done.runs)
        self.case.count("acknowledged", len(self.client.history.acknowledged))


def fill(folder: Path):
    """Takes all space."""
    with (folder / "filling").open("wb") as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    os.write(file.fileno(), b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def fill_inodes(folder: Path):
    """Takes all inodes."""
    (folder / "filling").mkdir()
    number = 0
    try:
        while True:
            (folder / "filling" / str(number)).touch()
            number += 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def no_room(options: str, fill_up, case: Case):
    """A file system that is full now and then; sometimes the server is killed and started meanwhile."""
    small = case.folder / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", options, "torture", small)
    case.on_end(lambda: run("umount", small, check=False))
    shelter = Shelter(case, small / "data")
    create(shelter.runner.start(), shelter.tasks)
    killed = False
    for _ in range(ROUNDS):
        shelter.work()
        fill_up(small)
        shelter.work()
        if case.rng.random() < 0.5:
            killed = True
            shelter.runner.kill_tree()
            # It may say that there is no space, or take up what it owes; it must not spoil anything.
            starting = shelter.runner.start_and_forget()
            time.sleep(case.rng.uniform(0.1, 1))
            starting.kill()
            starting.wait()
            case.count("kills", 2)
        run("rm", "-rf", small / "filling")
        if not shelter.runner.server.is_alive():
            shelter.runner.start()
        shelter.work(1, 3)
        case.count("shortages")
    shelter.examine(complete_logs=False, lost_writes=killed)


def bad_disk(kind: str, fault: int, wait_s: float, case: Case):
    """A disk that fails or is slow for a while. Then the power is cut politely: kill, unmount, mount."""
    disk = Disk(case.folder / "disk", kind)
    case.on_end(disk.close)
    point = case.folder / "mounted"
    disk.mount(point)
    shelter = Shelter(case, point / "data")
    create(shelter.runner.start(), shelter.tasks)
    for _ in range(ROUNDS):
        shelter.work()
        disk.faults.set(fault, wait_s)
        shelter.work()
        time.sleep(case.rng.uniform(0, 1.5))
        disk.faults.set()
        shelter.work(1, 4)
        shelter.runner.kill_tree()
        disk.unmount()
        disk.mount(point)
        shelter.runner.start()
        case.count("faults of the disk")
    shelter.examine(complete_logs=fault == Faults.NONE, lost_writes=fault != Faults.NONE)


def groups() -> Path | None:
    """The folder in which control groups with a limit of processes are made: of cgroups version 1, else of version 2."""
    first, second = Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")
    if not first.is_dir():
        try:
            (second / "cgroup.subtree_control").write_text("+pids")
        except OSError:
            return None
    parent = first if first.is_dir() else second
    return parent if os.access(parent, os.W_OK) else None


class Container:
    """A control group with a limit of processes, as a container has it."""

    def __init__(self, case: Case):
        parent = groups()
        self.group = parent / f"lightflow-torture-{os.getpid()}-{time.monotonic_ns()}"
        self.group.mkdir()
        case.on_end(self._remove)
        self.prefix = ("sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(self.group))

    def limit(self, number: int | None):
        """At most so many processes and threads."""
        (self.group / "pids.max").write_text("max" if number is None else str(number))

    def current(self) -> int:
        """Processes and threads now."""
        return int((self.group / "pids.current").read_text())

    def _remove(self):
        for _ in range(100):
            try:
                self.group.rmdir()
                return
            except OSError:
                time.sleep(0.05)


def no_processes(case: Case):
    """The system gives no more processes and threads for a while. `always` steps wait for it."""
    container = Container(case)
    shelter = Shelter(case, prefix=container.prefix)
    create(shelter.runner.start(), shelter.tasks)
    for _ in range(ROUNDS):
        shelter.work(1, 3)
        container.limit(container.current() + case.rng.randint(0, 3))
        shelter.work()
        time.sleep(case.rng.uniform(0.2, 1.5))
        container.limit(None)
        if not shelter.runner.server.is_alive():
            raise Violation(f"the server ended for want of processes: {shelter.runner.log.read_text()[-800:]}")
        shelter.work(1, 3)
        case.count("shortages")
    shelter.examine()


def fork_bomb(case: Case):
    """A step forks without end in the limit of its container; other runs wait at most."""
    container = Container(case)
    # The server sees the limit where a container has it, and is no root.
    enter = f"mount -t tmpfs torture /sys/fs/cgroup && echo {CONTAINER_PROCESSES} >/sys/fs/cgroup/pids.max"
    become = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
    shown = ("unshare", "--mount", "sh", "-c", enter + ' && exec "$@"', "sh", *become)
    data = case.folder / "data"
    data.mkdir()
    os.chown(data, STRANGER, STRANGER)
    shelter = Shelter(case, data, (*container.prefix, *shown))
    container.limit(CONTAINER_PROCESSES)
    server = shelter.runner.start()
    create(server, shelter.tasks)
    step = shelter.workshop.step
    bomb = {"name": "bomb", "command": "sh", "args": ["-c", "b() { b | b & }; b; sleep 60"], "timeout": 2}
    server.api("POST", "/tasks", {"name": "bomb", "steps": [bomb, step("start", rule="always")]})
    shelter.client.trigger(server, "bomb")
    time.sleep(case.rng.uniform(0.3, 1))
    for name in ("plain", "broken", "again"):
        shelter.client.trigger(server, name)
    settle(shelter.runner, 120)
    if not shelter.runner.server.is_alive():
        raise Violation("the server died of the fork bomb")
    case.count("fork bombs")
    shelter.examine()
    bad = [s for s in shelter.workshop.stamps() if s.kind == "end" and s.step == "start" and s.number not in (0, 1)]
    if bad:
        raise Violation(f"an always step failed beside the bomb: {bad}")


def cases(scale, _only: str | None) -> list:
    """Every shortage, a few times."""
    kinds = {
        "space": functools.partial(no_room, "size=16m", fill),
        "inodes": functools.partial(no_room, "size=64m,nr_inodes=300", fill_inodes),
        "processes": no_processes,
        "bomb": fork_bomb,
        "slow-flush": functools.partial(bad_disk, "ext4", Faults.NONE, 0.7),
        "write-errors-ext4": functools.partial(bad_disk, "ext4", Faults.WRITES, 0),
        "flush-errors-ext4": functools.partial(bad_disk, "ext4", Faults.FLUSHES, 0),
        "write-errors-xfs": functools.partial(bad_disk, "xfs", Faults.WRITES, 0),
        "write-errors-btrfs": functools.partial(bad_disk, "btrfs", Faults.WRITES, 0),
    }
    # A short torture takes one kind of each sort.
    wanted = list(kinds) if scale(1, 2) > 1 else ["space", "processes", "bomb", "write-errors-ext4"]
    if groups() is None:
        print("  skipped, no control groups of one's own: processes, bomb", flush=True)
        wanted = [name for name in wanted if name not in ("processes", "bomb")]
    if not available():
        wanted = [name for name in wanted if name in ("space", "inodes", "processes", "bomb")]
    return [(name, number, kinds[name]) for name in wanted for number in range(scale(1, 6))]
