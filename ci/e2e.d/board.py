"""The machine under test, through ci/board (emulated arm64) or ci/host (a container of this machine's own kind)."""

import os
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CI = Path(__file__).resolve().parent.parent
PATIENCE_S = 600


class Wrong(Exception):
    """Something is not as it must be; the text says what."""


@dataclass
class Answer:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Board:
    """One machine that is thrown away at the end."""

    def __init__(self, native: bool):
        self.native = native
        self.tool = CI / ("host" if native else "board")
        self.name = f"e2e-{os.getpid()}"
        self.tunnels: list[Tunnel] = []

    def up(self):
        """Starts it."""
        self._tool("up")
        self.ssh_config = self._tool("show", "ssh_config").strip()

    def down(self):
        """Ends it."""
        self.hang_up()
        self._tool("down")

    def cut_the_power(self):
        """And gives it back, and waits for ssh."""
        self.hang_up()
        self._tool("reboot", "--hard")

    def hang_up(self):
        """Ends all tunnels; they come back when they are used."""
        for tunnel in self.tunnels:
            tunnel.close()

    def run(self, script: str, user: str = "root") -> Answer:
        """Runs a bash script on it."""
        done = subprocess.run(
            ["ssh", "-F", self.ssh_config, f"{user}@host", "bash -s"],
            input=f"set -euo pipefail\n{script}".encode(),
            capture_output=True,
            check=False,
        )
        return Answer(done.returncode, *(text.decode(errors="replace") for text in (done.stdout, done.stderr)))

    def do(self, script: str, user: str = "root") -> str:
        """Runs a bash script that has to succeed; returns what it printed."""
        answer = self.run(script, user)
        if answer.code != 0:
            raise Wrong(f"as {user}: {script.strip()}\nended with {answer.code}: {answer.out}{answer.err}")
        return answer.out

    def put(self, source: Path, target: str):
        """Copies a file there."""
        self._tool("copy", str(source), f":{target}")

    def write(self, path: str, text: str, mode: str = "0644"):
        """Writes a file of root's, and the folders above it."""
        self.do(f"install -D -m {mode} /dev/stdin {path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")

    def wait(self, what: str, condition: str, user: str = "root"):
        """Waits until a shell condition holds there."""
        until = time.monotonic() + PATIENCE_S
        while self.run(condition, user).code != 0:
            if time.monotonic() > until:
                raise Wrong(f"{what}: still not so after {PATIENCE_S} s: {condition}")
            time.sleep(0.2)

    def tunnel(self, port: int) -> "Tunnel":
        """A way from here to a port of its loopback."""
        self.tunnels.append(Tunnel(self, port))
        return self.tunnels[-1]

    def _tool(self, *arguments: str) -> str:
        done = subprocess.run([self.tool, "--name", self.name, *arguments], stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Wrong(f"{self.tool} {' '.join(arguments)} ended with {done.returncode}")
        return done.stdout.decode()


class Tunnel:
    """An ssh client that forwards a free port of this machine. It is started when it is needed."""

    def __init__(self, board: Board, port: int):
        self.board, self.target = board, port
        self.process: subprocess.Popen | None = None

    def connect(self, timeout_s: float) -> socket.socket:
        """A connection to the other end; OSError when nobody is there."""
        if self.process is None or self.process.poll() is not None:
            self._start()
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def _start(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        own = ["-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes"]
        forward = ["-N", "-L", f"127.0.0.1:{self.port}:127.0.0.1:{self.target}"]
        self.process = subprocess.Popen(
            ["ssh", "-F", self.board.ssh_config, *own, *forward, "root@host"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise Wrong(f"ssh cannot forward port {self.target}") from None
                time.sleep(0.05)
        raise Wrong(f"ssh does not forward port {self.target}")

    def close(self):
        """Ends the client."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def trusting(certificate: str) -> ssl.SSLContext:
    """TLS that takes this one certificate, whatever name it carries."""
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = False
    return context
