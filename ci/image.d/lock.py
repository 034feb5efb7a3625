"""Turns the output of `apt-get --print-uris` into the lines of a lock: lock.py ARCH MIRROR SECURITY-MIRROR <uris

Addresses of mirrors are left out: a line names the archive (debian or security) and the path there.
"""

import re
import sys
from urllib.parse import unquote

LINE = re.compile(r"'(\S+)' (\S+) \d+ SHA256:([0-9a-f]{64})")


def main() -> int:
    """Reads addresses, writes the lock."""
    arch, *mirrors = sys.argv[1:]
    lines = []
    print(f"# The packages of the image for {arch}: name, version, archive, path, SHA-256. Written by ci/image --refresh-lock.")
    for line in sys.stdin:
        match = LINE.match(line)
        if not match:
            raise SystemExit(f"apt said something unknown: {line.strip()}")
        address, file, digest = match.groups()
        name, version, _ = unquote(file).rsplit("_", 2)
        # The longer address first: one may be the beginning of the other.
        for archive, mirror in sorted(zip(("debian", "security"), mirrors), key=lambda pair: -len(pair[1])):
            if mirror and address.startswith(mirror + "/"):
                lines.append(f"{name} {version} {archive} {address[len(mirror) + 1:]} {digest}")
                break
        else:
            raise SystemExit(f"{name} comes from neither of the known archives")
    print("\n".join(sorted(lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
