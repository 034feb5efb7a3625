"""The whole story on one machine, from a bare system to a night after a power cut. Started by ci/e2e-arm64."""

import argparse
import http.client
import json
import re
import sys
import time
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import copies  # noqa: E402
from appliance import Appliance  # noqa: E402
from board import Board, Unexpected  # noqa: E402
from night import HOT, Night  # noqa: E402
from report import Report  # noqa: E402
from services import USER, set_up  # noqa: E402
from walls import Inspected, probe  # noqa: E402

SERVICES = ["notes", "photos"]
GREEN = ["success", "success", "success", "success"]
# So slow a line that the power can be cut in the middle of a transfer.
SLOW, BIG_MIB = "1M", 40
GATE = "/etc/backupctl"
# The default of the configuration that the installer writes.
LEASE_S = 7200

# Expected warnings of --doctor: a board without a time server, and no archive before the first night.
NO_TIME_SERVER, NO_ARCHIVE_YET, NO_LANDLOCK = "clock", "archives", "kernel"

# Everything that an installer could have changed, and the start times of all that runs.
STATE = """
find /etc /usr/local /home /root /var/lib/backupctl /media/ssd/podman/lightflow/data/scripts /media/ssd/podman/lightflow/data/tls \
    -xdev -not -path '*/.local/share/containers/*' -not -path '*/.cache/*' -not -path '/home/debian/lightflow*' \
    \( -type d -printf '%p %y %m %u %g\n' -o -printf '%p %y %m %u %g %T@ %s %l\n' \) | sort
"""


def main() -> int:
    """Reads the command line and tells the story."""
    parser = argparse.ArgumentParser(prog="ci/e2e-arm64")
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--script", type=Path, default=HERE.parent / "demo.d" / "sample_backup.py")
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    board, report = Board(given.native), Report()
    try:
        Story(board, report, given).tell()
    except (Unexpected, OSError, http.client.HTTPException) as error:
        report.breaks_off(str(error))
    finally:
        if given.keep:
            report.say(f"the machine is kept: {board.tool} --name {board.name} ssh")
            board.hang_up()
        else:
            board.down()
    return report.verdict()


