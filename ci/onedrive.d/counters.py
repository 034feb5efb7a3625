"""Counters of requests by kind, bytes, answers; and a journal of the requests."""

import collections
import threading
import time

JOURNAL = 200_000
DROPPED = 0


class Counters:
    """Requests to the stand-in since it began, or since the last reset."""

    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        """Begins anew."""
        with self.lock:
            self.began = time.monotonic()
            self.requests: collections.Counter = collections.Counter()
            self.answers: collections.Counter = collections.Counter()
            self.bytes_up = self.bytes_down = self.connections = 0
            self.journal: collections.deque = collections.deque(maxlen=JOURNAL)

    def connection(self):
        """Counts a connection."""
        with self.lock:
            self.connections += 1

    def request(self, kind: str, line: str, status: int, up: int, down: int):
        """Counts a request; the status 0 is an answer that did not arrive."""
        with self.lock:
            self.requests[kind] += 1
            self.answers[status] += 1
            self.bytes_up += up
            self.bytes_down += down
            self.journal.append((round(time.monotonic() - self.began, 3), status, line))

    def report(self) -> dict:
        """Every figure."""
        with self.lock:
            return {
                "total": sum(self.requests.values()),
                "requests": dict(sorted(self.requests.items())),
                "answers": {str(status): count for status, count in sorted(self.answers.items())},
                "bytes_up": self.bytes_up,
                "bytes_down": self.bytes_down,
                "connections": self.connections,
                "seconds": round(time.monotonic() - self.began, 1),
            }

    def lines(self) -> list:
        """The journal: seconds since the beginning, status, line."""
        with self.lock:
            return list(self.journal)
