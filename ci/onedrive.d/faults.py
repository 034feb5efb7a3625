"""Faults by list: each names the requests that it hits and its effect on them.

A request is one line of text, for example `chunk PUT upload.onedrive.test/up/Zk3 /OdroidBackup/app/data/file`: the kind (the keys of
the counters), the method, host and target, and the path in the drive where one is known. A fault's `match` is a regular
expression that is searched in that line. Every fault counts its own matches. The match "connect" stands for new connections.
"""

import dataclasses
import re
import threading
import time
from dataclasses import dataclass

CONNECT = "connect"


class BadFault(Exception):
    """The description of a fault is not usable."""


class Bucket:
    """Limit of requests a second, with the same number at once after a pause."""

    def __init__(self, per_second: float):
        self.per_second = per_second
        self.tokens, self.filled = max(per_second, 1), time.monotonic()

    def take(self) -> bool:
        """True if there is room for one more request."""
        now = time.monotonic()
        self.tokens = min(max(self.per_second, 1), self.tokens + (now - self.filled) * self.per_second)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Fault:
    """One fault of the list; the fields are the keys of its JSON."""

    # Which requests: matches number `nth`, `nth`+1, … as many as `count` (0: all), or all within `seconds` of the first.
    match: str = ""
    nth: int = 1
    count: int = 1
    seconds: float = 0
    # Before the fault or the normal answer; it ends early when the list is replaced.
    delay: float = 0
    # An answer in place of the normal one. `body` is text or JSON; without it, the error that belongs to the status.
    status: int = 0
    headers: dict | None = None
    body: str | dict | list | None = None
    # Close the connection without an answer: "at-once", or "answer" (the request was carried out, its answer is lost).
    drop: str = ""
    reset: bool = False
    # Close the connection after this many bytes of the request's body, or of the answer's.
    drop_request_after: int = -1
    drop_answer_after: int = -1
    # Flip this bit of the content: of a download on its way, or of an upload on its way.
    flip: int = -1
    # Limit of requests a second; others get 429 and Retry-After.
    per_second: float = 0
    retry_after: int = 1

    def __post_init__(self):
        if self.drop not in ("", "at-once", "answer"):
            raise BadFault(f'"drop" is "at-once" or "answer", not {self.drop!r}')
        if not (self.delay or self.status or self.drop or self.per_second or self.flip >= 0):
            if self.drop_request_after < 0 and self.drop_answer_after < 0:
                raise BadFault("the fault has no effect")
        try:
            self.pattern = re.compile(self.match)
        except re.error as error:
            raise BadFault(f"{self.match!r} is no regular expression: {error}") from error
        self.of_connections = self.match == CONNECT
        self.seen = 0
        self.hits = 0
        self.first_hit: float | None = None
        self.bucket = Bucket(self.per_second)
        self.replaced = threading.Event()

    def wait(self):
        """Lets the delay pass."""
        self.replaced.wait(self.delay)

    def takes(self, line: str) -> bool:
        """Counts a request that matches, and tells whether the fault hits it."""
        if not self.pattern.search(line):
            return False
        self.seen += 1
        now = time.monotonic()
        if self.per_second:
            hit = not self.bucket.take()
        elif self.seconds:
            if self.first_hit is None and self.seen >= self.nth:
                self.first_hit = now
            hit = self.first_hit is not None and now - self.first_hit < self.seconds
        else:
            hit = self.seen >= self.nth and (not self.count or self.seen < self.nth + self.count)
        self.hits += hit
        return hit


FIELDS = {entry.name for entry in dataclasses.fields(Fault)}


def parse(entry: dict) -> Fault:
    """A fault from its JSON."""
    if not isinstance(entry, dict):
        raise BadFault(f"a fault is an object, not {entry!r}")
    if unknown := entry.keys() - FIELDS:
        raise BadFault(f"unknown key {sorted(unknown)[0]!r}; the keys are {', '.join(sorted(FIELDS))}")
    try:
        return Fault(**entry)
    except TypeError as error:
        raise BadFault(str(error)) from error


class Faults:
    """The list. A request meets the first fault that hits it; all others count it too."""

    def __init__(self):
        self.faults: list[Fault] = []
        self.lock = threading.Lock()

    def replace(self, entries: list):
        """Puts another list in place; counting begins anew."""
        if not isinstance(entries, list):
            raise BadFault("the list of faults is no list")
        fresh = [parse(entry) for entry in entries]
        with self.lock:
            old, self.faults = self.faults, fresh
        for fault in old:
            fault.replaced.set()

    def add(self, entries: list):
        """Adds faults at the end."""
        fresh = [parse(entry) for entry in entries]
        with self.lock:
            self.faults += fresh

    def meet(self, line: str) -> Fault | None:
        """The fault that a request meets."""
        with self.lock:
            taken = [fault for fault in self.faults if not fault.of_connections and fault.takes(line)]
        return taken[0] if taken else None

    def meet_connection(self) -> Fault | None:
        """The fault that a new connection meets, before its first byte: one whose `match` is "connect"."""
        with self.lock:
            taken = [fault for fault in self.faults if fault.of_connections and fault.takes(CONNECT)]
        return taken[0] if taken else None

    def report(self) -> list[dict]:
        """The list with the number of matches and hits."""
        with self.lock:
            return [{"match": fault.match, "seen": fault.seen, "hits": fault.hits} for fault in self.faults]
