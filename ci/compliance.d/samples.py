"""The surroundings of a gate under test: services of a few files, a remote in a folder, and the configuration for them."""

import tomllib
from pathlib import Path

from machine import CONFIG, Machine

CORPUS = Path(__file__).resolve().parents[2] / "gate" / "tests" / "corpus"
DATA_ROOT = "/media/ssd/podman"
# The tables of the corpora: each service and each extra target has data.
TABLES = tomllib.loads((CORPUS / "services.toml").read_text())
SERVICES = list(TABLES["services"])
PROGRAM = "/usr/local/sbin/sample-service"

# Both remotes are folders of the host.
RCLONE = """[rclone]
program = "/usr/bin/rclone"
local_folders = ["/srv/onedrive", "/srv/second"]
"""

# A service is up while a file of its name is there.
SAMPLE = """#!/bin/sh
# sample-service stop|start|status NAME
file=/var/lib/sample-services/$2
case $1 in
--stop | stop) rm -f "$file" ;;
--start | start) : >"$file" ;;
--status | status) test -e "$file" || exit 3 ;;
esac
"""


def install(machine: Machine):
    """Services, data, remote and configuration. `onedrive` is the folder /srv/onedrive."""
    machine.write(PROGRAM, SAMPLE, "0755")
    services = (CORPUS / "services.toml").read_text().replace("@PROGRAM@", PROGRAM)
    machine.write(CONFIG, f'podmanctl = "{PROGRAM}"\naudit_log = "/var/log/backupctl.jsonl"\n{services}{RCLONE}')
    remotes = "".join(f"[{name}]\ntype = alias\nremote = /srv/{name}\n" for name in ("onedrive", "second"))
    machine.write("/etc/backupctl/rclone.conf", remotes, "0600")
    machine.do("mkdir -p /srv/onedrive /srv/second /var/lib/sample-services")
    for extra in TABLES["extra"].values():
        machine.do(f"mkdir -p {extra['path']}; echo text >{extra['path']}/file")
    for name in SERVICES:
        machine.do(
            f"mkdir -p {DATA_ROOT}/{name}/data; echo {name} >{DATA_ROOT}/{name}/data/file; {PROGRAM} start {name}"
        )
