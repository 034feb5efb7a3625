"""An unpacked release for this machine: that of LIGHTFLOW_RELEASE (its folder or its archive), or one put together from the
programs in COMPLIANCE_BIN_DIR and the image of the lock, which takes seconds where ci/release takes minutes."""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PROGRAMS = ("backupctl", "backupctl-setup", "lightflow")
IMAGES = {"x86_64": "amd64", "aarch64": "arm64"}


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="release")


def scratch() -> str:
    """A folder that is gone when the suite ends."""
    return _scratch().name


@functools.cache
def folder() -> Path:
    """The folder that a user has after unpacking."""
    given = os.environ.get("LIGHTFLOW_RELEASE")
    if not given:
        return _assemble()
    place = Path(given)
    if place.is_file():
        with tarfile.open(place) as tar:
            tar.extractall(scratch(), filter="data")
        [place] = Path(scratch()).glob("lightflow-*")
    return place


def _assemble() -> Path:
    machine = platform.machine()
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPO / "target")).resolve()
    scratch = target / "compliance"
    dist = scratch / "dist"
    programs = dist / "bin" / machine
    programs.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        subprocess.run(["strip", "-o", programs / name, Path(os.environ["COMPLIANCE_BIN_DIR"]) / name], check=True)
    (programs / "podmanctl").unlink(missing_ok=True)
    os.link(programs / "backupctl-setup", programs / "podmanctl")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(scratch)}
    subprocess.run([REPO / "ci" / "rclone", machine], check=True, env=environment)
    subprocess.run([REPO / "ci" / "image", IMAGES[machine]], check=True, env=environment)

    version = tomllib.loads((REPO / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    place = scratch / f"lightflow-{version}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(REPO / "install", place)
    shutil.copytree(programs, place / "bin" / machine)
    shutil.copytree(dist / "image", place / "image")
    for name, source in (("podman", "podman"), ("etc", "etc"), ("man", "gate/man"), ("completions", "gate/completions")):
        shutil.copytree(REPO / source, place / name)
    shutil.copy(REPO / "gate" / "backupctl.example.toml", place / "etc")
    seal(place)
    return place


def seal(place: Path):
    """Writes SHA256SUMS, as ci/release does."""
    files = sorted(file for file in place.rglob("*") if file.is_file() and file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(place)}\n" for file in files]
    (place / "SHA256SUMS").write_text("".join(lines))


def changed(name: str, edit) -> Path:
    """A release like that one with another file in it, as the next version would have."""
    place = Path(scratch()) / "next"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder(), place)
    (place / name).write_text(edit((place / name).read_text()))
    seal(place)
    return place
