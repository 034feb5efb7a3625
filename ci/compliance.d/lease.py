"""The lease on a real Debian: systemd keeps it, and after any death the service comes back."""

import collections
import os
import random
import subprocess
import time
import unittest
from pathlib import Path

import samples
from cases import OnBookworm, OnTrixie
from machine import CONFIG, Answer

REPO = Path(__file__).resolve().parents[2]
UNIT = "backupctl-recover.service"
SYNC = f"backupctl --sync n8n --path {samples.DATA_ROOT}/n8n/data --remote onedrive:/OdroidBackup"
ARCHIVE = SYNC.replace("--sync", "--archive")
STOP = "backupctl --stop n8n --timeout 20"
START = "backupctl --start n8n --timeout 20"
ARCHIVES = "/srv/onedrive/OdroidBackup/n8n/archives"
UP = "/var/lib/sample-services/n8n"
LEASE = "/var/lib/backupctl/leases/n8n.json"

# A service that is a process, which its start command leaves behind: `sample-service start NAME`.
DAEMON = """#!/bin/sh
file=/var/lib/sample-services/$2
alive() { test -s "$file" && test -e "/proc/$(cat "$file")/stat"; }
case $1 in
stop) alive && kill "$(cat "$file")"; rm -f "$file" ;;
start) alive || { setsid sleep 100000 >/dev/null 2>&1 & echo $! >"$file"; } ;;
status) alive || exit 3 ;;
esac
"""

HANGING = "#!/bin/sh\ntest $1 = version && exec /usr/bin/rclone \"$@\"\n: >/tmp/hanging\nsetsid sh -c 'sleep 301; :' &\nwhile :; do sleep 0.1; done\n"
# Whether a gate is at work, and not stopped by a signal.
WORKING = "for p in $(pgrep -f '^([^ ]*/)?backupctl '); do grep -q '^State:.T' /proc/$p/status || exit 0; done; exit 1"
ROUNDS = int(os.environ.get("COMPLIANCE_KILL_ROUNDS", "10"))
LEASE_S = 4

# By its words: it has started itself again, from /proc/self/exe, and its name is "exe" since then.
GATE = "^([^ ]*/)?backupctl "
VICTIMS = {
    "client": "",
    "session": "pkill -KILL -f '^sshd.*: backup_ops@notty'",
    "sudo": "pkill -KILL -x sudo",
    "gate": f"pkill -KILL -f '{GATE}'",
    "rclone": "pkill -KILL -x rclone",
    # Not killed but stopped, with the locks that it holds.
    "halted": f"pkill -STOP -f '{GATE}'",
}


