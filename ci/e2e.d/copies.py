"""Files on the remote after a night: mirrors and archives that equal the services' data, and no partial ones."""

import re

from board import Board, Unexpected
from services import Service, compare, in_folder, left_by

REMOTE = "/srv/onedrive"
FOLDER = f"{REMOTE}/OdroidBackup"
# rclone writes beside the target under a name with random letters, the gate under one of its own.
HALF_DONE = r"\.partial(\.|$)"


def mirror(board: Board, service: Service) -> str:
    """The mirror holds the very bytes that the service left when it was stopped."""
    found = in_folder(board, f"{FOLDER}/{service.name}/data")
    return compare(f"the mirror of {service.name}", left_by(board, service), found)


def archive(board: Board, service: Service) -> str:
    """The newest archive unpacks to the same bytes, with the tool of a person who has only the archive left."""
    folder = f"{FOLDER}/{service.name}/archives"
    names = sorted(name for name in board.do(f"ls {folder}").split() if name.endswith(".tar.gz"))
    if not names:
        raise Unexpected(f"{folder} holds no archive")
    unpack = f"rm -rf /var/tmp/unpacked; mkdir /var/tmp/unpacked; tar -xzf {folder}/{names[-1]} -C /var/tmp/unpacked"
    board.do(unpack)
    found = in_folder(board, "/var/tmp/unpacked/data")
    return f"{names[-1]}, {compare(f'the archive {names[-1]}', left_by(board, service), found)}"


def nothing_half_done(board: Board) -> str:
    """No partial upload lies in the place of a copy."""
    names = [line for line in board.do(f"find {FOLDER} -type f -not -path '*/.versions/*'").splitlines() if line]
    partial = [name for name in names if re.search(HALF_DONE, name)]
    if partial:
        raise Unexpected(f"left over: {partial}")
    return f"{len(names)} files"
