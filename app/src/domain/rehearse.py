#!/usr/bin/env python3
"""Rehearses the restore of one service: asks the gate on the host to prove that the newest copy can be restored.

    python3 rehearse.py SERVICE

The step is red when a fault was found, or when the rehearsal could not be made. The host allows it with rehearsal.allowed = true in
/etc/backupctl/backupctl.toml. Variables: BACKUP_HOST, BACKUP_SSH_KEY and BACKUP_KNOWN_HOSTS (a value, or the path of a file), and
REHEARSE_TIMEOUT in seconds.
"""
import os
import subprocess
import sys
import tempfile


def file_of(folder, name, default):
    """The path of a file with the value of a variable, which may be a path itself."""
    value = os.environ.get(name, default)
    if value.startswith("/"):
        return value
    text = value.replace("\r\n", "\n").strip()
    begin, end = text.find("-----BEGIN"), text.rfind("-----END")
    if 0 <= begin < end and "\n" not in text:
        # A field of one line has made spaces of the line breaks.
        head, _, rest = text.partition("-----BEGIN ")[2].partition("-----")
        body = "".join(rest[: rest.rfind("-----END")].split())
        lines = [body[at : at + 70] for at in range(0, len(body), 70)]
        text = "\n".join([f"-----BEGIN {head}-----", *lines, f"-----END {head}-----"])
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    return path


def main():
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit("usage: rehearse.py SERVICE")
    host = os.environ.get("BACKUP_HOST")
    if not host:
        sys.exit("BACKUP_HOST is not set; it is for example backup_ops@host.containers.internal")
    timeout = os.environ.get("REHEARSE_TIMEOUT", "14400")
    with tempfile.TemporaryDirectory(prefix="rehearse-") as folder:
        key = file_of(folder, "BACKUP_SSH_KEY", "/data/.ssh/id_ed25519")
        known = file_of(folder, "BACKUP_KNOWN_HOSTS", "/data/.ssh/known_hosts")
        command = ["ssh", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new"]
        command += ["-o", f"UserKnownHostsFile={known}", host]
        request = f"backupctl --rehearse {sys.argv[1]} --timeout {timeout}"
        print("+ " + request, flush=True)
        sys.exit(subprocess.run([*command, request]).returncode)


if __name__ == "__main__":
    main()