class Lease:
    """The promise of a lease."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        samples.install(cls.machine)
        cls.configuration = cls.machine.do(f"cat {CONFIG}")
        cls.machine.put(REPO / "podman" / UNIT, f"/etc/systemd/system/{UNIT}")
        cls.machine.do(f"systemctl daemon-reload; systemctl enable -q {UNIT}")

    def setUp(self):
        self.configure()
        self.machine.write(samples.PROGRAM, samples.SAMPLE, "0755")
        self.machine.do(f"rm -f /tmp/hanging; {samples.PROGRAM} start n8n")

    def configure(
        self, seconds: int = 600, rclone: str = "/usr/bin/rclone", start_max: int = 1800, reserve: int | None = None
    ):
        """With a reserve, the service is only stopped when an archive fits beside it."""
        start = f"start = {{ default = 5, max = {start_max} }}"
        limits = f"limits = {{ {start} }}\n"
        if reserve is not None:
            limits = f"limits = {{ {start}, spool_reserve = {reserve} }}\nroom_before_stop = true\n"
        lease = f"lease = {{ seconds = {seconds} }}\n"
        # A script in rclone's place needs more than rclone does.
        landlock = "preferred" if rclone == "/usr/bin/rclone" else "off"
        section = f'[rclone]\nprogram = "{rclone}"\nlandlock = "{landlock}"\n'
        rest = self.configuration.replace('[rclone]\nprogram = "/usr/bin/rclone"\n', section)
        self.machine.write(CONFIG, lease + limits + rest)

    def hanging_rclone(self):
        self.machine.write("/usr/local/sbin/rclone-hang", HANGING, "0755")
        self.configure(rclone="/usr/local/sbin/rclone-hang")

    def spawn(self, line: str) -> subprocess.Popen:
        return subprocess.Popen(
            self.machine.ssh(line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def done(self, line: str) -> Answer:
        answer = self.machine.alone(line)
        self.assertEqual(answer.code, 0, answer)
        return answer

    def timers(self) -> list[str]:
        listed = self.machine.do("systemctl list-units --all --plain --no-legend 'backupctl-lease-*.timer'")
        return [line.split()[0] for line in listed.splitlines()]

    def comes_back(self):
        self.machine.wait(f"test -e {UP} && ! test -e {LEASE}")
        self.assertEqual(self.machine.do(f"{samples.PROGRAM} status n8n && echo up"), "up\n")

    def test_a_timer_brings_the_service_back_and_leaves_it_running(self):
        self.machine.do(f"{samples.PROGRAM} stop n8n")
        self.machine.write(samples.PROGRAM, DAEMON, "0755")
        self.machine.do(f"{samples.PROGRAM} start n8n")
        self.configure(seconds=2)
        self.done(STOP)
        self.assertRegex(" ".join(self.timers()), r"^backupctl-lease-n8n-\d+\.timer$")
        self.comes_back()
        # The unit is over; the process that the start command left in it is not.
        self.machine.wait("systemctl list-units --all --plain 'backupctl-lease-*.service' | grep -q 'inactive dead'")
        self.comes_back()
        self.machine.do(f"{samples.PROGRAM} stop n8n")

    def test_a_start_ends_the_timer(self):
        self.done(STOP)
        self.assertEqual(len(self.timers()), 1)
        self.done(STOP)
        self.assertEqual(len(self.timers()), 1)
        answer = self.done(START)
        self.assertIn("n8n is up; it was down for ", answer.out)
        self.assertEqual(self.timers(), [])
        self.comes_back()

    def test_a_service_is_only_stopped_when_an_archive_would_fit(self):
        self.machine.do(f"chown -R backup_ops: {samples.DATA_ROOT}/n8n/data; chmod 0700 {samples.DATA_ROOT}/n8n/data")
        self.configure(reserve=4 * 10**18)
        answer = self.machine.alone(STOP)
        self.assertEqual(answer.code, 73, answer)
        self.assertIn("n8n is not stopped", answer.err)
        self.assertIn("limits.spool_reserve", answer.err)
        self.assertEqual(self.timers(), [])
        self.comes_back()
        self.configure(reserve=0)
        self.done(STOP)
        self.assertEqual(len(self.timers()), 1)
        self.done(START)

    def test_a_timer_that_was_stopped_is_made_again_by_the_next_action(self):
        self.done(STOP)
        self.machine.do("systemctl stop 'backupctl-lease-*.timer'")
        self.assertEqual(self.timers(), [])
        self.done("backupctl --sync-extra docs --remote onedrive:/OdroidBackup")
        self.assertEqual(len(self.timers()), 1)
        self.done(START)

    def test_a_service_that_does_not_come_back_is_tried_again_by_systemd(self):
        self.configure(seconds=1, start_max=5)
        self.machine.write(samples.PROGRAM, samples.SAMPLE.replace('start) : >"$file"', "start) exit 1"), "0755")
        self.done(STOP)
        show = "systemctl show --property=SubState --value 'backupctl-lease-*.service'"
        self.machine.wait(f'test "$({show})" = auto-restart')
        self.assertEqual(self.machine.do(f"test -e {LEASE} && echo kept"), "kept\n")
        self.machine.write(samples.PROGRAM, samples.SAMPLE, "0755")
        self.machine.do("backupctl --recover n8n")
        self.comes_back()
        self.machine.do("systemctl stop 'backupctl-lease-*.service'")

    def test_after_a_reboot_the_service_comes_back_at_once(self):
        for options in ((), ("--hard",)):
            self.done(STOP)
            self.machine.reboot(*options)
            self.comes_back()
        log = self.machine.do(f"journalctl --no-pager -b -u {UNIT} -o cat")
        self.assertIn("1 service was brought back", log)

    def test_a_client_or_session_that_is_killed_ends_a_sync_before_the_start_that_follows(self):
        self.hanging_rclone()
        for victim in ("client", "session"):
            self.done(STOP)
            # The stop asked the remote, by the same program.
            self.machine.do("rm -f /tmp/hanging")
            client = self.spawn(SYNC)
            self.machine.wait("test -e /tmp/hanging")
            if victim == "client":
                client.kill()
            else:
                self.machine.do("pkill -KILL -f '^sshd.*: backup_ops@notty'")
            client.wait()
            self.done(START)
            self.assertEqual(self.machine.do("pgrep -fc 'sleep 301|rclone-hang' || true"), "0\n", victim)
            self.comes_back()
            self.machine.do("rm /tmp/hanging")

    def test_a_sudo_that_records_output_notices_that_the_client_is_gone(self):
        self.machine.write("/etc/sudoers.d/record", "Defaults log_output", "0440")
        self.addCleanup(self.machine.do, "rm /etc/sudoers.d/record")
        self.hanging_rclone()
        client = self.spawn(SYNC)
        self.machine.wait("test -e /tmp/hanging")
        client.kill()
        client.wait()
        self.machine.wait("! pgrep -f 'sleep 301|rclone-hang'")

    def test_a_client_that_is_killed_during_a_stop_leaves_the_service_up(self):
        slow = samples.SAMPLE.replace('stop) rm -f "$file"', 'stop) rm -f "$file"; : >/tmp/hanging; sleep 30')
        self.machine.write(samples.PROGRAM, slow, "0755")
        client = self.spawn(STOP)
        self.machine.wait("test -e /tmp/hanging")
        client.kill()
        client.wait()
        self.comes_back()
        self.assertEqual(self.timers(), [])

    def test_a_gate_that_is_killed_before_anybody_keeps_its_lease_has_stopped_nothing(self):
        """The next action of any kind looks after the lease that it leaves."""
        self.configure(seconds=2)
        run = "/usr/bin/systemd-run"
        self.machine.do(f"mv {run} {run}.real")
        self.addCleanup(self.machine.do, f"test ! -e {run}.real || mv {run}.real {run}")
        self.machine.write(run, "#!/bin/sh\n: >/tmp/hanging\nexec sleep 301\n", "0755")
        client = self.spawn(STOP)
        self.machine.wait("test -e /tmp/hanging")
        self.assertFalse(self.is_left())
        self.machine.do(VICTIMS["gate"])
        client.wait()
        self.machine.wait(f"! pgrep -f '{GATE}'")
        self.assertTrue(self.is_left())
        self.machine.do(f"mv {run}.real {run}; pkill -f 'sleep 301'")
        self.done("backupctl --sync-extra docs --remote onedrive:/OdroidBackup")
        self.comes_back()

    def is_left(self) -> bool:
        """True if the service is up and has a lease without a keeper or an action."""
        alone = f"test -e {UP} && test -e {LEASE} && ! ({WORKING})"
        return self.machine.run(alone).code == 0 and not self.timers()

    def test_kills_at_random_moments_leave_no_service_down(self):
        """`COMPLIANCE_KILL_ROUNDS=200 ci/compliance -k random` does many."""
        self.configure(seconds=LEASE_S)
        began = time.monotonic()
        for line in (STOP, SYNC, ARCHIVE, START):
            self.done(line)
        length = time.monotonic() - began
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        longest, hits, unkept = 0.0, collections.Counter(), 0
        for number in range(ROUNDS):
            victim = dice.choice(list(VICTIMS))
            at = dice.uniform(0, length)
            runner_dies = dice.random() < 0.5
            what = f"seed {seed}, round {number}: {victim} after {at:.2f} s, runner dies: {runner_dies}"
            with self.subTest(what):
                killed, hit = self.night(victim, at, runner_dies)
                hits[victim] += hit
                if runner_dies and self.is_left():
                    # It died before it stopped anything. The next action is the next night, or the next boot.
                    unkept += 1
                    self.done("backupctl --sync-extra docs --remote onedrive:/OdroidBackup")
                self.back_or_told()
                # A gate that was halted and held no lock of the service is in the way of no other.
                self.machine.do(f"for p in $(pgrep -f '{GATE}'); do ! grep -q '^State:.T' /proc/$p/status || kill -KILL $p; done")
                longest = max(longest, time.monotonic() - killed)
                self.machine.wait(f"! pgrep -f '{GATE}' && ! pgrep -x rclone")
                self.machine.do("for lock in /run/backupctl/*; do flock -n $lock true; done")
                # Between two moves the one of today lies where it was moved aside to; the next archive puts it back.
                self.machine.do(f"cd {ARCHIVES}; ls | grep -q 'gz$\\|previous$'; for a in *.gz *.previous; do test ! -e $a || gzip -t <$a; done")
        # And the next night goes through, and leaves nothing half-done.
        for line in (STOP, SYNC, ARCHIVE, START):
            self.done(line)
        left = self.machine.do("find /srv/onedrive -name '*.partial' -o -name '*.previous'")
        self.assertEqual(left, "")
        there = ", ".join(f"{victim} {count}" for victim, count in sorted(hits.items()))
        print(
            f"{ROUNDS} rounds, seed {seed}: up after {longest:.1f} s at most, with a lease of {LEASE_S} s; hit: {there}; "
            f"up, with a lease that nobody kept: {unkept}"
        )

    def back_or_told(self):
        """Waits for the service; where it does not come, says how things are."""
        try:
            self.machine.wait(f"test -e {UP} && ! test -e {LEASE}")
        except AssertionError as error:
            how = f"ls -l {UP} {LEASE}; cat {LEASE}; systemctl list-units --all 'backupctl-*'; ps -ef; journalctl -o short-precise -n 60"
            told = self.machine.run(f"set +e; {how}")
            raise AssertionError(f"{error}\n{told.out}{told.err}") from None

    def night(self, victim: str, at: float, runner_dies: bool) -> tuple[float, bool]:
        """The steps as the runner does them, and one kill. Returns when that was, and whether it hit anybody."""
        began, killed, hit, well = time.monotonic(), None, False, True
        for line in (STOP, SYNC, ARCHIVE, START):
            if not well and line != START:
                continue
            client = self.spawn(line)
            while client.poll() is None:
                if killed is None and time.monotonic() - began >= at:
                    if victim == "client":
                        client.kill()
                        hit = True
                    else:
                        hit = self.machine.run(VICTIMS[victim]).code == 0
                        if victim == "halted":
                            # The runner ends a step that does not end by itself.
                            client.kill()
                    killed = time.monotonic()
                    if runner_dies:
                        client.kill()
                time.sleep(0.005)
            well = well and client.returncode == 0
            if killed and runner_dies:
                break
        return killed or time.monotonic(), hit


class LeaseOnTrixie(Lease, OnTrixie, unittest.TestCase):
    pass


class LeaseOnBookworm(Lease, OnBookworm, unittest.TestCase):
    pass
