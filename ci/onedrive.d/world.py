"""The world of a stand-in: a network and a mount namespace where the four hosts are 127.0.0.1 and only the test's CA is trusted.

Invariant: nothing outside of the namespaces changes but one folder. `ci/onedrive` makes the namespaces before Python starts.
"""

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import control
from graph import HOSTS
from server import Standin
from settings import Settings

HOST_NAMES = Path("/etc/hosts")
RESOLVER = Path("/etc/resolv.conf")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
DAYS = "3650"


class World:
    """A folder with the CA, rclone.conf and the control socket; a context manager."""

    def __init__(self, settings: Settings, folder: Path | None = None, remote: str = "drive"):
        self.is_ours = folder is None
        # The gate follows no link, so it must get the real name.
        self.folder = Path(folder or tempfile.mkdtemp(prefix="onedrive-")).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.remote = remote
        self.standin = Standin(settings)
        self._mounted: list[Path] = []

    def __enter__(self) -> "World":
        loopback_up()
        self._make_certificates()
        self._mount()
        self.server = self.standin.serve(self.folder / "host.crt", self.folder / "host.key")
        self.control = control.Server(self.socket, control.Control(self.standin))
        self.control.start()
        self.write_config(self.config, self.remote)
        (self.folder / "pid").write_text(f"{os.getpid()}\n")
        return self

    def __exit__(self, *_):
        for server in (self.control, self.server):
            server.shutdown()
            server.server_close()
        for target in reversed(self._mounted):
            subprocess.run(["umount", target], check=False)
        if self.is_ours:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def config(self) -> Path:
        """The rclone.conf of this world."""
        return self.folder / "rclone.conf"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.folder / "control"

    def environment(self) -> dict[str, str]:
        """The environment of a command in this world."""
        return {**os.environ, "RCLONE_CONFIG": str(self.config), "ONEDRIVE_CONTROL": str(self.socket)}

    def section(self, remote: str) -> str:
        """A section of rclone.conf with a sign-in of its own."""
        token = self.standin.tokens.sign_in()
        expires = datetime.fromtimestamp(time.time() + token.pop("expires_in"), timezone.utc)
        token["expiry"] = expires.isoformat()
        lines = {
            "type": "onedrive",
            "drive_id": self.standin.drive.id,
            "drive_type": "business" if self.standin.drive.business else "personal",
            "token": json.dumps(token),
        }
        return f"[{remote}]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())

    def write_config(self, place: Path, remote: str):
        """Writes an rclone.conf with one remote."""
        place.touch(mode=0o600)
        place.write_text(self.section(remote))

    def _make_certificates(self):
        """A CA, and one certificate for all hosts."""
        names = ",".join(f"DNS:{host}" for host in HOSTS)
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", DAYS]
        self._openssl("req", "-x509", *curve, "-subj", "/CN=Stand-in CA", "-keyout", "ca.key", "-out", "ca.crt")
        self._openssl(
            *("req", "-x509", *curve, "-subj", "/CN=Stand-in", "-keyout", "host.key", "-out", "host.crt"),
            *("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", f"subjectAltName={names}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )

    def _openssl(self, *words: str):
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {words[0]} failed:\n{done.stderr}")

    def _mount(self):
        """Puts the names and the CA in the place of the system's."""
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()} {' '.join(HOSTS)}\n")
        (self.folder / "resolv.conf").write_text("# The test's network has no name server.\n")
        for source, target in (("hosts", HOST_NAMES), ("resolv.conf", RESOLVER), ("ca.crt", CA_BUNDLE)):
            if target.exists():
                subprocess.run(["mount", "--bind", self.folder / source, target.resolve()], check=True)
                self._mounted.append(target.resolve())
            elif target == CA_BUNDLE:
                raise RuntimeError(f"{target} is missing; install ca-certificates")


def loopback_up():
    """Brings the namespace's `lo` up; see netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
