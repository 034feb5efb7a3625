"""The demo: the nightly backup of two services on real parts, in one temporary folder. Started by ci/demo."""

import argparse
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import checks  # noqa: E402
from drives import LocalFolder, StandIn  # noqa: E402
from grid import Grid  # noqa: E402
from host import Host  # noqa: E402
from lightflow_server import ServerError  # noqa: E402
from runner import Day, Runner, expected  # noqa: E402
from services import SampleService  # noqa: E402
from world import MS_BIND, World, mount  # noqa: E402

SERVICES = ["notes", "photos"]
FIXED_DATA_ROOT = Path("/media/ssd/podman")
WARM_UP_S = 0.5
TAIL = 20
DAYS = {"today": Day.today, "other": Day.other, "sunday": Day.sunday}


class Stopped(BaseException):
    """A signal asked the demo to end."""


def main() -> int:
    """Reads the command line, runs the demo, and clears everything away."""
    given = arguments()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        with World() as world:
            return demo(world, given)
    except Stopped as stopped:
        print(f"\nended by {stopped}; everything is cleared away")
        return 0 if given.served else 130
    except (checks.Wrong, ServerError, RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1


def arguments() -> argparse.Namespace:
    """The options; ci/demo --help describes them."""
    parser = argparse.ArgumentParser(prog="ci/demo")
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--onedrive", action="store_true")
    parser.add_argument("--script", type=Path)
    parser.add_argument("--day", choices=DAYS, default="today")
    given = parser.parse_args()
    given.served = False
    return given


def stop(number, _frame):
    """Turns a signal into an exception, so that cleaning up has one way to happen."""
    raise Stopped(signal.Signals(number).name)


def demo(world: World, given: argparse.Namespace) -> int:
    """The demo from its beginning to its end."""
    day = DAYS[given.day]()
    data_root = make_data_root(world, given.script is not None)
    services = [SampleService(name, world, data_root) for name in SERVICES]
    print(f"Everything happens in {world.root}")
    drive = StandIn(world) if given.onedrive else LocalFolder(world)
    host = Host(world, drive, given.bin_dir / "backupctl", data_root, services)
    for service in services:
        service.bring_up()
        print(f"  service {service.name} writes its data and answers on {service.socket.relative_to(world.root)}")
    print(f"  sshd listens on port {host.port} and lets one key do one thing: backupctl --ssh-gate")
    runner = Runner(world, given.bin_dir / "lightflow")
    runner.set_up(host, given.script or HERE / "sample_backup.py", data_root, day, services)
    print("  lightflow serves; pool, variables, script and tasks are set up by its command line")
    time.sleep(WARM_UP_S)

    print("\nRun now, both tasks; the pool has one slot\n")
    began = time.monotonic()
    runs = [runner.trigger(service) for service in services]
    views = Grid().follow(runs, runner.look)
    print(f"\nboth are over after {time.monotonic() - began:.1f} s\n")

    drive.fetch()
    if not all([check(host, service, view, day) for service, view in zip(services, views)]):
        show_what_was_printed(world, runner, views, services)
        print("\nFAILED: not all is as it must be")
        return 1
    print("\nAll is as it must be.")
    if not given.once:
        given.served = True
        serve(runner)
    return 0


def make_data_root(world: World, fixed: bool) -> Path:
    """Folder of the services' data. A user's script may know only one place."""
    place = world.folder("podman")
    if not fixed:
        return place
    if not world.private_mounts:
        raise RuntimeError(f"--script needs root and private mounts: the script's data root is {FIXED_DATA_ROOT}")
    mount("tmpfs", "/media", "tmpfs", 0, "mode=0755,size=1m")
    FIXED_DATA_ROOT.mkdir(parents=True)
    mount(str(place), str(FIXED_DATA_ROOT), None, MS_BIND, None)
    return FIXED_DATA_ROOT


def check(host: Host, service: SampleService, view: dict, day: Day) -> bool:
    """Prints the result of each check; returns true if all held."""
    all_held = True
    print(f"{service.name}")
    todo = [
        lambda: checks.colours(view, expected(day)),
        lambda: checks.mirror(host, service),
        lambda: checks.told(view),
        lambda: (checks.archive if day.archives else checks.no_archive)(host, service),
        lambda: checks.answering(service),
        lambda: checks.downtime(service, 2 if day.archives else 1),
    ]
    for one in todo:
        try:
            print(f"  ok   {one()}")
        except (checks.Wrong, OSError, subprocess.CalledProcessError) as wrong:
            all_held = False
            print(f"  NO   {wrong}")
    return all_held


def show_what_was_printed(world: World, runner: Runner, views: list[dict], services: list[SampleService]):
    """The logs of the steps that failed, of those at the other end, and of the services."""
    for view in views:
        for step in view["steps"]:
            if step["state"] in ("failed", "cancelled", "interrupted"):
                heading(f"{view['task']}, step {step['name']}: {step['reason']}")
                with contextlib.suppress(ServerError):
                    print(runner.log_of(view["id"], step["name"]).rstrip())
    logs = {name: world.log(name) for name in ("sshd", "gate")}
    logs |= {service.name: service.log.read_text(errors="replace") for service in services}
    for name, text in logs.items():
        heading(name)
        print("\n".join(text.splitlines()[-TAIL:]))


def heading(text: str):
    """A line between one log and the next."""
    print(f"\n--- {text} ---")


def serve(runner: Runner):
    """Keeps everything running until Ctrl-C."""
    page, setup = runner.addresses()
    print(f"\nThe web page: {page}  (the certificate was made just now, so the browser asks)")
    if setup:
        print(f"Make yourself a login first: {setup}")
    print("\nCtrl-C ends the demo and clears everything away.")
    if runner.server.process.wait() != 0:
        raise RuntimeError(f"the server ended:\n{runner.world.log('lightflow')[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
