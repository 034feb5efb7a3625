"""The test's end of the control socket."""

import contextlib
import http.client
import json
import socket
from pathlib import Path
from urllib.parse import quote

LIMIT_S = 60
# Hashing a million files takes a while.
FOLDER_LIMIT_S = 3600


class ControlError(Exception):
    """The control refused a request."""


class Client:
    """Asks the control socket of a world."""

    def __init__(self, place: Path | str):
        self.place = str(place)

    def ask(self, method: str, target: str, body: bytes | str | dict | list = b"", limit: float = LIMIT_S) -> bytes:
        """Sends one request and returns the answer's body."""
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection = http.client.HTTPConnection("control", timeout=limit)
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.settimeout(limit)
            connection.sock.connect(self.place)
            connection.request(method, target, body)
            answer = connection.getresponse()
            data = answer.read()
        if answer.status != 200:
            raise ControlError(f"{method} {target}: {data.decode(errors='replace')}")
        return data

    def get(self, target: str):
        """A value in JSON."""
        return json.loads(self.ask("GET", target))

    def faults(self, *entries: dict):
        """Puts these faults in place of all others."""
        self.ask("PUT", "/faults", list(entries))

    def settings(self, **values):
        """Changes settings."""
        self.ask("PATCH", "/settings", values)

    def reset(self):
        """Begins the counters anew."""
        self.ask("DELETE", "/counters")

    def counters(self) -> dict:
        """The counters."""
        return self.get("/counters")

    def tree(self, path: str = "") -> dict[str, dict]:
        """Lists every item below a path."""
        return {entry["path"]: entry for entry in self.get(f"/tree?path={quote(path)}")}

    def files(self, path: str = "") -> dict[str, dict]:
        """Lists every file below a path."""
        return {name: entry for name, entry in self.tree(path).items() if entry["kind"] == "file"}

    def read(self, path: str) -> bytes:
        """The content of a file."""
        return self.ask("GET", f"/file?path={quote(path)}")

    def write(self, path: str, data: bytes):
        """Puts a file in place."""
        self.ask("PUT", f"/file?path={quote(path)}", data)

    def write_folder(self, path: str, source: Path, limit: float = FOLDER_LIMIT_S):
        """Puts all files of a local folder in place, with their times."""
        self.ask("PUT", f"/folder?path={quote(path)}&from={quote(str(source))}", limit=limit)

    def post(self, verb: str, path: str = "", **more):
        """Carries out `flip`, `malware`, `revoke`, `expire`, …"""
        query = "&".join(f"{name}={quote(str(value))}" for name, value in {"path": path, **more}.items())
        return json.loads(self.ask("POST", f"/{verb}?{query}"))
