#!/usr/bin/env python3
"""One step of a service's backup, asked of the host's gate over SSH.

    backup.py --stop NAME | --sync NAME | --archive NAME | --start NAME

Needs nothing but variables: BACKUP_HOST, BACKUP_SSH_KEY and BACKUP_KNOWN_HOSTS (the key and the known_hosts
lines themselves), ONEDRIVE_REMOTE, ONEDRIVE_FOLDER, ARCHIVE_WEEKDAY, KEEP_WEEKLY, KEEP_MONTHLY, BACKUP_DATA_ROOT, and
seconds for the gate: STOP_TIMEOUT, SYNC_TIMEOUT, ARCHIVE_TIMEOUT and START_TIMEOUT. Exits as the gate does, or with 75 (skipped) when there is nothing to archive today.
"""

import datetime
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 75
DEFAULTS = {
    "ONEDRIVE_REMOTE": "onedrive",
    "ONEDRIVE_FOLDER": "/OdroidBackup",
    "ARCHIVE_WEEKDAY": "sunday",
    "KEEP_WEEKLY": "3",
    "KEEP_MONTHLY": "12",
    "BACKUP_DATA_ROOT": "/media/ssd/podman",
    "STOP_TIMEOUT": "25",
    "SYNC_TIMEOUT": "290",
    "ARCHIVE_TIMEOUT": "590",
    "START_TIMEOUT": "170",
}
VERBS = ("--stop", "--sync", "--archive", "--start")


def setting(key: str) -> str:
    """A variable, its default, or the end with a message that names it."""
    value = os.environ.get(key) or DEFAULTS.get(key)
    if not value:
        sys.exit(f"the variable {key} is not set; add it under Variables")
    return value


def request(verb: str, service: str) -> list[str]:
    """The words that the gate is sent."""
    words = ["backupctl", verb, service]
    if verb in ("--sync", "--archive"):
        words += ["--path", f"{setting('BACKUP_DATA_ROOT')}/{service}/data"]
        words += ["--remote", f"{setting('ONEDRIVE_REMOTE')}:{setting('ONEDRIVE_FOLDER')}"]
    if verb == "--archive":
        words += ["--keep-weekly", setting("KEEP_WEEKLY"), "--keep-monthly", setting("KEEP_MONTHLY")]
    return [*words, "--timeout", setting(f"{verb[2:].upper()}_TIMEOUT")]


def ask_gate(words: list[str]) -> int:
    """Sends the request over SSH with a key that is a file only meanwhile; returns the gate's exit code."""
    with tempfile.TemporaryDirectory(prefix="backup-") as folder:
        key, hosts = Path(folder, "key"), Path(folder, "known_hosts")
        key.touch(mode=0o600)
        key.write_text(setting("BACKUP_SSH_KEY").rstrip("\n") + "\n")
        hosts.write_text(setting("BACKUP_KNOWN_HOSTS") + "\n")
        options = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={hosts}")
        ssh = ["ssh", "-i", str(key), *(word for option in options for word in ("-o", option))]
        print("asking the gate:", *words, flush=True)
        return subprocess.run([*ssh, setting("BACKUP_HOST"), " ".join(words)], check=False).returncode


def main(arguments: list[str]) -> int:
    """Reads the command line and carries it out."""
    match arguments:
        case [verb, service] if verb in VERBS and service:
            pass
        case _:
            sys.exit(f"usage: backup.py {'|'.join(VERBS)} SERVICE")
    today = f"{datetime.date.today():%A}".lower()
    if verb == "--archive" and today != setting("ARCHIVE_WEEKDAY").lower():
        print(f"no archive today: it is {today}, and archives are made on {setting('ARCHIVE_WEEKDAY')}")
        return SKIPPED
    return ask_gate(request(verb, service))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
