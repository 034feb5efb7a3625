"""The crates in the binaries, from the list in each binary, with their authors' licence texts."""

import json
import subprocess
import sys
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path

from elf import Elf

REPO = Path(__file__).resolve().parents[2]
LICENCE_NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE")


@dataclass(frozen=True, order=True)
class Crate:
    """One version of a crate."""

    name: str
    version: str


def of_binaries(binaries: list[Path]) -> set[Crate]:
    """The crates from the registry whose code is in one of the binaries; cargo-auditable's list, `.dep-v0`."""
    found = set()
    for binary in binaries:
        for package in json.loads(zlib.decompress(Elf(binary.read_bytes()).sections()[".dep-v0"]))["packages"]:
            if package["source"] == "local" or package.get("kind", "runtime") != "runtime":
                continue
            if package["source"] not in ("crates.io", "registry"):
                sys.exit(f"{binary}: {package['name']} comes from {package['source']}")
            found.add(Crate(package["name"], package["version"]))
    return found


def metadata() -> dict[Crate, dict]:
    """cargo's facts about every crate of Cargo.lock."""
    command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1",
               "--filter-platform", "aarch64-unknown-linux-musl", "--filter-platform", "x86_64-unknown-linux-musl"]
    answer = subprocess.run(command, cwd=REPO, check=True, stdout=subprocess.PIPE).stdout
    return {Crate(package["name"], package["version"]): package for package in json.loads(answer)["packages"]}


def checksums() -> dict[Crate, str]:
    """The SHA-256 of each crate's file, out of Cargo.lock."""
    lock = tomllib.loads((REPO / "Cargo.lock").read_text(encoding="utf-8"))
    return {Crate(package["name"], package["version"]): package["checksum"]
            for package in lock["package"] if "checksum" in package}


def licence(package: dict) -> str:
    """Its licence as an SPDX expression; the older way to write a choice was a slash."""
    return (package["license"] or "NOASSERTION").replace("/", " OR ").replace("  ", " ")


def licence_texts(package: dict) -> list[str]:
    """The files in which a crate says under which terms it may be used."""
    folder = Path(package["manifest_path"]).parent
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.upper().startswith(LICENCE_NAMES)]
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files if file.suffix != ".html"]


def notices(crates: set[Crate], known: dict[Crate, dict]) -> str:
    """All licence texts, each once, with the crates that it belongs to."""
    users: dict[str, list[str]] = {}
    for crate in sorted(crates):
        name = f"{crate.name} {crate.version} ({licence(known[crate])})"
        for text in licence_texts(known[crate]) or [f"(the crate brings no text; its licence is {licence(known[crate])})"]:
            users.setdefault(text, []).append(name)
    parts = ["The programs of this release contain the code of these crates, of Rust's standard library (MIT OR Apache-2.0,\n"
             "https://www.rust-lang.org/policies/licenses) and of musl (MIT, https://musl.libc.org). What the packages in the\n"
             "image are under lies in it as /usr/share/doc/PACKAGE/copyright."]
    for text, names in sorted(users.items(), key=lambda pair: pair[1]):
        parts.append("=" * 100 + "\n" + "\n".join(names) + "\n" + "-" * 100 + "\n\n" + text)
    return "\n\n".join(parts) + "\n"
