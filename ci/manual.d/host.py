"""A host with the gate and one service, in a folder. Its remote `onedrive` is another folder."""

import os
import shutil
import subprocess
from pathlib import Path

import programs

SERVICE = "vaultwarden"
# More than limits.few_files, so that the limits of a sync apply.
FILES = 40
UNSAFE = 76


class Host:
    """The host, after one night: a mirror and an archive lie on the remote."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("podman", "etc", "srv", "remote/OdroidBackup", "state", "lock", "spool", "bin"):
            (folder / name).mkdir(parents=True)
        self.data = folder / "podman" / SERVICE / "data"
        self.data.mkdir(parents=True)
        for number in range(FILES):
            (self.data / f"{number}.txt").write_text(f"password {number}\n")
        (folder / "up").touch()
        scripts = {"stop": f"rm -f {folder}/up", "start": f": >{folder}/up", "status": f"test -e {folder}/up || exit 3"}
        for name, text in scripts.items():
            script = folder / "bin" / name
            script.write_text(f"#!/bin/sh\n{text}\n")
            script.chmod(0o755)
        self._configure()
        configuration = f"--config {folder}/etc/backupctl.toml"
        self.bin = programs.folder(folder / "path", {"backupctl": f'exec {programs.BINARIES}/backupctl {configuration} "$@"'})
        for verb in ("stop", "sync", "archive", "start"):
            self._step(verb)

    def _configure(self):
        place = self.folder
        rclone = shutil.which("rclone") or "/usr/bin/rclone"
        (place / "etc" / "rclone.conf").write_text(f"[onedrive]\ntype = alias\nremote = {place}/remote\n")
        (place / "etc" / "rclone.conf").chmod(0o600)
        lines = [f'{name}_dir = "{place}/{name}"' for name in ("state", "lock", "spool")]
        lines += [f'data_root = "{place}/podman"', 'remotes = ["onedrive:/OdroidBackup"]']
        lines += ["[rclone]", f'program = "{rclone}"', f'config = "{place}/etc/rclone.conf"', f'local_folders = ["{place}/remote"]']
        lines += [f"[services.{SERVICE}]", *(f'{verb} = ["{place}/bin/{verb}"]' for verb in ("stop", "start", "status"))]
        (place / "etc" / "backupctl.toml").write_text("\n".join(lines) + "\n")

    def _step(self, verb: str, code: int = 0):
        words = f"--{verb} {SERVICE}"
        if verb in ("sync", "archive"):
            words += f" --path {self.data} --remote onedrive:/OdroidBackup"
        done = subprocess.run(
            [self.bin / "backupctl", *words.split()], env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            raise AssertionError(f"backupctl {words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")

    def have_a_sync_refused(self):
        """Most files of the service are gone, and a sync has not made the mirror follow."""
        for file in list(self.data.iterdir())[1:]:
            file.unlink()
        self._step("sync", UNSAFE)

    def lose_the_data(self):
        """The disk of the service is new and empty."""
        for entry in (self.folder / "podman" / SERVICE).iterdir():
            shutil.rmtree(entry)

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder), "LANG": "C.UTF-8"}

    def adapt(self, text: str) -> str:
        for old, new in (("/media/ssd/podman", "podman"), ("/etc/backupctl", "etc"), ("/srv", "srv")):
            text = text.replace(old, str(self.folder / new))
        return text

    def prelude(self) -> str:
        return ""

    def remember(self, text: str):
        """Each block stands alone."""
