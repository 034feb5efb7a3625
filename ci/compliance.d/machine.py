"""A throw-away Debian host (ci/host) with the gate on it as the tutorial puts it there, and an ssh client.

Invariant: a test reaches the gate through the real sshd, the account's login shell and sudo; what it arranges, it
arranges as root through a door of its own.
"""

import os
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST = HERE.parent / "host"
ACCOUNT = "backup_ops"
CONFIG = "/etc/backupctl/backupctl.toml"
PATIENCE_S = 60


@dataclass
class Answer:
    """How a program ended, and what it said."""

    code: int
    out: str
    err: str

    @classmethod
    def of(cls, done: subprocess.CompletedProcess) -> "Answer":
        return cls(done.returncode, *(text.decode(errors="replace") for text in (done.stdout, done.stderr)))


class Machine:
    """One host."""

    def __init__(self, release: str, binaries: Path):
        self.release = release
        self.binaries = binaries
        self.name = f"compliance-{release}-{os.getpid()}"
        self.folder = tempfile.TemporaryDirectory(prefix="compliance")
        self.key = Path(self.folder.name) / "key"

    def boot(self):
        """Starts it, as Debian leaves it."""
        self._host("--release", self.release, "up")
        self.ssh_config = self._host("show", "ssh_config").strip()
        self.port = self._host("show", "port").strip()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)

    def up(self):
        """Starts it, and does what the tutorial says."""
        self.boot()
        for program in ("backupctl", "podmanctl"):
            self.put(self.binaries / program, f"/tmp/{program}")
        self.put(HERE / "tutorial", "/tmp/tutorial")
        public = self.key.with_suffix(".pub").read_text().strip()
        self.root(f"runuser -u debian -- /tmp/tutorial {shlex.quote(public)}")

    def down(self):
        """Ends it."""
        self.hang_up()
        self._host("down")
        self.folder.cleanup()

    def reboot(self, *options: str):
        """Restarts it, with `--hard` as a power cut does."""
        self.hang_up()
        self._host("reboot", *options)

    def run(self, script: str) -> Answer:
        """Runs a bash script as root."""
        done = subprocess.run(
            ["ssh", "-F", self.ssh_config, "root@host", "bash -s"],
            input=b"set -euo pipefail\n" + script.encode(),
            capture_output=True,
        )
        return Answer.of(done)

    def root(self, script: str) -> str:
        """Runs a bash script as root that has to succeed, and returns what it printed."""
        answer = self.run(script)
        if answer.code != 0:
            raise RuntimeError(f"{script}\nended with {answer.code}: {answer.out}{answer.err}")
        return answer.out

    def put(self, source: Path, target: str):
        """Copies a file to the host."""
        self._host("copy", str(source), f":{target}")

    def write(self, path: str, text: str, mode: str = "0644"):
        """Writes a file of root's on the host, and the folders above it."""
        self.root(f"install -D -m {mode} /dev/stdin {path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")

    def wait(self, condition: str):
        """Waits until a shell condition holds on the host."""
        until = time.monotonic() + PATIENCE_S
        while self.run(condition).code != 0:
            if time.monotonic() > until:
                raise AssertionError(f"still not so after {PATIENCE_S} s: {condition}")

    def ssh(self, *arguments: str | bytes, options: tuple[str, ...] = ()) -> list[str | bytes]:
        """The command line of an ssh client with the runner's key, as the tutorial's script calls it."""
        return [
            "ssh", "-F", "none", "-i", str(self.key), "-p", self.port,
            "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR",
            "-o", f"UserKnownHostsFile={self.folder.name}/known_hosts",
            *options, f"{ACCOUNT}@127.0.0.1", "--", *arguments,
        ]  # fmt: skip

    def request(self, line: str | bytes, *options: str) -> Answer:
        """Sends one request line. The connection is kept for the next one."""
        kept = ("-o", "ControlMaster=auto", "-o", f"ControlPath={self.folder.name}/mux", "-o", "ControlPersist=60")
        done = subprocess.run(
            self.ssh(line, options=(*kept, *options)), stdin=subprocess.DEVNULL, capture_output=True
        )
        return Answer.of(done)

    def alone(self, *arguments: str, options: tuple[str, ...] = (), timeout: float = PATIENCE_S) -> Answer:
        """Runs an ssh client with a connection of its own."""
        done = subprocess.run(
            self.ssh(*arguments, options=options), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout
        )
        return Answer.of(done)

    def hang_up(self):
        """Ends the connection that is kept."""
        options = ("-O", "exit", "-o", f"ControlPath={self.folder.name}/mux")
        subprocess.run(self.ssh(options=options), capture_output=True)

    def _host(self, *arguments: str) -> str:
        done = subprocess.run([HOST, "--name", self.name, *arguments], stdout=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError(f"ci/host {' '.join(arguments)} ended with {done.returncode}")
        return done.stdout.decode()
