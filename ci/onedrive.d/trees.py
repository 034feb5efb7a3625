"""Two trees, compared with programs of the system: trees.py ONE ANOTHER prints the differences; the exit code is 1 when there are any.

Invariant: nothing here comes from the gate: find, stat, getfattr, getfacl, sha256sum and filefrag read the trees. Sockets are left
out, as in every copy.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

EXTENT = re.compile(rb"^\s*\d+:\s+(\d+)\.\.\s*(\d+):.*?$", re.MULTILINE)
FORMAT = "%f\\t%u:%g\\t%.9Y\\t%s\\t%i\\t%n\\0"


def run(top: Path, *words: str, given: bytes = b"") -> bytes:
    """The output of a program in a folder."""
    done = subprocess.run(words, cwd=top, input=given, capture_output=True, check=False)
    # getfacl and getfattr say on standard error that they leave the folder's own slash out.
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def each(top: Path, kinds: str, *words: str) -> bytes:
    """The output of a program that gets the paths of these types."""
    types = [word for kind in kinds for word in ("-o", "-type", kind)][1:]
    return run(top, "xargs", "-0", "-r", *words, given=run(top, "find", ".", "(", *types, ")", "-print0"))


def blocks(text: bytes) -> dict[bytes, bytes]:
    """The answers of getfattr or getfacl by their path; both escape a path in one way."""
    found = {}
    for block in text.strip(b"\n").split(b"\n\n"):
        first, _, rest = block.partition(b"\n")
        found[first.removeprefix(b"# file: ")] = b"\n".join(sorted(rest.split(b"\n")))
    return found


def holes(top: Path, path: bytes) -> str:
    """The ranges of a file that have blocks, in the numbers of filefrag."""
    text = run(top, "filefrag", "-s", "-v", os.fsdecode(path))
    ranges: list[list[int]] = []
    for first, last in EXTENT.findall(text):
        if ranges and ranges[-1][1] + 1 == int(first):
            ranges[-1][1] = int(last)
        else:
            ranges.append([int(first), int(last)])
    return " ".join(f"{first}-{last}" for first, last in ranges) or "none"


def describe(top: Path, with_holes: bool = True) -> dict[bytes, dict[str, object]]:
    """Every entry with all that the programs say about it."""
    found: dict[bytes, dict[str, object]] = {}
    inodes: dict[bytes, list[bytes]] = {}
    listed = each(top, "fdlpbc", "stat", f"--printf={FORMAT}")
    for line in listed.split(b"\0")[:-1]:
        mode, owner, modified, size, inode, path = line.split(b"\t", 5)
        kind = int(mode, 16) & 0o170000
        found[path] = {"mode": mode, "owner": owner, "time": modified, "size": size if kind != 0o040000 else b""}
        if kind != 0o040000:
            inodes.setdefault(inode, []).append(path)
    for paths in inodes.values():
        for path in paths:
            found[path]["names"] = sorted(paths)
    texts = run(top, "find", ".", "-type", "l", "-printf", "%p\\0%l\\0").split(b"\0")
    for path, target in zip(texts[::2], texts[1::2]):
        found[path]["target"] = target
    for line in each(top, "f", "sha256sum", "-z").split(b"\0")[:-1]:
        found[line[66:]]["digest"] = line[:64]
    if with_holes:
        subprocess.run(["sync", "-f", top], check=True)
        for line in run(top, "find", ".", "-type", "f", "-size", "+64k", "-print0").split(b"\0")[:-1]:
            found[line]["blocks"] = holes(top, line)
    attributes = blocks(each(top, "fdlp", "getfattr", "-h", "-d", "-m", "-", "-e", "hex"))
    lists = blocks(each(top, "fdp", "getfacl", "-n", "-p"))
    found[b"getfattr"] = {os.fsdecode(path): text for path, text in attributes.items() if path}
    found[b"getfacl"] = {os.fsdecode(path): text for path, text in lists.items()}
    return found


def differences(one: dict, other: dict) -> list[str]:
    """The differences of two descriptions in lines."""
    lines = []
    for path in sorted(one.keys() | other.keys()):
        first, second = one.get(path), other.get(path)
        if first is None or second is None:
            lines.append(f"{path!r} is only in the {'second' if first is None else 'first'} tree")
            continue
        for key in sorted(first.keys() | second.keys()):
            if first.get(key) != second.get(key):
                lines.append(f"{path!r}: {key} {first.get(key)!r} and {second.get(key)!r}")
    return lines


def main() -> int:
    """Prints the differences of two folders."""
    found = differences(*(describe(Path(word)) for word in sys.argv[1:3]))
    print("\n".join(found) or "no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
