"""OneDrive's place in the demo: a local folder, or the stand-in for Microsoft Graph with the demo in its world.

Invariant: after `fetch` the copies lie in `folder`, where the checks look at them.
"""

import os
import sys
from pathlib import Path

from world import World

STAND_IN = Path(__file__).resolve().parents[1] / "onedrive.d"


class LocalFolder:
    """A folder behind an alias."""

    def __init__(self, world: World):
        self.folder = world.folder("onedrive")

    def section(self) -> str:
        """The section of rclone.conf."""
        return f"[onedrive]\ntype = alias\nremote = {self.folder}\n"

    def local_folders(self) -> list[str]:
        """Folders of this host that rclone may write to."""
        return [str(self.folder)]

    def fetch(self):
        """The copies are there."""


class StandIn(LocalFolder):
    """The stand-in, through rclone's own backend for OneDrive."""

    def section(self) -> str:
        return Path(os.environ["RCLONE_CONFIG"]).read_text()

    def local_folders(self) -> list[str]:
        return []

    def fetch(self):
        """Takes the copies out of the stand-in by its control socket, not by rclone."""
        # Last in the path: both folders have a module `world`.
        sys.path.append(str(STAND_IN))
        from client import Client

        control = Client(os.environ["ONEDRIVE_CONTROL"])
        for path, entry in control.tree().items():
            place = self.folder / path.lstrip("/")
            if entry["kind"] == "folder":
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.write_bytes(control.read(path))
