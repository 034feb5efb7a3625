"""An rclone that stays, for a remote that is a folder of this host: rcd.py REMOTE FAULT LOG.

It answers on the socket that it was given. FAULT is "HOW PATH": the first request for that path is answered so.
"""

import hashlib
import json
import os
import shutil
import socket
import sys
import urllib.parse

REMOTE, FAULT, LOG = sys.argv[1:4]
HOW, _, WHERE = open(FAULT).read().strip().partition(" ")
SENT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BROKEN = {
    "nothing": b"",
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "half": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"list\":[",
    "two": SENT + SENT,
    "long-head": b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 100_000,
    "long-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "no-json": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[}",
    "deep": b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 1_000_000,
    "no-fields": SENT,
    "null": b"HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n{\"list\":null,\"item\":null,\"Hashes\":null,\"bytes\":1}",
    "status": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
}


class Refused(Exception):
    """An error of rclone's."""


def place(fs, remote=""):
    """The path that rclone means."""
    return os.path.join(REMOTE, fs.partition(":")[2].lstrip("/"), remote) if fs.startswith("onedrive:") else os.path.join(fs, remote)


def do(path, asked):
    """Does what a request asks for."""
    if path == "operations/list":
        folder = place(asked["fs"], asked["remote"])
        if not os.path.isdir(folder):
            raise Refused("error in ListJSON: directory not found")
        wanted = [entry for entry in os.scandir(folder) if entry.is_dir() == bool(asked["opt"].get("dirsOnly"))]
        return {"list": [{"Name": entry.name, "Path": entry.name, "Size": entry.stat().st_size, "IsDir": entry.is_dir()} for entry in wanted]}
    if path == "operations/fsinfo":
        return {"Hashes": ["sha1"]}
    if path == "operations/stat":
        try:
            data = open(place(asked["fs"], asked["remote"]), "rb").read()
        except FileNotFoundError:
            return {"item": None}
        return {"item": {"Size": len(data), "Hashes": {"sha1": hashlib.sha1(data).hexdigest()}}}
    if path in ("operations/copyfile", "operations/movefile"):
        source, target = place(asked["srcFs"], asked["srcRemote"]), place(asked["dstFs"], asked["dstRemote"])
        if not os.path.exists(source):
            raise Refused("object not found")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if path == "operations/movefile":
            os.rename(source, target)
        else:
            shutil.copyfile(source, target)
        return {}
    if path == "operations/deletefile":
        os.remove(place(asked["fs"], asked["remote"]))
        return {}
    if path == "core/stats":
        return {"bytes": 1, "totalBytes": 2, "transfers": 0, "totalTransfers": 1, "speed": 1.0}
    raise Refused(f"couldn't find method {path!r}")


def answer(line, status, body):
    """Sends an answer."""
    line.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def serve(line, first):
    """One request. Returns whether the fault was used up."""
    stream = line.makefile("rb")
    method, address, _ = stream.readline().decode().split()
    headers = dict(iter(lambda: stream.readline().decode().strip().lower().partition(": ")[::2], ("", "")))
    path = urllib.parse.unquote(address)[1:]
    body = stream.read(int(headers.get("content-length", 0)))
    with open(LOG, "a") as log:
        print(path, file=log)
    faulty = first and WHERE in path and HOW != "none"
    if faulty and HOW in BROKEN:
        line.sendall(BROKEN[HOW])
        return True
    if faulty and HOW == "endless":
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            line.sendall(b" " * 65536)
    if faulty and HOW == "hang":
        line.recv(1)
    if faulty and HOW == "die":
        os.kill(os.getpid(), 9)
    try:
        if method == "GET":
            name, _, rest = path[1:].partition("]/")
            data = open(place(name, rest), "rb").read()
            if faulty and HOW == "break":
                line.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: len(data) // 2])
                return True
            begin = int(headers.get("range", "bytes=0-")[6:].rstrip("-"))
            if begin:
                line.sendall(f"HTTP/1.1 206 X\r\nContent-Range: bytes {begin}-{len(data) - 1}/{len(data)}\r\n".encode())
                line.sendall(f"Content-Length: {len(data) - begin}\r\n\r\n".encode() + data[begin:])
            else:
                answer(line, 200, data)
            return faulty
        told = do(path, json.loads(body))
        if faulty and HOW == "lost":
            raise Refused("read tcp 192.0.2.1:443: connection reset by peer")
        answer(line, 200, json.dumps(told).encode())
    except (Refused, FileNotFoundError) as error:
        answer(line, 500, json.dumps({"error": str(error), "status": 500}).encode())
    return faulty


def main():
    """Serves until it is ended."""
    assert os.environ["LISTEN_FDS"] == "1" and os.environ["LISTEN_PID"] == str(os.getpid())
    listener = socket.socket(fileno=3)
    # It can answer here and nowhere else.
    for family in (socket.AF_INET, socket.AF_UNIX):
        try:
            socket.socket(family).listen()
        except PermissionError:
            continue
        raise AssertionError(f"it can listen to {family}")
    fresh = not os.path.exists(FAULT + ".used")
    while True:
        line, _ = listener.accept()
        try:
            if serve(line, fresh):
                fresh = False
                open(FAULT + ".used", "w").close()
        except OSError:
            pass
        line.close()


main()
