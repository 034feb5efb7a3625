"""The HTTPS server of all four hosts on 127.0.0.1:443, and the effect of faults on the wire.

Invariant: a request is counted exactly once, whether or not its answer arrives.
"""

import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

from counters import DROPPED, Counters
from drive import Drive
from faults import Bucket, Fault, Faults
from graph import Graph, Reply, Request, error
from settings import Settings
from tokens import Tokens

ADDRESS = ("127.0.0.1", 443)
HANDSHAKE_LIMIT_S = 10
IDLE_LIMIT_S = 600
POLL_S = 0.02
# A body is carried in pieces of this size.
PIECE = 1 << 16


class Line:
    """One direction of a line that all connections share."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.lock = threading.Lock()
        self.free_at = 0.0

    def carry(self, count: int):
        """Waits until so many bytes have passed."""
        if not self.settings.bandwidth:
            return
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + count / self.settings.bandwidth
            wait = self.free_at - time.monotonic()
        time.sleep(max(wait, 0))


class Standin:
    """One account with its hosts."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.drive = Drive(settings)
        self.tokens = Tokens(settings)
        self.graph = Graph(self.drive, self.tokens, settings)
        self.faults = Faults()
        self.counters = Counters()
        self.upward, self.downward = Line(settings), Line(settings)
        self._bucket = Bucket(0)
        self._bucket_lock = threading.Lock()

    def throttled(self) -> bool:
        """True if the limit of requests a second is reached."""
        with self._bucket_lock:
            if self._bucket.per_second != self.settings.tps:
                self._bucket = Bucket(self.settings.tps)
            return self.settings.tps > 0 and not self._bucket.take()

    def serve(self, certificate: Path, key: Path) -> "Server":
        """Starts the server in a thread."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = Server(ADDRESS, self, context)
        threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True).start()
        return server


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, standin: Standin, context: ssl.SSLContext):
        self.standin = standin
        self.context = context
        super().__init__(address, Handler)

    def handle_error(self, request, client_address):
        """A client that goes away is no error here; anything else is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Gone(ConnectionError):
    """The connection was closed on purpose."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self):
        """Answers the TLS handshake, unless the connection meets a fault."""
        standin = self.server.standin
        standin.counters.connection()
        fault = standin.faults.meet_connection()
        if fault:
            fault.wait()
            if fault.drop:
                self.connection = self.request
                self._abort(fault.reset)
        self.request.settimeout(HANDSHAKE_LIMIT_S)
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.request.settimeout(IDLE_LIMIT_S)
        super().setup()

    def finish(self):
        """Closes the TLS connection, which the server knows by its plain socket only."""
        with contextlib.suppress(OSError):
            super().finish()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def log_message(self, *_):
        """The journal takes the place of the log."""

    def _any(self):
        standin = self.server.standin
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("host", "").partition(":")[0]
        request = Request(host, self.command, self.path, headers)
        with standin.drive.lock:
            standin.graph.name(request)
        self.up, self.counted = 0, False
        try:
            self._exchange(request, standin.faults.meet(request.line))
        except OSError:
            self.close_connection = True
        finally:
            self._count(request, DROPPED, 0)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _any

    def _count(self, request: Request, status: int, down: int):
        """Counts a request, once: before its answer is sent, so that a client that has the answer finds it counted."""
        if not self.counted:
            self.counted = True
            self.server.standin.counters.request(request.kind, request.line, status, self.up, down)

    def _exchange(self, request: Request, fault: Fault | None):
        """Reads the body, finds the answer and sends it."""
        standin = self.server.standin
        if fault and fault.delay:
            fault.wait()
        if fault and fault.drop == "at-once":
            self._abort(fault.reset)
        self._read(request, fault)
        if standin.settings.latency:
            time.sleep(standin.settings.latency)
        reply = faulty(fault)
        if reply is None and request.kind != "token" and standin.throttled():
            reply = error(429, headers={"Retry-After": "1"})
        if reply is None:
            if fault and fault.flip >= 0 and request.kind in ("chunk", "put"):
                request.body = flipped(request.body, fault.flip)
            reply = standin.graph.answer(request)
            if fault and fault.flip >= 0 and request.kind == "download":
                reply.body = flipped(reply.body, fault.flip)
        if fault and fault.drop == "answer":
            self._abort(fault.reset)
        self._send(request, reply, fault)

    def _read(self, request: Request, fault: Fault | None):
        length = int(request.headers.get("content-length") or 0)
        limit = fault.drop_request_after if fault and fault.drop_request_after >= 0 else length
        request.body = self._receive(min(length, limit))
        if request.kind in ("chunk", "put"):
            self.up = len(request.body)
        if len(request.body) < length or limit < length:
            self._abort(bool(fault and fault.reset))
        if fault and fault.drop_request_after >= 0:
            self._abort(fault.reset)

    def _receive(self, length: int) -> bytes:
        """Reads a body, as fast as the line is."""
        line, pieces = self.server.standin.upward, []
        while length:
            piece = self.rfile.read(min(length, PIECE))
            if not piece:
                break
            line.carry(len(piece))
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _transmit(self, body: bytes):
        """Sends a body, as fast as the line is."""
        for at in range(0, len(body), PIECE):
            piece = body[at : at + PIECE]
            self.server.standin.downward.carry(len(piece))
            self.wfile.write(piece)

    def _send(self, request: Request, reply: Reply, fault: Fault | None):
        phrase = self.responses.get(reply.status, ("Unknown",))[0]
        head = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in reply.headers.items())]
        if reply.status != 204:
            head.append(f"Content-Length: {len(reply.body)}")
        if self.close_connection:
            head.append("Connection: close")
        text = ("\r\n".join(head) + "\r\n\r\n").encode()
        body = b"" if self.command == "HEAD" else reply.body
        cut = fault is not None and fault.drop_answer_after >= 0
        if cut:
            body = body[: fault.drop_answer_after]
        down = len(body) if request.kind in ("download", "content-stream") and reply.status in (200, 206) else 0
        self._count(request, DROPPED if cut else reply.status, down)
        self.wfile.write(text + body if len(body) < 1 << 16 else text)
        if len(body) >= 1 << 16:
            self._transmit(body)
        if cut:
            self._abort(fault.reset)

    def _abort(self, reset: bool):
        """Closes the connection at once: with a reset, or as an end of file."""
        with contextlib.suppress(OSError):
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()
        raise Gone


def faulty(fault: Fault | None) -> Reply | None:
    """The answer that a fault puts in the place of the normal one."""
    if fault is None:
        return None
    if fault.per_second:
        return error(429, headers={"Retry-After": str(fault.retry_after)})
    if not fault.status:
        return None
    if fault.body is None:
        return error(fault.status, headers=fault.headers)
    if isinstance(fault.body, str):
        return Reply(fault.status, fault.body.encode(), dict(fault.headers or {}))
    return Reply(fault.status, json.dumps(fault.body).encode(), {"Content-Type": "application/json", **(fault.headers or {})})


def flipped(data: bytes, bit: int) -> bytes:
    """The same bytes with one bit changed; beyond the end it counts from the start again."""
    if not data:
        return data
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)
