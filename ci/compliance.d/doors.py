"""All other ways in than a request line: sshd's features beside commands, files that its shell reads, and sudo itself.

Each test knows what an accepted request looks like, so that a refusal is not merely a host that does not work.
"""

import json
import shlex
import socket
import subprocess
import time
import unittest

import samples
from cases import OnBookworm, OnTrixie
from machine import ACCOUNT

HOME = f"/home/{ACCOUNT}"
STOP, START = "backupctl --stop n8n", "backupctl --start n8n"
GATE = "/usr/local/bin/backupctl"

# The surroundings of a program that the gate starts; see program.rs.
CLEAN = {"PATH", "LANG", "HOME", "TMPDIR", "XDG_CACHE_HOME", "PWD", "SHLVL", "_", "OLDPWD"}

# Shows the parts of a request that reach a service's command.
SHOW = """case $1 in
stop | start) env -0 >/root/environment; ls -l /proc/self/fd >/root/descriptors; grep -E '^(SigIgn|SigBlk)' /proc/self/status >/root/signals ;;
esac
"""


class Doors:
    """One door a test."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        samples.install(cls.machine)
        first, rest = samples.SAMPLE.split("\n", 1)
        cls.machine.write(samples.PROGRAM, f"{first}\n{SHOW}{rest}", "0755")
        cls.tighten()

    @classmethod
    def tighten(cls):
        """The account stays as the tutorial makes it."""

    def refused(self, *arguments: str, options: tuple[str, ...] = (), code: int = 64):
        """An ssh client that gets nothing but a refusal by the gate."""
        answer = self.machine.alone(*arguments, options=options)
        self.assertEqual((answer.code, answer.out), (code, ""), answer.err)
        if "-s" not in options:  # of a subsystem sshd passes no error messages on
            self.assertIn("backupctl: ", answer.err)

    def accepted(self, *options: str):
        """The same options, with requests that are granted."""
        for line in (STOP, START):
            answer = self.machine.alone(line, options=options)
            self.assertEqual(answer.code, 0, answer.err)

    def accepted_stop(self):
        """Gives the next --start something to do."""
        self.assertEqual(self.machine.alone(STOP).code, 0)

    def environment(self) -> dict[str, str]:
        """That of the service's last command."""
        entries = self.machine.do("tr '\\0' '\\n' </root/environment").splitlines()
        return dict(entry.split("=", 1) for entry in entries)

    def as_account(self, command: str) -> tuple[int, str]:
        """The powers of the account with a shell on the host: it has none, but an attacker may find one."""
        answer = self.machine.run(f"cd /tmp; runuser -u {ACCOUNT} -- bash -c {shlex.quote(command)} </dev/null")
        return answer.code, answer.out + answer.err

    def test_a_login_without_a_command_gets_no_shell(self):
        client = subprocess.run(
            self.machine.ssh(options=("-T",)), input=b"id\ntouch /tmp/shell\n", capture_output=True, timeout=60
        )
        self.assertEqual((client.returncode, client.stdout), (64, b""))
        self.assertIn(b"no request", client.stderr)
        self.assertEqual(self.machine.run("test -e /tmp/shell").code, 1)

    def test_file_transfers_and_subsystems_get_the_gate_instead(self):
        self.refused("sftp", options=("-s",))
        # One that sshd does not know.
        self.refused(STOP, options=("-s",), code=255)
        own = [*self.machine.ssh()[1:-2]]
        port = own.index("-p")
        own[port] = "-P"
        for program in (["scp", "-O"], ["scp"], ["sftp"]):
            words = [*program, *own, "-q"]
            target = f"{ACCOUNT}@127.0.0.1:/tmp/loot"
            files = ["/etc/hostname", target] if program[0] == "scp" else [f"{ACCOUNT}@127.0.0.1:/etc/passwd", "/dev/null"]
            done = subprocess.run([*words, *files], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            self.assertNotEqual(done.returncode, 0, program)
        self.assertEqual(self.machine.run("test -e /tmp/loot").code, 1)

    def test_nothing_is_forwarded(self):
        answer = self.machine.alone(options=("-W", "127.0.0.1:22"))
        self.assertEqual((answer.code, answer.out), (255, ""))
        fail = ("-o", "ExitOnForwardFailure=yes")
        for remote in ("0:127.0.0.1:22", "/tmp/socket:127.0.0.1:22"):
            answer = self.machine.alone(STOP, options=(*fail, "-R", remote))
            self.assertEqual(answer.code, 255, answer)
        self.assertEqual(self.machine.run("test -e /tmp/socket").code, 1)
        # A tunnel that the client opens by itself ends where it begins.
        for target in ("127.0.0.1:22", "/run/systemd/private"):
            port = free_port()
            options = ("-N", "-L", f"{port}:{target}")
            client = subprocess.Popen(self.machine.ssh(options=options), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                self.assertEqual(through(port), b"", target)
            finally:
                client.kill()
                client.wait()

    def test_there_is_no_terminal_no_display_and_no_agent(self):
        agent = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
        path = agent.split("SSH_AUTH_SOCK=")[1].split(";")[0]
        pid = agent.split("SSH_AGENT_PID=")[1].split(";")[0]
        try:
            answer = self.machine.alone(STOP, options=("-tt",))
            self.assertEqual(answer.code, 255)
            self.assertIn("PTY allocation request failed", answer.err)
            self.accepted("-o", "ForwardAgent=yes", "-o", f"IdentityAgent={path}")
            self.accepted("-X")
            self.accepted("-Y")
            seen = self.machine.do("ls -d /tmp/ssh-* /run/user/*/ssh-* /home/backup_ops/.Xauthority 2>/dev/null || true")
            self.assertEqual(seen, "")
        finally:
            subprocess.run(["kill", pid], check=True)

    def test_the_clients_environment_does_not_come_through(self):
        names = ["SSH_ORIGINAL_COMMAND", "LD_PRELOAD", "BASH_ENV", "ENV", "PATH", "LC_ALL", "LANG", "LC_EVIL", "RCLONE_CONFIG", "TZ", "SUDO_EDITOR", "PYTHONPATH", "TERM"]
        settings = " ".join(f"{name}=/tmp/evil" for name in names)
        self.accepted("-o", f"SetEnv={settings}")
        environment = self.environment()
        self.assertLessEqual(set(environment), CLEAN | {name for name in environment if name.startswith("BACKUPCTL_")})
        self.assertNotIn("evil", json.dumps(environment))
        self.refused("backupctl --stop unknown", options=("-o", "SetEnv=\"SSH_ORIGINAL_COMMAND=backupctl --stop n8n\""), code=77)

    def test_what_sshd_would_read_in_the_home_is_not_read(self):
        for file, text in (
            (".ssh/rc", "touch /tmp/rc-was-run"),
            (".ssh/environment", "LD_PRELOAD=/tmp/evil.so\nFROM_THE_HOME=evil"),
            (".pam_environment", "FROM_PAM=evil"),
            (".forward", "|touch /tmp/rc-was-run"),
        ):
            self.machine.write(f"{HOME}/{file}", text)
        self.accepted()
        self.assertEqual(self.machine.run("test -e /tmp/rc-was-run").code, 1)
        self.assertNotIn("evil", json.dumps(self.environment()))

    def test_no_other_way_of_logging_in_is_open(self):
        for methods in ("password", "keyboard-interactive", "none,gssapi-with-mic,hostbased"):
            options = ("-o", f"PreferredAuthentications={methods}", "-o", "PubkeyAuthentication=no")
            self.assertEqual(self.machine.alone(STOP, options=options).code, 255)

    def test_sudo_does_nothing_for_the_account_but_the_gate(self):
        allowed, said = self.as_account(f"SSH_ORIGINAL_COMMAND='{START}' sudo -n {GATE} --ssh-gate")
        self.assertEqual(allowed, 0, said)
        for command in (
            "sudo -n id",
            "sudo -n -s",
            "sudo -n -i",
            f"sudo -n {GATE}",
            f"sudo -n {GATE} --stop n8n",
            f"sudo -n {GATE} --doctor",
            f"sudo -n {GATE} --ssh-gate --config /tmp/evil.toml",
            f"sudo -n {GATE} --config /tmp/evil.toml --ssh-gate",
            f"sudo -n {GATE} --ssh-gate ''",
            f"sudo -n {GATE} '--ssh-gate '",
            f"sudo -n {GATE} --SSH-GATE",
            f"sudo -n {GATE} __exec x /bin/sh",
            "sudo -n /usr/local/bin/podmanctl --list",
            "sudo -n /usr/local/bin/../bin/backupctl-x --ssh-gate",
            "ln -sf /bin/sh /tmp/backupctl; sudo -n /tmp/backupctl --ssh-gate",
            f"sudo -n -u debian {GATE} --ssh-gate",
            f"sudo -n -g shadow {GATE} --ssh-gate",
            f"sudo -n -R /tmp {GATE} --ssh-gate",
            f"sudo -n -D / {GATE} --ssh-gate",
            f"sudo -n -C 20 {GATE} --ssh-gate",
            f"sudo -n -E {GATE} --ssh-gate",
            f"sudo -n LD_PRELOAD=/tmp/evil.so {GATE} --ssh-gate",
            f"sudo -n PATH=/tmp {GATE} --ssh-gate",
            f"sudo -n SUDO_USER=root {GATE} --ssh-gate",
            f"sudoedit -n {GATE}",
            "sudo -n -e /etc/shadow",
        ):
            code, said = self.as_account(command)
            self.assertEqual(code, 1, f"{command}\n{said}")
            self.assertNotIn("uid=0", said)

    def test_what_comes_along_through_sudo_does_no_harm(self):
        request = f"SSH_ORIGINAL_COMMAND='{START}'"
        for before, after in (
            ("", "<&-"),
            ("ulimit -n 20;", ""),
            ("ulimit -c unlimited;", "9</etc/passwd 8</ 7<>/tmp/open"),
            ("umask 0;", ""),
            ("trap '' TERM HUP INT PIPE;", ""),
            ("mkdir -p /tmp/gone; cd /tmp/gone; rmdir /tmp/gone;", ""),
            ("export LD_PRELOAD=/tmp/evil.so LD_LIBRARY_PATH=/tmp/evil TZ=/tmp/evil MALLOC_TRACE=/tmp/evil GCONV_PATH=/tmp/evil;", ""),
        ):
            self.accepted_stop()
            code, said = self.as_account(f"touch /tmp/open; {before} {request} sudo -n {GATE} --ssh-gate {after}")
            self.assertEqual(code, 0, f"{before} {after}\n{said}")
            self.assertNotIn("evil", json.dumps(self.environment()))
            opened = self.machine.do("grep -o '[0-9]* -> .*' /root/descriptors").splitlines()
            # Its own three, the folder that ls lists, and the script that the shell reads.
            strange = [line for line in opened if "/etc/passwd" in line or "/tmp/open" in line or line.endswith("-> /")]
            self.assertEqual(strange, [])
            ignored = self.machine.do("cat /root/signals")
            self.assertRegex(ignored, r"SigBlk:\s+0{16}\n")
        code, said = self.as_account(f"trap '' CHLD; {request} sudo -n {GATE} --ssh-gate")
        self.assertEqual(code, 70, said)
        files = "find /var/lib/backupctl /run/backupctl -perm /022 ! -type l"
        self.assertEqual(self.machine.do(files), "")

    def test_functions_in_the_request_are_none(self):
        # bash, the login shell, drops such a value or takes it for text; sudo drops it; the gate has no request then.
        for line in ("() { :;}; touch /tmp/function", "() { echo x; }", "(){ :; }"):
            self.refused(line)
            code, said = self.as_account(f"SSH_ORIGINAL_COMMAND={shlex.quote(line)} sudo -n {GATE} --ssh-gate")
            self.assertEqual(code, 64, said)
        self.assertEqual(self.machine.run("test -e /tmp/function").code, 1)

    def test_a_long_line_is_refused_quickly(self):
        began = time.monotonic()
        self.refused("backupctl --stop " + "a" * 100_000)
        self.refused("backupctl " + "--timeout 5 " * 10_000)
        self.assertLess(time.monotonic() - began, 30)


def free_port() -> int:
    """A port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def through(port: int) -> bytes:
    """The answer on a local port, as soon as a program listens there."""
    until = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                return connection.recv(100)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        except ConnectionResetError:
            return b""


class DoorsOnTrixie(Doors, OnTrixie, unittest.TestCase):
    """Debian 13, the account as the tutorial makes it."""


class DoorsOnBookworm(Doors, OnBookworm, unittest.TestCase):
    """Debian 12, the account as the tutorial makes it."""


class TightenedDoors(Doors, OnTrixie, unittest.TestCase):
    """Debian 13, the account as the doctor wants it."""

    @classmethod
    def tighten(cls):
        found = json.loads(cls.machine.do("backupctl --doctor --json || test $? = 69"))
        for finding in found:
            if finding["hop"] in ("account", "keys", "sshd") and finding["verdict"] in ("WARN", "FAIL"):
                cls.machine.do("\n".join(finding["fix"]))

    def test_nothing_in_the_home_is_the_accounts(self):
        # But for a file that only the end of a login reads, and which it could empty at most.
        self.assertEqual(self.machine.do(f"find {HOME} -user {ACCOUNT} ! -name .bash_logout"), "")
        code, _ = self.as_account(f"touch {HOME}/.bashrc || touch {HOME}/.ssh/authorized_keys || touch {HOME}/new")
        self.assertEqual(code, 1)
