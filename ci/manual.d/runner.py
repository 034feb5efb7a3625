"""A server of the runner for the commands of one page."""

import os
import re
import subprocess
from pathlib import Path

import programs

DATA = "/media/ssd/podman/lightflow/data"


class Runner:
    """The server, and the environment of a shell beside it."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        self.data = folder / "data"
        self.bin = programs.folder(folder / "bin", {})
        self.aliases = ""
        # The commands expect a script of the reader's own beside them.
        (folder / "backup.py").write_text("#!/usr/bin/env python3\nprint('a backup')\n")

    def __enter__(self):
        environment = {**self.environment(), "LIGHTFLOW_LISTEN": "127.0.0.1:0", "LIGHTFLOW_TLS": "off"}
        self.server = subprocess.Popen(
            [programs.BINARIES / "lightflow", "serve"], env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        found = next((found for line in self.server.stderr if (found := re.search(r"serves (http://\S+)", line))), None)
        if not found:
            raise AssertionError("the server did not start")
        self.url = found[1]
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.stderr.close()
        self.server.wait()

    def environment(self) -> dict[str, str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", "LIGHTFLOW_DATA_DIR": str(self.data)}

    def adapt(self, text: str) -> str:
        return text.replace(DATA, str(self.data))

    def prelude(self) -> str:
        return self.aliases

    def remember(self, text: str):
        """Aliases hold for the next blocks of the page."""
        lines = [line for line in self.adapt(text).splitlines() if line.startswith("alias ")]
        self.aliases = "\n".join([self.aliases, *lines])
