"""Tests of the gate: a host with a service and a night of four steps."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile

from cases import KEEPS_TOKEN, RCLONE, OnStandin
from gate import FOLDER, REMOTE, Gate, hide_systemd

STEPS = ("stop", "sync", "archive", "start")
MIB = 1 << 20


class OnHost(OnStandin):
    """A gate with the service `app` in each test's world."""

    remote = "onedrive"
    # Where an account refuses the token, no byte moves with an older rclone.
    settings = {"refuse_bearer": KEEPS_TOKEN}
    services: tuple = ("app",)
    # The stand-in has no limit of its own, and a test need not wait for the gate's.
    keys: dict = {"tpslimit": 0}
    content = {"file": b"content", "folder/second": b"more", "folder/empty": b""}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        hide_systemd()

    def open_world(self, **settings):
        super().open_world(**settings)
        place = self.scratch / f"host-{self.world.folder.name}"
        place.mkdir()
        self.gate = Gate(place, self.world.config, RCLONE, self.services, **self.keys)
        for name in self.services:
            self.gate.write(self.content, name)

    def step(self, verb: str, code: int | None = 0, service: str = "app", more: str = "") -> str:
        """One step; returns all that it said."""
        done = self.gate.step(verb, service, more)
        said = done.stdout + done.stderr
        if code is not None:
            self.assertEqual(done.returncode, code, f"--{verb} {service}\n{said}\n{self.control.counters()}")
        self.last = done
        return said

    def on_host(self, *words: str, code: int | None = 0) -> str:
        """The gate on the host's command line; returns all that it said."""
        done = self.gate.on_host(*words)
        said = done.stdout + done.stderr
        if code is not None:
            self.assertEqual(done.returncode, code, f"{words}\n{said}")
        self.last = done
        return said

    def night(self, service: str = "app") -> dict[str, tuple[int, str]]:
        """All four steps as the runner takes them: a step that failed ends the row, and the start comes in any case."""
        told = {}
        for verb in STEPS:
            if verb != "start" and any(code for code, _ in told.values()):
                continue
            said = self.step(verb, None, service)
            told[verb] = (self.last.returncode, said)
        self.assertTrue(self.gate.is_up(service), f"{service} is not up again\n{told}")
        return told

    def green_night(self, service: str = "app") -> dict[str, tuple[int, str]]:
        """A night without a failure, with complete copies."""
        told = self.night(service)
        problems = "".join(f"\n--{verb}: {code}\n{said}" for verb, (code, said) in told.items() if code)
        self.assertEqual([code for code, _ in told.values()], [0, 0, 0, 0], f"{problems}\n{self.control.counters()}")
        self.check_copies(service)
        return told

    def refuses_this_rclone(self) -> bool:
        """True if the gate refuses this rclone before it stops anything. Then the service is up, and nothing was sent."""
        self.control.reset()
        said = self.step("stop", None)
        if self.last.returncode == 0:
            self.step("start")
            return False
        self.assertIn("1.67", said)
        self.assertTrue(self.gate.is_up())
        self.assertEqual(self.stored(), set())
        return True

    # Copies

    def sources(self, service: str = "app") -> dict[str, bytes]:
        """The files of a service by their path in its data."""
        data = self.gate.data(service)
        return {str(file.relative_to(data)): file.read_bytes() for file in data.rglob("*") if file.is_file()}

    def mirrored(self, service: str = "app") -> dict[str, bytes]:
        """The files in the mirror, by the same paths."""
        top = f"{FOLDER}/{service}/data"
        return {path[len(top) + 1 :]: self.control.read(path) for path in self.control.files(top)}

    def archives(self, service: str = "app") -> list[str]:
        """The names in the folder of archives."""
        tree = self.control.tree()
        top = f"{FOLDER}/{service}/archives/"
        return sorted(path[len(top) :] for path in tree if path.startswith(top))

    def check_archives(self, service: str = "app"):
        """Every archive in its place has its manifest and the bytes that this one names; Python unpacks it."""
        names = self.archives(service)
        archives = [name for name in names if name.endswith(".tar.gz")]
        manifests = [name.replace(".tar.gz", ".manifest.gz") for name in archives]
        self.assertEqual(names, sorted(archives + manifests), "something half-done lies beside the archives")
        for archive, manifest in zip(archives, manifests):
            data = self.control.read(f"{FOLDER}/{service}/archives/{archive}")
            end = gzip.decompress(self.control.read(f"{FOLDER}/{service}/archives/{manifest}")).decode().splitlines()[-1]
            self.assertEqual(end.split()[3:], [str(len(data)), hashlib.sha256(data).hexdigest()])
        return archives

    def check_copies(self, service: str = "app"):
        """Mirror and newest archive hold the bytes of the source."""
        self.assertEqual(self.mirrored(service), self.sources(service))
        newest = self.check_archives(service)[-1]
        data = self.control.read(f"{FOLDER}/{service}/archives/{newest}")
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = {entry.name.removeprefix("data/"): archive.extractfile(entry).read() for entry in archive if entry.isfile()}
        self.assertEqual(files, self.sources(service))

    def doctor(self) -> dict[str, list[str]]:
        """The doctor's verdicts by hop."""
        self.on_host("--doctor", "--json", code=None)
        found: dict[str, list[str]] = {}
        for entry in json.loads(self.last.stdout):
            found.setdefault(entry["hop"], []).append(f"{entry['verdict']}: {entry['what']} {' '.join(entry['fix'])}")
        return found

    def encrypted_remote(self):
        """Puts a crypt remote in front of OneDrive; names stay readable."""
        password = self.rclone("obscure", "a password").out.strip()
        with self.world.config.open("a") as config:
            config.write(f"[secret]\ntype = crypt\nremote = onedrive:/Secret\npassword = {password}\n")
            config.write("filename_encryption = off\ndirectory_name_encryption = false\n")
        self.gate.target = f"secret:{FOLDER}"
        self.gate.configure(**self.keys)

    def local_remote(self, size: str):
        """Puts a disk of this size in OneDrive's place, behind a local remote."""
        disk = self.scratch / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.world.config.write_text(f"[onedrive]\ntype = alias\nremote = {disk}\n")
        self.gate.configure(local_folders=[str(disk)], **self.keys)
        return disk


__all__ = ["FOLDER", "MIB", "REMOTE", "OnHost"]
