"""A disk of one file that logs every write and every flush: a FUSE server whose root is a regular file, for a loop device.

    disk_server.py MOUNT-POINT IMAGE LOG CONTROL

The log is a list of records: kind (`W` or `F`), offset, length, data. A record is in the log before the kernel gets the
answer, so the length of the log at a moment covers all that the file system knows to be written. CONTROL is a file of two
numbers (see `Faults`) by which a test makes writes or flushes fail or wait.
"""

import ctypes
import errno
import mmap
import os
import stat
import struct
import sys
import time
from pathlib import Path

HEADER = struct.Struct("<IIQQIIIHH")
ANSWER = struct.Struct("<IiQ")
RECORD = struct.Struct("<cQI")
TRANSFER = struct.Struct("<QQIIQII")
MAX_WRITE = 1 << 20
# FUSE_BIG_WRITES and FUSE_MAX_PAGES (fuse.h).
FLAGS = 1 << 5 | 1 << 22
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT = 1, 2, 3, 4, 14, 15, 16, 17, 18, 20, 25, 26
INTERRUPT, BATCH_FORGET = 36, 42
MS_NOSUID, MS_NODEV = 2, 4


class Faults:
    """The control file: the kind of fault, and the seconds that each flush waits."""

    NONE, WRITES, FLUSHES = 0, 1, 2
    layout = struct.Struct("<id")

    def __init__(self, path: Path):
        if not path.exists():
            path.write_bytes(self.layout.pack(self.NONE, 0.0))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), self.layout.size)

    def set(self, kind: int = NONE, wait_s: float = 0.0):
        """From now on."""
        self.memory[:] = self.layout.pack(kind, wait_s)

    def get(self) -> tuple[int, float]:
        """The present kind and wait."""
        return self.layout.unpack(self.memory[:])


class DiskServer:
    """Answers the kernel, one request after the other, so the log has one order."""

    def __init__(self, device: int, image: Path, log: Path, control: Path):
        self.device = device
        self.image = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.image).st_size
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.faults = Faults(control)

    def serve(self):
        """Until the kernel unmounts it."""
        while True:
            try:
                request = os.read(self.device, MAX_WRITE + 4096)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                raise
            _, opcode, unique, *_ = HEADER.unpack_from(request)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            try:
                body, code = self.answer(opcode, memoryview(request)[HEADER.size :]), 0
            except OSError as error:
                body, code = b"", -error.errno
            try:
                os.write(self.device, ANSWER.pack(ANSWER.size + len(body), code, unique) + body)
            except OSError as error:
                # The asker is gone.
                if error.errno != errno.ENOENT:
                    raise

    def answer(self, opcode: int, body: memoryview) -> bytes:
        """The answer to one request."""
        if opcode == WRITE:
            return self.write(body)
        if opcode == READ:
            _, offset, size, *_ = TRANSFER.unpack_from(body)
            return os.pread(self.image, size, offset)
        if opcode == FSYNC:
            self.flush()
            return b""
        if opcode == INIT:
            major, minor = struct.unpack_from("<II", body)
            values = (7, min(minor, 31), MAX_WRITE, FLAGS, 12, 9, MAX_WRITE, 1, MAX_WRITE // 4096, 0, 0)
            return struct.pack("<IIIIHHIIHHI28x", *values)
        if opcode in (GETATTR, SETATTR):
            return self.attributes()
        if opcode == OPEN:
            return struct.pack("<QII", 0, 0, 0)
        if opcode == STATFS:
            return struct.pack("<QQQQQIIII24x", self.size // 4096, 0, 0, 1, 0, 4096, 255, 4096, 0)
        if opcode in (RELEASE, FLUSH):
            return b""
        raise OSError(errno.ENOSYS, "unknown")

    def attributes(self) -> bytes:
        """The one file: its size, for an hour."""
        mode = stat.S_IFREG | 0o600
        times = (0, 0, 0, 0, 0, 0)
        return struct.pack("<QII", 3600, 0, 0) + struct.pack(
            "<QQQQQQIIIIIIIIII", 1, self.size, self.size // 512, *times, mode, 1, 0, 0, 0, 4096, 0
        )

    def write(self, body: memoryview) -> bytes:
        """Writes and logs."""
        _, offset, size, *_ = TRANSFER.unpack_from(body)
        if self.faults.get()[0] == Faults.WRITES:
            raise OSError(errno.EIO, "as ordered")
        data = body[TRANSFER.size : TRANSFER.size + size]
        os.pwrite(self.image, data, offset)
        os.writev(self.log, [RECORD.pack(b"W", offset, size), data])
        return struct.pack("<II", size, 0)

    def flush(self):
        """Logs the border of a flush. A flush that fails is none."""
        kind, wait_s = self.faults.get()
        if wait_s:
            time.sleep(wait_s)
        if kind == Faults.FLUSHES:
            raise OSError(errno.EIO, "as ordered")
        os.write(self.log, RECORD.pack(b"F", 0, 0))


def mount(point: Path) -> int:
    """Mounts the file system over a file; returns the descriptor of the kernel's side."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode={stat.S_IFREG | 0o600:o},user_id=0,group_id=0,max_read={MAX_WRITE}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"torture", os.fsencode(point), b"fuse", MS_NOSUID | MS_NODEV, options.encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(point))
    return device


if __name__ == "__main__":
    where, *files = map(Path, sys.argv[1:])
    server = DiskServer(mount(where), *files)
    print("ready", flush=True)
    server.serve()
