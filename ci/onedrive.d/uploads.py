"""Upload sessions: a file that arrives in ranges.

Invariant: a session's bytes are contiguous from 0, and a complete session is gone, so a range that is sent twice meets either
the position behind it (416) or no session (404).
"""

import re
import secrets
import time
from dataclasses import dataclass, field

from drive import Drive, Item, Refused

UNIT = 320 * 1024
MAX_RANGE = 60 << 20
LIFE_S = 7 * 24 * 3600
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")


@dataclass
class Session:
    """A file on its way."""

    parent: Item
    name: str
    conflict: str
    modified: float | None
    expires: float
    total: int | None = None
    data: bytearray = field(default_factory=bytearray)

    @property
    def path(self) -> str:
        """The path of the file to come."""
        return f"{self.parent.path}/{self.name}"


class Uploads:
    """The sessions of a drive. All methods expect that the caller holds the drive's lock."""

    def __init__(self, drive: Drive):
        self.drive = drive
        self.sessions: dict[str, Session] = {}

    def create(self, parent: Item, name: str, conflict: str, modified: float | None, size: int | None) -> str:
        """Makes a session and returns its id. A name that is refused is refused here."""
        self.drive.check_name(parent, name)
        self.drive.check_room(size or 0)
        session = secrets.token_urlsafe(24)
        self.sessions[session] = Session(parent, name, conflict, modified, time.time() + LIFE_S)
        return session

    def get(self, session: str) -> Session:
        """The session, as long as it lives."""
        found = self.sessions.get(session)
        if found is None or found.expires < time.time():
            self.sessions.pop(session, None)
            raise Refused(404, "itemNotFound", "The upload session was not found")
        return found

    def put(self, session: str, content_range: str, data: bytes) -> Item | None:
        """Takes one range; returns the file when it was the last one."""
        found = self.get(session)
        match = RANGE.match(content_range)
        if match is None:
            raise Refused(400, "invalidRequest", "The Content-Range header is missing or malformed")
        first, last, total = map(int, match.groups())
        if found.total not in (None, total) or last >= total or len(data) != last - first + 1:
            raise Refused(400, "invalidRequest", "The range does not fit the content or the size told before")
        if first != len(found.data):
            raise Refused(416, "invalidRange", "Optimistic concurrency failure during fragmented upload")
        if last + 1 < total and len(data) % UNIT:
            raise Refused(400, "invalidRequest", "A range is no multiple of 320 KiB")
        if len(data) > MAX_RANGE:
            raise Refused(413, "invalidRequest", "A range has more than 60 MiB")
        self.drive.check_room(total)
        found.total = total
        found.data += data
        if last + 1 < total:
            return None
        # Graph ends the session also when the file cannot be stored.
        del self.sessions[session]
        parent = self.drive.by_id(found.parent.id)
        return self.drive.write(parent, found.name, bytes(found.data), found.conflict, found.modified)

    def cancel(self, session: str):
        """Forgets a session and its bytes."""
        self.get(session)
        del self.sessions[session]

    def status(self, session: str) -> dict:
        """The position, as Graph tells it."""
        found = self.get(session)
        end = "" if found.total is None else str(found.total - 1)
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.expires))
        return {"expirationDateTime": expires, "nextExpectedRanges": [f"{len(found.data)}-{end}"]}
