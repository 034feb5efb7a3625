"""The folder of programs that stands first in the PATH of a tested command."""

import os
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("MANUAL_BIN_DIR", REPO / "target" / "debug")).resolve()


def folder(place: Path, more: dict[str, str]) -> Path:
    """Makes the folder: `sudo` runs the command itself, and `more` are programs by name with the text of their script."""
    place.mkdir(parents=True)
    scripts = {"sudo": 'exec "$@"', "lightflow": f'exec {BINARIES}/lightflow "$@"', **more}
    for name, text in scripts.items():
        script = place / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    return place
