"""Facts that hold after the runs: copies equal their sources, services answer, boxes have their colours.

Each check returns a sentence about its finding, or raises `Wrong` with one about the fault.
"""

import http.client
import json
import os
import re
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from host import Host
from sample_service import manifest
from services import SampleService

WRITING_AGAIN_S = 5


class Wrong(Exception):
    """Something is not as it must be."""


def compare(what: str, expected: dict, found: dict):
    """Files by name and hash, and folders by name."""
    problems = [f"missing: {name}" for name in expected["files"].keys() - found["files"].keys()]
    problems += [f"in addition: {name}" for name in found["files"].keys() - expected["files"].keys()]
    both = expected["files"].keys() & found["files"].keys()
    problems += [f"other bytes: {name}" for name in both if expected["files"][name] != found["files"][name]]
    if expected["folders"] != found["folders"]:
        problems.append(f"folders: {found['folders']} instead of {expected['folders']}")
    if problems:
        raise Wrong(f"{what} differs from its source: " + "; ".join(problems[:5]))


def left_by(service: SampleService, *, first: bool = False) -> dict:
    """The service's data at its last stop, or at its first."""
    manifest_file = service.home / "manifest-1.json" if first else service.manifest
    try:
        return json.loads(manifest_file.read_text())
    except FileNotFoundError:
        raise Wrong(f"{service.name} was never stopped") from None


def mirror(host: Host, service: SampleService) -> str:
    """The mirror holds the very bytes that the service left when it was stopped for the sync.

    An empty folder is no file: it is in the mirror's manifest alone.
    """
    copy = host.copies_of(service) / "data"
    left = left_by(service, first=True)
    left["folders"] = manifest(copy)["folders"]
    compare(f"the mirror of {service.name}", left, manifest(copy))
    rows = rows_of(copy / "store.db")
    if rows != left["rows"]:
        raise Wrong(f"the mirrored database of {service.name} has {rows} rows instead of {left['rows']}")
    return f"mirror equals its source: {len(left['files'])} files, {rows} rows, integrity_check ok"


def archive(host: Host, service: SampleService) -> str:
    """The archive unpacks to the very same bytes, and nothing half-done lies beside it."""
    folder = host.copies_of(service) / "archives"
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    kinds = [re.sub(r"-\d{4}-\d\d-\d\d\.", ".", name, count=1) for name in names]
    if kinds != [f"{service.name}.manifest.gz", f"{service.name}.tar.gz"]:
        raise Wrong(f"{folder} holds {names} instead of one archive and its manifest")
    name = names[1]
    with tempfile.TemporaryDirectory(dir=host.world.root) as place:
        # With the tool of a person who has only the archive left.
        subprocess.run(["tar", "-xzf", folder / name, "-C", place], check=True)
        compare(f"the archive {name}", left_by(service), manifest(Path(place) / "data"))
    size = (folder / name).stat().st_size
    return f"archive unpacks to the same bytes: {name}, {size // 1024} KiB"


def no_archive(host: Host, service: SampleService) -> str:
    """On other days there is none."""
    folder = host.copies_of(service) / "archives"
    if folder.exists():
        raise Wrong(f"{folder} exists, though it is not the day for archives")
    return "no archive today, as it should be"


def answering(service: SampleService) -> str:
    """The service answers again, with its former data, and keeps writing."""
    before = left_by(service)["rows"]
    until = time.monotonic() + WRITING_AGAIN_S
    rows = 0
    while time.monotonic() < until:
        try:
            rows = service.rows()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Wrong(f"{service.name} does not answer: {error}") from error
        if rows > before:
            return f"answers again and writes: {rows} rows, {before} at its stop"
        time.sleep(0.02)
    raise Wrong(f"{service.name} has {rows} rows and had {before} at its stop; it does not write")


def downtime(service: SampleService, most: int) -> str:
    """The time without an answer; the service must have been down once, and at most `most` times.

    Where the file system makes no snapshots and reflinks, an archive stops the service once more.
    """
    outages = service.prober.finish()
    if not 1 <= len(outages) <= most or any(outage.end is None for outage in outages):
        raise Wrong(f"{service.name} should have been down at most {most} times, and was: {outages}")
    spans = [outage.end - outage.begin for outage in outages]
    return f"was down for {sum(spans):.2f} s, in {len(spans)} stops"


def colours(run: dict, expected: list[str]) -> str:
    """The boxes of a run have the colours that the tutorial promises."""
    states = [step["state"] for step in run["steps"]]
    if states != expected or run["state"] != "success":
        raise Wrong(f"{run['task']} is {run['state']} with {states} instead of success with {expected}")
    return "boxes: " + ", ".join(states)


def told(run: dict) -> str:
    """The runner has the state of the mirror from the gate's result line."""
    states = [step["mirror"] for step in run["steps"] if step.get("mirror")]
    if not states or not states[-1].get("complete_as_of") or not states[-1].get("files"):
        raise Wrong(f"the steps of {run['task']} do not tell until when the mirror is complete: {states}")
    return f"mirror complete as of {states[-1]['complete_as_of']}"


def rows_of(database: Path) -> int:
    """The rows of a copied database, once SQLite has found it intact."""
    # Immutable, because opening a database in WAL mode would write files beside it.
    connection = sqlite3.connect(f"file:{database}?immutable=1", uri=True)
    try:
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        rows = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    finally:
        connection.close()
    if verdict != "ok":
        raise Wrong(f"{database}: integrity_check says {verdict}")
    return rows
