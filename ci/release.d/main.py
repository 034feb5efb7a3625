"""Puts a release together from the built parts: called by ci/release, which shows the layout in its help."""

import argparse
import gzip
import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import crates  # noqa: E402
import rclone  # noqa: E402
import sbom  # noqa: E402

REPO = HERE.parents[1]
PROGRAMS = ("backupctl", "backupctl-setup", "lightflow")
# A second name of a program.
SECOND_NAMES = {"podmanctl": "backupctl-setup"}
ARCHES = {"aarch64": "arm64", "x86_64": "amd64"}
COMPLETIONS = {"bash": "lightflow.bash", "zsh": "_lightflow", "fish": "lightflow.fish"}


class Release:
    """The files by their names: content, and whether it is a program."""

    def __init__(self):
        self.files: dict[str, tuple[bytes, bool]] = {}
        # Further names of these files.
        self.links: dict[str, str] = {}

    def add(self, name: str, content: bytes, program: bool = False):
        """Adds a file."""
        self.files[name] = (content, program)

    def copy(self, name: str, source: Path, program: bool = False):
        """Adds a file of the project."""
        if not source.is_file():
            sys.exit(f"{source} is missing; ci/release without --assemble builds it")
        self.add(name, source.read_bytes(), program)

    def copy_folder(self, name: str, folder: Path):
        """Adds the files of a folder."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.copy(f"{name}/{file.relative_to(folder)}", file, file.stat().st_mode & 0o100 != 0)

    def link(self, name: str, other: str):
        """Adds a second name of a file, which sorts behind the first one."""
        self.files[name] = self.files[other]
        self.links[name] = other

    def sums(self) -> bytes:
        """As sha256sum(1) writes them."""
        lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, (content, _) in sorted(self.files.items())]
        return "".join(lines).encode()

    def write(self, archive: Path, folder: str, epoch: int):
        """One tar file: sorted, of one time, owned by root."""
        fresh = archive.with_name(archive.name + ".new")
        with open(fresh, "wb") as out, gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packed, \
                tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            folders = {folder}
            for name in self.files:
                parts = name.split("/")[:-1]
                folders.update("/".join([folder, *parts[:count]]) for count in range(1, len(parts) + 1))
            for name in sorted(folders | {f"{folder}/{name}" for name in self.files}):
                member = tarfile.TarInfo(name)
                member.mtime, member.uname, member.gname = epoch, "root", "root"
                if name in folders:
                    member.type, member.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(member)
                elif other := self.links.get(name[len(folder) + 1:]):
                    member.type, member.mode, member.linkname = tarfile.LNKTYPE, 0o755, f"{folder}/{other}"
                    tar.addfile(member)
                else:
                    content, program = self.files[name[len(folder) + 1:]]
                    member.mode, member.size = 0o755 if program else 0o644, len(content)
                    tar.addfile(member, io.BytesIO(content))
        fresh.replace(archive)


def completions(dist: Path, arches: list[str]):
    """What `lightflow completions` prints, asked from the binary that runs here, or else under qemu."""
    native = platform.machine() in arches
    arch = platform.machine() if native else arches[0]
    program = [*([] if native else [f"qemu-{arch}-static"]), dist / "bin" / arch / "lightflow"]
    for shell, name in COMPLETIONS.items():
        yield name, subprocess.run([*program, "completions", shell], check=True, stdout=subprocess.PIPE).stdout


def main() -> int:
    """Collects, lists, packs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dist", type=Path, required=True)
    parser.add_argument("--arch", nargs="+", choices=ARCHES, required=True)
    parser.add_argument("--epoch", type=int, required=True)
    parser.add_argument("--revision", required=True)
    arguments = parser.parse_args()
    dist = arguments.dist
    version = tomllib.loads((REPO / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]

    release = Release()
    release.copy("install", REPO / "install", program=True)
    binaries = []
    images = [ARCHES[arch] for arch in arguments.arch]
    for arch, image in zip(arguments.arch, images):
        for program in PROGRAMS:
            binaries.append(dist / "bin" / arch / program)
            release.copy(f"bin/{arch}/{program}", binaries[-1], program=True)
        for name, program in SECOND_NAMES.items():
            release.link(f"bin/{arch}/{name}", f"bin/{arch}/{program}")
        release.copy(f"bin/{arch}/rclone", dist / "bin" / arch / "rclone", program=True)
        release.copy(f"image/lightflow-{image}.oci.tar", dist / "image" / f"lightflow-{image}.oci.tar")
    release.copy_folder("podman", REPO / "podman")
    release.copy_folder("etc", REPO / "etc")
    release.copy("etc/backupctl.example.toml", REPO / "gate/backupctl.example.toml")
    release.copy_folder("man", REPO / "gate/man")
    release.copy_folder("completions", REPO / "gate/completions")
    for name, content in completions(dist, arguments.arch):
        release.add(f"completions/{name}", content)
    for name in ("LICENSE", "README.md", "CHANGELOG.md"):
        release.copy(name, REPO / name)
    # The manual, with the pictures of the README.
    release.copy_folder("docs/manual", REPO / "docs/manual")
    inside, known = crates.of_binaries(binaries), crates.metadata()
    foreign = {pin: rclone.modules(release.files[f"bin/{pin.arch}/rclone"][0])
               for pin in rclone.read_lock().values() if pin.arch in arguments.arch}
    for pin in foreign:
        if rclone.digest(release.files[f"bin/{pin.arch}/rclone"][0]) != pin.program:
            sys.exit(f"bin/{pin.arch}/rclone is not the program of ci/rclone.lock; ci/rclone fetches that")
    release.add("NOTICES", (crates.notices(inside, known) + rclone.notices(foreign)).encode())
    debian = {image: sbom.read_lock(REPO / f"image/packages.{image}.lock") for image in images}
    release.add("sbom.spdx.json",
                sbom.write(version, arguments.revision, arguments.epoch, inside, known, crates.checksums(), debian,
                           foreign).encode())
    release.add("SHA256SUMS", release.sums())

    alone = "" if len(arguments.arch) == len(ARCHES) else f"-{arguments.arch[0]}"
    archive = dist / f"lightflow-{version}{alone}.tar.gz"
    release.write(archive, f"lightflow-{version}", arguments.epoch)
    # For sha256sum --check, beside the archive.
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_name(f"{archive.name}.sha256").write_text(f"{digest}  {archive.name}\n")
    # The same, unpacked, for a look or for an installation from here.
    folder = dist / f"lightflow-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(dist)
    size = archive.stat().st_size / 1_000_000
    print(f"{archive}: {size:.1f} MB, {len(release.files)} files, {len(inside)} crates, "
          f"{sum(len(lines) for lines in debian.values())} Debian packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
