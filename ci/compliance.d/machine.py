"""A throw-away Debian host (ci/host) with the gate on it as the tutorial puts it there, and an ssh client.

Invariant: a test reaches the gate through the real sshd, the account's login shell and sudo; it
prepares the host as root through a door of its own.
"""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from remote_machine import Answer, RemoteMachine

HERE = Path(__file__).resolve().parent
ACCOUNT = "backup_ops"
CONFIG = "/etc/backupctl/backupctl.toml"
PATIENCE_S = 60


class Machine(RemoteMachine):
    """One host, with a key of the runner's."""

    def __init__(self, release: str, binaries: Path):
        super().__init__("host", f"compliance-{release}-{os.getpid()}", PATIENCE_S)
        self.release = release
        self.binaries = binaries
        self.folder = tempfile.TemporaryDirectory(prefix="compliance")
        self.key = Path(self.folder.name) / "key"

    def boot(self):
        """Starts the host as Debian leaves it."""
        super().boot("--release", self.release)
        self.port = self.show("port")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)

    def up(self):
        """Starts the host and sets it up as the tutorial says."""
        self.boot()
        self.put(self.binaries / "backupctl", "/tmp/backupctl")
        # One program with two names.
        self.put(self.binaries / "backupctl-setup", "/tmp/podmanctl")
        self.put(HERE / "tutorial", "/tmp/tutorial")
        public = self.key.with_suffix(".pub").read_text().strip()
        self.do(f"runuser -u debian -- /tmp/tutorial {shlex.quote(public)}")
        # The tutorial is older than this name of it, which backupctl needs for --doctor and for databases.
        self.put(self.binaries / "backupctl-setup", "/tmp/backupctl-setup")
        self.do("install -m 0755 /tmp/backupctl-setup /usr/local/bin/backupctl-setup")

    def down(self):
        """Ends the host and deletes the key."""
        super().down()
        self.folder.cleanup()

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
        """Ends the connection that `request` keeps."""
        options = ("-O", "exit", "-o", f"ControlPath={self.folder.name}/mux")
        subprocess.run(self.ssh(options=options), capture_output=True)
