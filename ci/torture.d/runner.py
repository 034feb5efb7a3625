"""The release binary as it is tortured: started, killed, started again. A start that fails is a violation."""

import http.client
import os
import signal
import subprocess
import time
from pathlib import Path

import processes
from lightflow_server import Server, ServerError
from violation import Violation

STOP_LIMIT_S = 30


class Lightflow(Server):
    """A server whose death is expected."""

    broken = http.client.HTTPException

    def kill(self):
        """SIGKILL."""
        self.disconnect()
        self.process.kill()
        self.process.wait()

    def is_alive(self) -> bool:
        """Reports if the process is there."""
        return self.process.poll() is None


class Runner:
    """One data directory and its server."""

    def __init__(self, binary: Path, folder: Path, data: Path | None = None, env: dict | None = None, prefix: tuple = ()):
        self.binary = binary
        self.folder = folder
        self.data = data or folder / "data"
        self.log = folder / "server.log"
        self.env = {"LIGHTFLOW_TLS": "off", "LIGHTFLOW_KILL_GRACE": "1", **(env or {})}
        self.prefix = prefix
        self.server: Lightflow | None = None
        self.starts = 0

    def command(self) -> list:
        """The words that start the server."""
        return [*self.prefix, self.binary, "serve"]

    def environment(self) -> dict:
        """The server's environment, for a start by hand."""
        kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LIGHTFLOW_DATA_DIR": str(self.data)}
        return {**kept, "LIGHTFLOW_LISTEN": "127.0.0.1:0", **self.env}

    def start(self) -> Lightflow:
        """Starts the server and waits until it is ready."""
        self.starts += 1
        try:
            self.server = Lightflow(self.binary, self.data, self.log, "127.0.0.1:0", self.env, self.prefix)
        except ServerError as error:
            raise Violation(f"the server does not start: {str(error)[-1500:]}") from error
        return self.server

    def start_and_forget(self) -> subprocess.Popen:
        """Starts the server without waiting for it."""
        with self.log.open("ab") as out:
            return subprocess.Popen(
                self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def kill_tree(self) -> int:
        """SIGKILL for the server, its supervisors and all processes of steps, as the end of a container does."""
        killed = 0
        # A process that was born while the list was made is on the next one.
        while found := processes.of_data(self.data):
            killed += processes.kill(p.pid for p in found)
        self._collect()
        return killed

    def kill_programs(self) -> int:
        """SIGKILL for the server and all supervisors; the processes of steps live on without them."""
        killed = processes.kill(p.pid for p in processes.of_data(self.data) if p.program.endswith("/lightflow"))
        self._collect()
        return killed

    def _collect(self):
        if self.server:
            self.server.disconnect()
            self.server.process.wait()

    def stop(self):
        """An ordinary stop; one that takes too long is a violation."""
        server, self.server = self.server, None
        if server is None or not server.is_alive():
            return
        server.disconnect()
        server.process.send_signal(signal.SIGTERM)
        try:
            code = server.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise Violation(f"the server does not stop within {STOP_LIMIT_S} s") from error
        if code != 0:
            raise Violation(f"an ordinary stop ended with {code}")

    def end(self):
        """Ends whatever is left, without a word."""
        self.kill_tree()
        self.server = None


def wait_for(what: str, ask, limit_s: float = 60):
    """Waits for a value; a wait that is too long is a violation."""
    until = time.monotonic() + limit_s
    while not (value := ask()):
        if time.monotonic() > until:
            raise Violation(f"waited {limit_s:.0f} s for {what}")
        time.sleep(0.02)
    return value
