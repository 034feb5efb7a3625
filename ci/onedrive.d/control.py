"""The control of a stand-in: HTTP on a Unix socket, for a test that sets faults, reads counters, and looks at the drive.

Invariant: nothing that goes this way is counted, and no fault hits it.
"""

import contextlib
import dataclasses
import http.server
import json
import os
import socketserver
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from drive import FILE, Item, Refused
from faults import BadFault
from graph import Reply, as_json
from server import POLL_S, Standin
from settings import BadSetting


class Control:
    """One entry for each method and path."""

    def __init__(self, standin: Standin):
        self.standin = standin
        self.drive = standin.drive
        self.verbs = {
            "GET /counters": lambda query, body: self.counters(),
            "DELETE /counters": lambda query, body: self.standin.counters.reset(),
            "GET /journal": lambda query, body: self.standin.counters.lines(),
            "GET /faults": lambda query, body: self.standin.faults.report(),
            "PUT /faults": lambda query, body: self.standin.faults.replace(json.loads(body)),
            "POST /faults": lambda query, body: self.standin.faults.add(json.loads(body)),
            "GET /settings": lambda query, body: dataclasses.asdict(self.standin.settings),
            "PATCH /settings": lambda query, body: self.standin.settings.change(json.loads(body)),
            "GET /tree": lambda query, body: self.tree(query.get("path", "")),
            "GET /file": lambda query, body: self.read(query["path"]),
            "PUT /file": lambda query, body: self.write(query["path"], body),
            "PUT /files": lambda query, body: self.write_all(json.loads(body)),
            "PUT /folder": lambda query, body: self.write_folder(query["path"], Path(query["from"])),
            "DELETE /file": lambda query, body: self.drive.delete(self.item(query["path"]), for_good=True),
            "POST /flip": lambda query, body: self.flip(query["path"], query.get("bit")),
            "POST /malware": lambda query, body: self.mark(query["path"], query.get("off") != "1"),
            "POST /sign-in": lambda query, body: self.standin.tokens.sign_in(),
            "POST /revoke": lambda query, body: self.standin.tokens.revoke(),
            "POST /expire": lambda query, body: self.standin.tokens.expire(),
            "POST /forget-sessions": lambda query, body: self.standin.graph.uploads.sessions.clear(),
            "POST /empty-recycle-bin": lambda query, body: self.drive.empty_recycle_bin(),
        }

    def answer(self, method: str, target: str, body: bytes) -> Reply:
        """Carries out one request."""
        url = urlsplit(target)
        verb = self.verbs.get(f"{method} {url.path}")
        if verb is None:
            return as_json(404, {"error": f"{method} {url.path} is unknown; there are: {', '.join(self.verbs)}"})
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            with self.drive.lock:
                value = verb(query, body)
        except (BadFault, BadSetting, Refused, KeyError, ValueError, TypeError) as error:
            return as_json(400, {"error": f"{type(error).__name__}: {error}"})
        return Reply(200, value) if isinstance(value, bytes) else as_json(200, value)

    def item(self, path: str) -> Item:
        """The item at a path."""
        return self.drive.at(self.drive.root, path)

    def counters(self) -> dict:
        """The counters, with the tokens given, the faults and the room."""
        room = {"used": self.drive.used, "recycled": self.drive.recycled, "files": self.count(FILE)}
        faults = self.standin.faults.report()
        return {**self.standin.counters.report(), "tokens": self.standin.tokens.given, "drive": room, "faults": faults}

    def count(self, kind: str) -> int:
        """The number of files or folders."""
        return sum(item.kind == kind for item in self.drive.items.values())

    def tree(self, path: str) -> list[dict]:
        """All items below a path, by path."""
        found = []
        for item in self.item(path).walk():
            entry = {"path": item.path, "kind": item.kind, "id": item.id, "modified": item.modified}
            if item.kind == FILE:
                entry |= {"size": item.size, "versions": len(item.versions)}
                entry |= {"quickxor": item.content.quick_xor, "sha1": item.content.sha1}
            found.append(entry)
        return sorted(found, key=lambda entry: entry["path"])

    def read(self, path: str) -> bytes:
        """The content of a file."""
        item = self.item(path)
        if item.kind != FILE:
            raise Refused(400, "invalidRequest", f"{path} is a folder")
        return item.content.data

    def write(self, path: str, data: bytes):
        """Puts a file in place, as if another device had sent it."""
        parent, name = self.drive.place(self.drive.root, path)
        self.drive.write(parent, name, data)

    def write_all(self, texts: dict[str, str]):
        """Puts many small files in place."""
        for path, text in texts.items():
            self.write(path, text.encode())

    def write_folder(self, path: str, source: Path):
        """Puts all files of a local folder in place, with their times."""
        for file in source.rglob("*"):
            if file.is_file() and not file.is_symlink():
                parent, name = self.drive.place(self.drive.root, f"{path}/{file.relative_to(source)}")
                self.drive.write(parent, name, file.read_bytes(), modified=file.stat().st_mtime)

    def flip(self, path: str, bit: str | None):
        """Flips one bit of a stored file, by default in its middle; the hashes that are told stay those of the intact file."""
        item = self.item(path)
        item.content = item.content.flipped(item.size * 4 if bit is None else int(bit))

    def mark(self, path: str, malware: bool):
        """Marks a file as malware, or not: Microsoft does not hand such a file out."""
        self.item(path).malware = malware


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection on the socket."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Quiet."""

    def _any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.control.answer(self.command, self.path, body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _any


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The server on the socket."""

    daemon_threads = True

    def __init__(self, place: Path, control: Control):
        with contextlib.suppress(FileNotFoundError):
            place.unlink()
        self.control = control
        before = os.umask(0o177)
        try:
            super().__init__(str(place), Handler)
        finally:
            os.umask(before)

    def handle_error(self, request, client_address):
        """A client that goes away is no error here; anything else is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def get_request(self):
        """A Unix socket has no address, and BaseHTTPRequestHandler wants one."""
        connection, _ = super().get_request()
        return connection, ("control", 0)

    def start(self):
        """Serves in a thread."""
        threading.Thread(target=self.serve_forever, args=(POLL_S,), daemon=True).start()
