"""The machine under test, through ci/board (emulated arm64) or ci/host (a container of this machine's own kind)."""

import os
import socket
import ssl
import subprocess
import time

from remote_machine import RemoteMachine, Unexpected

PATIENCE_S = 600


class Board(RemoteMachine):
    """One machine that is thrown away at the end."""

    def __init__(self, native: bool):
        super().__init__("host" if native else "board", f"e2e-{os.getpid()}", PATIENCE_S)
        self.native = native
        self.tunnels: list[Tunnel] = []

    def hang_up(self):
        """Ends all tunnels; they come back with their next use."""
        for tunnel in self.tunnels:
            tunnel.close()

    def tunnel(self, port: int) -> "Tunnel":
        """A way from here to a port of the machine's loopback."""
        self.tunnels.append(Tunnel(self, port))
        return self.tunnels[-1]


class Tunnel:
    """An ssh client that forwards a free port of this machine. It is started when it is needed."""

    def __init__(self, board: Board, port: int):
        self.board, self.target = board, port
        self.process: subprocess.Popen | None = None

    def connect(self, timeout_s: float) -> socket.socket:
        """A connection to the other end; OSError without a listener there."""
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
                    raise Unexpected(f"ssh cannot forward port {self.target}") from None
                time.sleep(0.05)
        raise Unexpected(f"ssh does not forward port {self.target}")

    def close(self):
        """Ends the client."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def trusting(certificate: str) -> ssl.SSLContext:
    """TLS that trusts this one certificate, under any name."""
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = False
    return context