class Story:
    """One chapter after the other; each builds upon the state that the former left."""

    def __init__(self, board: Board, report: Report, given: argparse.Namespace):
        self.board, self.report, self.given = board, report, given

    def tell(self):
        """From nothing to the verdict."""
        self.bare_system()
        self.installation()
        self.containers()
        self.first_night()
        self.walls()
        self.power_cut()
        self.next_night()
        self.second_installation()
        self.measures()

    def bare_system(self):
        """A Debian with two services, and nothing of ours."""
        self.report.chapter("A bare Debian 13 with two services as rootless quadlets")
        began = time.monotonic()
        self.board.boot()
        self.report.figure("the machine answers to ssh after", f"{time.monotonic() - began:.1f} s")
        self.report.say(self.board.do("uname -srm; podman --version; rclone version | sed -n 1p").strip().replace("\n", "; "))
        self.services = set_up(self.board, SERVICES)
        for service in self.services:
            self.report.claim(f"{service.name} answers and writes", lambda service=service: f"write {service.wait_until_up()}")

    def installation(self):
        """One command."""
        options = ["--local-remote", copies.REMOTE]
        self.report.chapter(f"The release is unpacked and installed in one command: sudo ./install {' '.join(options)}")
        self.appliance = Appliance(self.board)
        began = time.monotonic()
        self.appliance.unpack(self.given.release)
        self.report.figure("copied and unpacked after", f"{time.monotonic() - began:.1f} s")
        began = time.monotonic()
        printed = self.appliance.install(*options)
        self.report.figure("the installer took", f"{time.monotonic() - began:.1f} s")
        for line in printed.splitlines():
            self.report.say(f"| {line}")
        self.report.claim("the setup link makes the first administrator, once", lambda: self.appliance.make_admin(printed))
        self.report.claim("backupctl --doctor is green", lambda: self.doctor(NO_ARCHIVE_YET))

    def doctor(self, *expected: str) -> str:
        """Every hop is OK, except for those that cannot be OK here."""
        expected += (NO_TIME_SERVER, NO_LANDLOCK) if self.board.native else (NO_TIME_SERVER,)
        answer = self.board.run("sudo backupctl --doctor --json", USER)
        findings = json.loads(answer.out)
        bad = [f for f in findings if f["verdict"] == "FAIL" or f["verdict"] == "WARN" and f["hop"] not in expected]
        if answer.code != 0 or bad:
            raise Unexpected(f"exit code {answer.code}; " + "; ".join(f"{f['hop']} {f['verdict']}: {f['what']}" for f in bad))
        warnings = [f["what"] for f in findings if f["verdict"] == "WARN"]
        good = sum(f["verdict"] == "OK" for f in findings)
        return f"{good} OK, 0 FAIL{''.join(f'; expected here: {text}' for text in warnings)}"

    def containers(self):
        """Podman's facts about the runner."""
        self.report.chapter("The runner's container")
        self.inspected = Inspected(self.board)
        self.inspected.claims(self.report)

    def first_night(self):
        """Both services, four boxes each."""
        self.report.chapter("A night, through the API")
        self.night = Night(self.appliance, self.report, self.services)
        self.night.set_up(self.given.script)
        self.whole_night("the first night")

    def whole_night(self, name: str):
        """Runs all tasks now, and looks at everything that a night has to leave."""
        self.night.make_archives_today()
        began = time.monotonic()
        runs = [self.night.begin(service) for service in [*SERVICES, "lightflow"]]
        views = self.night.follow(runs)
        self.report.figure(f"{name}: two services, and Lightflow itself", f"{time.monotonic() - began:.0f} s")
        hot = ["success" for _ in HOT]
        self.report.claim("Lightflow is copied while it runs", lambda: self.night.expect(views[-1], "success", hot))
        for service, view in zip(self.services, views, strict=False):
            claim = self.report.claim
            claim(f"{view['task']} has four green boxes", lambda view=view: self.night.expect(view, "success", GREEN))
            claim(f"{service.name} answers and writes again", lambda s=service: f"write {s.wait_until_up()}")
            claim(f"the mirror of {service.name} equals its source", lambda s=service: copies.mirror(self.board, s))
            claim(f"the archive of {service.name} equals its source", lambda s=service: copies.archive(self.board, s))
        self.report.claim("nothing half-done is taken for a copy", lambda: copies.nothing_half_done(self.board))

    def walls(self):
        """From inside of the container there is no way to the host but the gate."""
        self.report.chapter("A step that means harm tries every door")
        probe(self.board, self.appliance, self.night, self.report)

    def power_cut(self):
        """In the middle of a sync."""
        self.report.chapter("The power is cut in the middle of a sync")
        service = self.services[0]
        self.board.do(f"head -c {BIG_MIB}M /dev/urandom >{service.data()}/big.bin", USER)
        self.slow_line(True)
        run = self.night.begin(service.name)
        self.night.follow([run], lambda views: views[0]["steps"][1]["state"] == "running" or views[0]["finished"])
        self.board.wait(f"find {copies.FOLDER}/{service.name} -name 'big.bin*' -size +1M | grep -q .")
        view = self.night.look(run)
        self.report.claim("sync is running", lambda: self.running(view))
        began = time.monotonic()
        self.board.reboot("--hard")
        self.report.figure("from the power cut until ssh answers", f"{time.monotonic() - began:.0f} s")
        self.slow_line(False)
        self.report.claim("the page answers again", self.appliance.wait_until_healthy)
        self.report.figure("until the page answers", f"{time.monotonic() - began:.0f} s")
        for other in self.services:
            self.report.claim(f"{other.name} answers and writes again", lambda s=other: f"write {s.wait_until_up()}")
        self.report.figure("until both services answer and write", f"{time.monotonic() - began:.0f} s")
        self.report.claim("that was within the lease", lambda: self.within_lease(view))
        after = self.night.follow([run])[0]
        boxes = ["success", "interrupted", "not_run", "success"]
        self.report.claim(
            "the run is interrupted, and its always step ran", lambda: self.night.expect(after, "interrupted", boxes)
        )
        self.report.claim("no lease is left", self.no_lease)

    def slow_line(self, slow: bool):
        """Bounds rclone's speed, or does not."""
        change = rf's/^\[rclone\]$/&\nbwlimit = "{SLOW}"/' if slow else "/^bwlimit = /d"
        self.board.do(f"sed -i '{change}' {GATE}/backupctl.toml")

    def running(self, view: dict) -> str:
        """The sync was really under way."""
        states = [step["state"] for step in view["steps"]]
        if states[:2] != ["success", "running"]:
            raise Unexpected(f"the boxes are {states}{self.night.logs(view)}")
        return ", ".join(states)

    def within_lease(self, view: dict) -> str:
        """The gate promised to bring the service back some time after its stop."""
        stopped = datetime.fromisoformat(view["steps"][0]["started_at"]).timestamp()
        down = time.time() - stopped
        if down > LEASE_S:
            raise Unexpected(f"down for {down:.0f} s with a lease of {LEASE_S} s")
        return f"back at most {down:.0f} s after its stop; the lease is {LEASE_S} s"

    def no_lease(self) -> str:
        """Nothing is promised any more."""
        left = self.board.do("ls /var/lib/backupctl/leases 2>/dev/null || true").split()
        left = [name for name in left if name.endswith(".json")]
        if left:
            raise Unexpected(f"there is {left}")
        return "none"

    def next_night(self):
        """The next run repairs everything."""
        self.report.chapter("The next night")
        self.whole_night("the night after the power cut")
        self.report.claim("backupctl --doctor is green after the power cut", self.doctor)

    def second_installation(self):
        """Nothing to do."""
        self.report.chapter("The installer runs a second time")
        before, began = self.state(), time.monotonic()
        printed = self.appliance.install()
        self.report.figure("the second run of the installer took", f"{time.monotonic() - began:.1f} s")
        for line in printed.splitlines():
            self.report.say(f"| {line}")
        self.report.claim("a second run changes nothing", lambda: self.same(before, self.state()))

    def state(self) -> list[str]:
        """Files, and the containers that run."""
        containers = "podman ps --format '{{.Names}} {{.ImageID}} {{.StartedAt}}'"
        owner = self.inspected.owner
        as_owner = f"systemd-run --quiet --pipe --wait --collect --user --machine={owner}@"
        return self.board.do(f"{STATE}\n{as_owner} {containers}; getent passwd; getent group").splitlines()

    def same(self, before: list[str], after: list[str]) -> str:
        """Raises with the differences."""
        changed = sorted(set(before) ^ set(after))
        if changed:
            raise Unexpected("; ".join(changed[:10]))
        return f"{len(after)} files, accounts and containers are the same"

    def measures(self):
        """Costs of the appliance."""
        self.report.chapter("Cold start and memory")
        owner = self.inspected.owner
        manager = f"systemctl --user --machine={owner}@"
        self.board.do(f"{manager} stop lightflow; sync; echo 3 >/proc/sys/vm/drop_caches" if not self.board.native else f"{manager} stop lightflow")
        self.appliance.tunnel.close()
        began = time.monotonic()
        self.board.do(f"{manager} --no-block start lightflow")
        self.report.claim("the page answers after a cold start", self.appliance.wait_until_healthy)
        self.report.figure("cold start of the container to a healthy page", f"{time.monotonic() - began:.1f} s")
        again = Inspected(self.board)
        # PID 1 of the container has one child, which is the server.
        init = again.facts["State"]["Pid"]
        status = self.board.do(f"cat /proc/$(cut -d' ' -f1 /proc/{init}/task/{init}/children)/status")
        resident = {name: int(value) for name, value in re.findall(r"^(VmRSS|RssAnon|VmHWM):\s+(\d+) kB", status, re.MULTILINE)}
        for name, value in resident.items():
            self.report.figure(f"{name} of lightflow", f"{value / 1024:.1f} MiB")
        cgroup = self.board.do(f"cut -d: -f3 /proc/{init}/cgroup").strip()
        memory = self.board.run(f"cd /sys/fs/cgroup{cgroup} && cat memory.current && awk '/^anon /{{print $2}}' memory.stat")
        if memory.code == 0:
            total, anonymous = (int(word) / 1048576 for word in memory.out.split())
            self.report.figure("memory of the container's cgroup (its programs' pages included)", f"{total:.1f} MiB")
            self.report.figure("of that its own (anonymous)", f"{anonymous:.1f} MiB")
        for service in self.services:
            self.report.claim(f"{service.name} answers at the end", lambda s=service: f"write {s.wait_until_up()}")


if __name__ == "__main__":
    sys.exit(main())
