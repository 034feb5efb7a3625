"""A throw-away machine that answers to ssh: a Debian host of ci/host, or an emulated board of ci/board.

ci/machine.sh is the other half: both tools take the same words, and this class calls them.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CI = Path(__file__).resolve().parent
PAUSE_S = 0.1


class Unexpected(AssertionError):
    """A result differs from the expected one; the text names both."""


@dataclass
class Answer:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @classmethod
    def of(cls, done: subprocess.CompletedProcess) -> "Answer":
        return cls(done.returncode, *(text.decode(errors="replace") for text in (done.stdout, done.stderr)))


class RemoteMachine:
    """One machine of `tool` (host or board) under a name of its own."""

    def __init__(self, tool: str, name: str, patience_s: float):
        self.tool = CI / tool
        self.name = name
        self.patience_s = patience_s

    def boot(self, *options: str):
        """Starts the machine and waits for ssh."""
        self.call(*options, "up")
        self.ssh_config = self.show("ssh_config")

    def down(self):
        """Ends the machine and deletes its files."""
        self.hang_up()
        self.call("down")

    def reboot(self, *options: str):
        """Restarts the machine, with `--hard` as a power cut does, and waits for ssh."""
        self.hang_up()
        self.call("reboot", *options)

    def hang_up(self):
        """Ends connections that a subclass keeps open."""

    def run(self, script: str, user: str = "root") -> Answer:
        """Runs a bash script on the machine."""
        done = subprocess.run(
            ["ssh", "-F", self.ssh_config, f"{user}@host", "bash -s"],
            input=f"set -euo pipefail\n{script}".encode(),
            capture_output=True,
            check=False,
        )
        return Answer.of(done)

    def do(self, script: str, user: str = "root") -> str:
        """Runs a bash script that has to succeed; returns its output."""
        answer = self.run(script, user)
        if answer.code != 0:
            raise Unexpected(f"as {user}: {script.strip()}\nended with {answer.code}: {answer.out}{answer.err}")
        return answer.out

    def put(self, source: Path, target: str):
        """Copies a file or folder to the machine."""
        self.call("copy", str(source), f":{target}")

    def write(self, path: str, text: str, mode: str = "0644"):
        """Writes a file that belongs to root, and the folders above it."""
        self.do(f"install -D -m {mode} /dev/stdin {path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")

    def wait(self, condition: str, user: str = "root"):
        """Waits until a shell condition holds on the machine."""
        until = time.monotonic() + self.patience_s
        while self.run(condition, user).code != 0:
            if time.monotonic() > until:
                raise Unexpected(f"still not so after {self.patience_s} s: {condition}")
            time.sleep(PAUSE_S)

    def show(self, name: str) -> str:
        """A property of the machine, as `show` of its tool prints it."""
        return self.call("show", name).strip()

    def call(self, *arguments: str) -> str:
        """Calls the tool for this machine; returns its output."""
        done = subprocess.run([self.tool, "--name", self.name, *arguments], stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Unexpected(f"{self.tool} {' '.join(arguments)} ended with {done.returncode}")
        return done.stdout.decode()
