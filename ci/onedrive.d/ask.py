"""Asks the control socket of the world that this command runs in: METHOD PATH [BODY]."""

import os
import sys

from client import Client, ControlError


def main() -> int:
    """Prints the answer."""
    place = os.environ.get("ONEDRIVE_CONTROL")
    if not place or len(sys.argv) not in (3, 4):
        print("Usage: ONEDRIVE_CONTROL=SOCKET ci/onedrive control METHOD PATH [BODY]", file=sys.stderr)
        return 2
    method, path, *body = sys.argv[1:]
    try:
        answer = Client(place).ask(method.upper(), path, body[0] if body else b"")
    except (ControlError, OSError) as error:
        print(f"ci/onedrive: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(answer)
    if answer and path.partition("?")[0] != "/file":
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
