"""Runs the commands of the manual, page by page."""

import subprocess
import tempfile
from pathlib import Path

import host
import runner
from blocks import Page, readme_commands

LIMIT_S = 300


def run(pages: list[Page]) -> list[str]:
    """Runs all pages and returns the faults."""
    faults = []
    known = readme_commands()
    for page in pages:
        run_here = [block for block in page.blocks if block.kind not in (None, "readme")]
        for block in page.blocks:
            if block.kind == "readme":
                missing = [line for line in block.text.splitlines() if line not in known]
                faults += [f"{page.name}:{block.line}: not in the README's chapter: {line}" for line in missing]
        if not run_here:
            continue
        with tempfile.TemporaryDirectory(prefix="manual-") as folder:
            place = Path(folder).resolve()
            with runner.Runner(place / "runner") as server:
                world = host.Host(place / "host") if any(block.kind != "runner" for block in run_here) else None
                for block in run_here:
                    fault = _block(block, server if block.kind == "runner" else world)
                    if fault:
                        faults.append(f"{page.name}:{block.line}: {fault}")
                        break
                else:
                    print(f"{page.name}: {len(run_here)} blocks")
    return faults


def _block(block, world) -> str | None:
    if block.kind == "gate-new":
        world.lose_the_data()
    if block.kind == "gate-refused":
        world.have_a_sync_refused()
    text = world.adapt(block.text)
    # As in the reader's own shell.
    script = f"shopt -s expand_aliases; set -e\n{world.prelude()}\n{text}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=world.folder,
        env=world.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    world.remember(block.text)
    if done.returncode:
        return f"exit code {done.returncode}\n{block.text}{done.stdout}{done.stderr}"
    return None
