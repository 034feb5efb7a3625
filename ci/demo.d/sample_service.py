#!/usr/bin/env python3
"""A service worth backing up, and the commands that control it.

    sample_service.py run    --home DIR --data DIR     in the foreground
    sample_service.py start  …                         in the background, until it answers
    sample_service.py stop   …                         until it is really gone
    sample_service.py status …                         exit code 0 = up, 3 = down, 4 = neither yet

While it is up it keeps writing an SQLite database (WAL) and small files below --data and answers on a
socket in --home with the number of rows. At each end it leaves in --home, outside of its data, a list of every
file it leaves behind with its SHA-256: the content of any backup before the next start. `manifest.json` is the newest
list, `manifest-1.json` that of the first end.

Invariant: the process that answers holds the lock. Another program could take a port before it is bound: a
service that could not have its port once passed for up, because another one answered there.
"""

import argparse
import fcntl
import hashlib
import http.client
import http.server
import json
import os
import random
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

UP, DOWN, UNCLEAR = 0, 3, 4
WRITE_EVERY_S = 0.02
FILES = 40
START_LIMIT_S = 20
STOP_LIMIT_S = 20


class Data:
    """The service's files: a database that grows, and files that are replaced all the time."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("files", "empty folder", "nested/deeper/still deeper"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "files" / "empty").touch()
        (folder / "nested/deeper/ümläut & 'quote'.txt").write_text("names are bytes\n")
        self.database = sqlite3.connect(folder / "store.db", check_same_thread=False)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, at REAL, body BLOB)")
        self.rows = self.database.execute("SELECT count(*) FROM entry").fetchone()[0]

    def write(self):
        """A row, and every third time a file that takes the place of an older one."""
        body = random.randbytes(random.randrange(100, 4000))
        with self.database:
            self.database.execute("INSERT INTO entry (at, body) VALUES (?, ?)", (time.time(), body))
        self.rows += 1
        if self.rows % 3 == 0:
            place = self.folder / "files" / f"item-{self.rows % FILES:02}.bin"
            fresh = place.with_suffix(".new")
            fresh.write_bytes(body * 10)
            fresh.replace(place)

    def close(self):
        """Folds the write-ahead log into the database."""
        self.database.close()


def manifest(folder: Path) -> dict:
    """All files below `folder` with their SHA-256, and all folders."""
    files, folders = {}, []
    for place, names, entries in os.walk(folder):
        at = Path(place)
        folders += [str((at / name).relative_to(folder)) for name in names]
        for name in entries:
            digest = hashlib.sha256((at / name).read_bytes()).hexdigest()
            files[str((at / name).relative_to(folder))] = digest
    return {"files": files, "folders": sorted(folders)}


class Service:
    """One service: its home (lock, log, socket, manifest) and its data."""

    def __init__(self, home: Path, data: Path):
        self.home, self.data = home, data
        self.lock, self.log, self.socket, self.manifest = (
            home / name for name in ("lock", "log", "socket", "manifest.json")
        )

    def run(self) -> int:
        """The service itself, until SIGTERM."""
        ending = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ending.set())
        lock = self.lock.open("a+")
        # Held as long as the process lives, so the number of a dead process can never mislead.
        # Waiting is for those who only look, and hold it for a moment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        data = Data(self.data)
        # One that was killed has left its socket behind.
        self.socket.unlink(missing_ok=True)
        server = Server(str(self.socket), answers_of(data))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        while not ending.wait(WRITE_EVERY_S):
            data.write()
        server.shutdown()
        server.server_close()
        data.close()
        self._leave_manifest(data.rows)
        return 0

    def _leave_manifest(self, rows: int):
        fresh = self.manifest.with_suffix(".new")
        fresh.write_text(json.dumps({"rows": rows, **manifest(self.data)}, indent=1))
        number = len(list(self.home.glob("manifest-*.json"))) + 1
        (self.home / f"manifest-{number}.json").write_text(fresh.read_text())
        fresh.replace(self.manifest)

    def pid(self) -> int | None:
        """The process that holds the lock, if there is one."""
        if not self.lock.exists():
            return None
        with self.lock.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return int(lock.read() or 0)

    def rows(self) -> int:
        """The service's answer; OSError or HTTPException without one."""
        connection = Connection(self.socket)
        try:
            connection.request("GET", "/")
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def status(self) -> int:
        """Up means that it answers, down that its process is gone."""
        if self.pid() is None:
            return DOWN
        try:
            self.rows()
            return UP
        except (OSError, http.client.HTTPException, ValueError):
            return UNCLEAR

    def start(self) -> int:
        """Starts it in the background unless it is up, and waits until it answers."""
        if self.status() == DOWN:
            with self.log.open("ab") as log:
                subprocess.Popen(
                    [sys.executable, "-B", __file__, "run", *self.arguments()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        return 0 if within(START_LIMIT_S, lambda: self.status() == UP) else 1

    def stop(self) -> int:
        """Asks it to end and waits until it has."""
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
        return 0 if within(STOP_LIMIT_S, lambda: self.status() == DOWN) else 1

    def arguments(self) -> list[str]:
        """The options that name this service on a command line."""
        return ["--home", str(self.home), "--data", str(self.data)]


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP on a Unix socket, a thread a connection."""

    daemon_threads = True


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path):
        super().__init__("localhost", timeout=2)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def answers_of(data: Data):
    """The handler that tells how many rows there are."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802 (the name is http.server's)
            text = str(data.rows).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    return Answers


def within(limit_s: float, condition) -> bool:
    """Whether `condition` comes true in time."""
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def main() -> int:
    """Reads the command line and carries it out."""
    parser = argparse.ArgumentParser(description="A sample service of the Lightflow demo.")
    parser.add_argument("verb", choices=["run", "start", "stop", "status"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    service = Service(given.home, given.data)
    return getattr(service, given.verb)()


if __name__ == "__main__":
    sys.exit(main())
