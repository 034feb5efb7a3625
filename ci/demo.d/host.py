"""The host's side: an sshd with a forced command, the gate's configuration, and the stand-in for OneDrive.

Invariant: the only thing that the runner's key can reach here is `backupctl --ssh-gate` with the
configuration of this demo.
"""

import contextlib
import os
import pwd
import shlex
import subprocess
import time
from pathlib import Path

from lightflow_server import free_port
from services import SampleService
from world import MS_BIND, MS_REC, World, mount

SSHD = "/usr/sbin/sshd"
FOLDER = "/OdroidBackup"
START_LIMIT_S = 10
PORTS = 5


class Host:
    """sshd, gate and remote of one world."""

    def __init__(self, world: World, drive, backupctl: Path, data_root: Path, services: list[SampleService]):
        self.world = world
        self.port = 0
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.drive = drive
        self.config = self._configure_gate(data_root, services)
        self.host_key = self._make_key("host_key")
        self.client_key = self._make_key("client_key")
        self._authorize(backupctl)
        self._start_sshd()

    @property
    def address(self) -> str:
        """BACKUP_HOST. A URI, because scripts have no option for a port."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    @property
    def known_hosts(self) -> str:
        """BACKUP_KNOWN_HOSTS."""
        kind, key, *_ = self.host_key.with_suffix(".pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}"

    @property
    def private_key(self) -> str:
        """BACKUP_SSH_KEY."""
        return self.client_key.read_text()

    def copies_of(self, service: SampleService) -> Path:
        """Folder of a service's mirror and archives on "OneDrive"."""
        return self.drive.folder / FOLDER.lstrip("/") / service.name

    def _configure_gate(self, data_root: Path, services: list[SampleService]) -> Path:
        root = self.world.root
        rclone = subprocess.run(["which", "rclone"], capture_output=True, text=True, check=True).stdout.strip()
        self.world.file("gate/rclone.conf", self.drive.section())
        lines = [
            f'data_root = "{data_root}"',
            f'state_dir = "{root}/gate/state"',
            f'lock_dir = "{root}/gate/lock"',
            f'spool_dir = "{root}/gate/spool"',
            f'audit_log = "{root}/logs/gate"',
            f'remotes = ["onedrive:{FOLDER}"]',
            "[rclone]",
            f'program = "{rclone}"',
            f'config = "{root}/gate/rclone.conf"',
            f'pin = "{pin()}"',
            f"local_folders = {toml_list(self.drive.local_folders())}",
        ]
        for service in services:
            lines.append(f"[services.{service.name}]")
            lines += [f"{verb} = {toml_list(service.command(verb))}" for verb in ("stop", "start", "status")]
        self.world.folder("logs")
        return self.world.file("gate/backupctl.toml", "\n".join(lines) + "\n")

    def _make_key(self, name: str) -> Path:
        place = self.world.folder("ssh") / name
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lightflow-demo {name}", "-f", place]
        subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
        return place

    def _authorize(self, backupctl: Path):
        command = shlex.join([str(backupctl), "--config", str(self.config), "--ssh-gate"]).replace('"', '\\"')
        public = self.client_key.with_suffix(".pub").read_text()
        self.world.file("ssh/authorized_keys", f'restrict,command="{command}" {public}')

    def _start_sshd(self):
        """Starts sshd on a port that is free, which is known only when it has it."""
        make_privilege_separation_folder(self.world)
        for _ in range(PORTS):
            self.port = free_port()
            if self._listens(self.world.spawn([SSHD, "-D", "-e", "-f", self._configure_sshd()], "sshd")):
                return
        raise RuntimeError(f"sshd does not start:\n{self.world.log('sshd')}")

    def _configure_sshd(self) -> Path:
        ssh = self.world.root / "ssh"
        return self.world.file(
            "ssh/sshd_config",
            "\n".join(
                [
                    f"Port {self.port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {self.host_key}",
                    f"AuthorizedKeysFile {ssh}/authorized_keys",
                    "PidFile none",
                    f"AllowUsers {self.user}",
                    "PermitRootLogin forced-commands-only",
                    "AuthenticationMethods publickey",
                    "DisableForwarding yes",
                    "PermitUserRC no",
                    "ClientAliveInterval 15",
                    # The folder lies below /tmp, which others may write to; what is in it, they may not.
                    "StrictModes no",
                    f"UsePAM {'yes' if password_is_locked() else 'no'}",
                ]
            )
            + "\n",
        )
    def _listens(self, sshd: subprocess.Popen) -> bool:
        """Waits for it; false when it has ended, for example because another program took the port first."""
        until = time.monotonic() + START_LIMIT_S
        while f"Server listening on 127.0.0.1 port {self.port}" not in self.world.log("sshd"):
            if sshd.poll() is not None:
                return False
            if time.monotonic() > until:
                raise RuntimeError(f"sshd does not listen:\n{self.world.log('sshd')}")
            time.sleep(0.02)
        return True


def pin() -> str:
    """The way in which the gate can hand a folder to rclone: by a private mount if the system allows one."""
    user = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    tried = subprocess.run(["unshare", *user, "--mount", "true"], capture_output=True, check=False)
    return "mount" if tried.returncode == 0 else "descriptor"


def toml_list(words: list[str]) -> str:
    """A list of strings in TOML."""
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"


def password_is_locked() -> bool:
    """True if sshd takes this account for locked. Without PAM it does when the password begins with "!"."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/shadow").read_text().splitlines():
            name, password, *_ = line.split(":")
            if name == pwd.getpwuid(os.getuid()).pw_name:
                return password.startswith("!")
    return False


def make_privilege_separation_folder(world: World):
    """Root's sshd wants /run/sshd, which exists only while the system's own sshd runs."""
    place = Path("/run/sshd")
    if os.getuid() != 0 or place.exists():
        return
    if world.private_mounts:
        hide_run()
    else:
        world.afterwards(place.rmdir)
    place.mkdir(mode=0o755)


def hide_run():
    """Puts an empty /run in its place, in our own view of the file system; systemd's part of it stays."""
    systemd = Path("/run/systemd")
    held = os.open(systemd, os.O_PATH | os.O_DIRECTORY) if systemd.is_dir() else None
    mount("tmpfs", "/run", "tmpfs", 0, "mode=0755,size=1m")
    if held is not None:
        systemd.mkdir(mode=0o755)
        mount(f"/proc/self/fd/{held}", str(systemd), None, MS_BIND | MS_REC, None)
        os.close(held)
