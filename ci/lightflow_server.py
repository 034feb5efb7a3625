"""A Lightflow server of one's own: started in a folder, asked over its socket, stopped.

Shared by the demo, the benchmark and the torture. A user who may open the socket in the data directory is
an administrator, so there is no password or token here.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

# Long enough for one that is emulated on a busy machine.
START_LIMIT_S = 60
STOP_LIMIT_S = 30


class ServerError(Exception):
    """The server did not start, or refused a request; the text says why."""


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Server:
    """`lightflow serve` as a child process; the words of `prefix` come before it."""

    def __init__(self, binary: Path, data: Path, log: Path, listen: str, env: dict | None = None, prefix: tuple = ()):
        self.binary = binary
        self.data = data
        self.log = log
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "LIGHTFLOW_DATA_DIR": str(data),
            "LIGHTFLOW_LISTEN": listen,
            **(env or {}),
        }
        data.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*prefix, binary, "serve"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.connection = None
        self._wait_until_ready()

    def _wait_until_ready(self):
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise ServerError(f"lightflow serve ended at once:\n{self.log.read_text()}")
            try:
                self.request("GET", "/readyz")
                return
            except (OSError, http.client.HTTPException, ServerError):
                time.sleep(0.02)
        raise ServerError(f"lightflow serve is not ready:\n{self.log.read_text()}")

    def request(self, method: str, path: str, body: dict | None = None) -> bytes:
        """One request; the connection is kept for the next one."""
        if self.connection is None:
            self.connection = SocketConnection(self.data / "lightflow.sock")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        text = None if body is None else json.dumps(body)
        try:
            self.connection.request(method, path, text, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
        if answer.status >= 400:
            raise ServerError(f"{method} {path}: {answer.status} {content.decode(errors='replace')}")
        return content

    def api(self, method: str, path: str, body: dict | None = None):
        """A request to the API; returns the JSON answer, or None where there is none."""
        content = self.request(method, "/api/v1" + path, body)
        return json.loads(content) if content else None

    def disconnect(self):
        """Lets go of the connection, so that the server has no client at all."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def cli(self, *arguments: str, text: str | None = None) -> str:
        """Runs a subcommand of the same binary against this server; returns its output."""
        done = subprocess.run(
            [self.binary, *arguments],
            env=self.env,
            input=text if text is not None else "",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode != 0:
            command = " ".join(["lightflow", *arguments])
            raise ServerError(f"{command}: exit code {done.returncode}\n{done.stderr.strip()}")
        return done.stdout

    def stop(self):
        """Asks the server to end and waits for it."""
        self.disconnect()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port() -> int:
    """A loopback port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
