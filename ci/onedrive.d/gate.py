"""The real gate in a world of the stand-in: configuration, services made of scripts, data.

Invariant: the gate and rclone run unmodified, with the port rule, the private mounts and Landlock of a real host.
"""

import json
import os
import subprocess
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("ONEDRIVE_BIN_DIR", REPO / "target" / "debug"))
FOLDER = "/OdroidBackup"
REMOTE = f"onedrive:{FOLDER}"
LIMIT_S = 300
# Stop, start and status of a service, which is up while a file is there.
SCRIPTS = {"stop": "rm -f {up}", "start": ": >{up}", "status": "test -e {up} || exit 3"}
SYSTEMD = Path("/run/systemd")


class Gate:
    """The gate's side of a host."""

    binaries = BINARIES

    def __init__(self, place: Path, config: Path, rclone: str, services=("app",), **rclone_keys):
        self.place = place
        self.config = config
        self.rclone = rclone
        self.services = list(services)
        self.target = REMOTE
        for name in self.services:
            self.data(name).mkdir(parents=True)
            (place / "up").mkdir(exist_ok=True)
            self.start_by_hand(name)
            for verb, text in SCRIPTS.items():
                script = place / "bin" / f"{name}-{verb}"
                script.parent.mkdir(exist_ok=True)
                script.write_text(f"#!/bin/sh\n{text.format(up=place / 'up' / name)}\n")
                script.chmod(0o755)
        self.configure(**rclone_keys)

    def configure(self, top: str = "", tables: str = "", **rclone_keys):
        """Writes the gate's configuration."""
        keys = {"program": self.rclone, "config": str(self.config), **rclone_keys}
        folders = {name: str(self.place / name.removesuffix("_dir")) for name in ("state_dir", "lock_dir", "spool_dir")}
        lines = [f"{name} = {json.dumps(value)}" for name, value in folders.items()]
        lines += [f'data_root = "{self.place}/podman"', f'audit_log = "{self.place}/audit.jsonl"']
        lines += [f"remotes = {json.dumps([self.target])}", top, "[rclone]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
        for name in self.services:
            lines.append(f"[services.{name}]")
            lines += [f'{verb} = ["{self.place}/bin/{name}-{verb}"]' for verb in SCRIPTS]
        (self.place / "gate.toml").write_text("\n".join([*lines, tables]) + "\n")

    def new_configuration(self):
        """Writes the configuration of a new host as the installer does: the example, with the services of this host (here none but
        the runner), and with this test's folders and rclone in the place of the host's."""
        text = (REPO / "gate/backupctl.example.toml").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("[services.") or line == "[services.lightflow]"]
        text = "\n".join(lines) + "\n"
        podmanctl = self.place / "podmanctl"
        podmanctl.symlink_to(self.binaries / "backupctl-setup")
        places = {
            "/media/ssd/podman": self.place / "podman",
            "/var/lib/backupctl": self.place / "state",
            "/run/backupctl": self.place / "lock",
            "/var/cache/backupctl": self.place / "spool",
            "/usr/local/bin/podmanctl": podmanctl,
            "/etc/backupctl/rclone.conf": self.config,
            "/usr/local/lib/backupctl/rclone": self.rclone,
        }
        for old, new in places.items():
            if f'"{old}"' not in text:
                raise AssertionError(f"the example does not name {old}")
            text = text.replace(f'"{old}"', f'"{new}"')
        self.data("lightflow").mkdir(parents=True)
        self.write({"lightflow.db": b""}, "lightflow")
        (self.place / "gate.toml").write_text(text, encoding="utf-8")

    def data(self, service: str = "app") -> Path:
        """A service's data."""
        return self.place / "podman" / service / "data"

    def write(self, files: dict[str, bytes], service: str = "app"):
        """Puts files into a service's data."""
        for name, content in files.items():
            file = self.data(service) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def start_by_hand(self, service: str = "app"):
        """Starts a service without the gate."""
        (self.place / "up" / service).touch()

    def is_up(self, service: str = "app") -> bool:
        """True if a service is up."""
        return (self.place / "up" / service).exists()

    def words(self, verb: str, service: str = "app") -> str:
        """The request line that backup.py sends."""
        more = f" --path {self.data(service)} --remote {self.target}" if verb in ("sync", "archive") else ""
        return f"backupctl --{verb} {service}{more}"

    def _command(self, *words: str) -> list[str]:
        return [str(self.binaries / "backupctl"), "--config", str(self.place / "gate.toml"), *words]

    def request(self, line: str) -> subprocess.CompletedProcess:
        """The gate as sshd runs it for a request line."""
        return self._run(self._command("--ssh-gate"), {"SSH_ORIGINAL_COMMAND": line})

    def spawn(self, line: str) -> subprocess.Popen:
        """The same, without waiting for its end."""
        environment = {**os.environ, "SSH_ORIGINAL_COMMAND": line}
        return subprocess.Popen(
            self._command("--ssh-gate"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def step(self, verb: str, service: str = "app", more: str = "") -> subprocess.CompletedProcess:
        """One step of a night."""
        return self.request(self.words(verb, service) + more)

    def on_host(self, *words: str) -> subprocess.CompletedProcess:
        """The gate on the host's command line."""
        return self._run(self._command(*words), {})

    @staticmethod
    def _run(command: list[str], more: dict[str, str]) -> subprocess.CompletedProcess:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **more}
        began = time.monotonic()
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        done.seconds = time.monotonic() - began
        return done


def hide_systemd():
    """Keeps the gate from the system's own service manager: its processes must end with the test."""
    if SYSTEMD.exists():
        subprocess.run(["mount", "-t", "tmpfs", "none", SYSTEMD], check=True)
