"""The alert rules and the dashboard: promtool tests the rules, and a server has every metric that they name."""

import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import programs
import runner
from blocks import MANUAL

FOLDER = MANUAL / "monitoring"
METRIC = re.compile(r"\blightflow_[a-z_]+")
# A gate's results, in which some metrics have their source.
RESULTS = (
    'result: {"version":1,"kind":"downtime","subject":"a","ms":1}',
    'result: {"version":1,"kind":"archive","subject":"a","name":"a.tar.gz","bytes":1,"files":1,"sha256":"' + "0" * 64 + '","checked":"hash"}',
    'result: {"version":1,"kind":"mirror","subject":"a","files":1,"added":1,"replaced":0,"deleted":0,'
    '"complete_as_of":"2026-01-01T03:00:00Z","bytes":1,"uploaded_bytes":1,"left_bytes":0,"percent":100,"bundled":0}',
    'result: {"version":1,"kind":"proof","subject":"a","remote":"a:/B","copy":"archive","name":"a.tar.gz","at":"2026-01-01T03:00:00Z",'
    '"proven":true,"finding":null,"findings":0,"percent":100,"covered":100,"files":1,"bytes":1,"databases":0,"clusters":0,'
    '"started":"yes","reason":null}',
)


def promtool(folder: Path) -> str | None:
    """The program promtool: installed, or out of Debian's package of Prometheus, which is not installed."""
    if found := shutil.which("promtool"):
        return found
    got = subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, capture_output=True, check=False)
    packages = list(folder.glob("*.deb"))
    if got.returncode or not packages:
        return None
    subprocess.run(["dpkg", "-x", packages[0], folder], check=True)
    return str(folder / "usr/bin/promtool")


def check() -> list[str]:
    """The faults of rules and dashboard."""
    faults = []
    with tempfile.TemporaryDirectory(prefix="manual-") as scratch:
        # apt reads as a user of its own.
        Path(scratch).chmod(0o755)
        program = promtool(Path(scratch))
        if program is None:
            print("promtool cannot be installed; the alert rules are not tested")
        else:
            for words in (["check", "rules", "lightflow.rules.yml"], ["test", "rules", "lightflow.rules.test.yml"]):
                done = subprocess.run([program, *words], cwd=FOLDER, capture_output=True, text=True, check=False)
                if done.returncode:
                    faults.append(f"promtool {' '.join(words)}: {done.stdout}{done.stderr}")
    named = {name for file in FOLDER.iterdir() for name in METRIC.findall(file.read_text(encoding="utf-8"))}
    named |= set(METRIC.findall((MANUAL / "monitoring.md").read_text(encoding="utf-8")))
    missing = sorted(named - metrics())
    faults += [f"no server has the metric {name}" for name in missing]
    print(f"monitoring: {len(named)} metrics are named")
    return faults


def metrics() -> set[str]:
    """The metrics of a server with one task that ran and printed results of a gate."""
    with tempfile.TemporaryDirectory(prefix="manual-") as folder, runner.Runner(Path(folder).resolve() / "runner") as server:
        printed = "; ".join(f"echo '{line}'" for line in RESULTS)
        script = server.folder / "results.sh"
        script.write_text(f"{printed}\n")
        words = ["task", "create", "a", "--cron", "@daily", "--step", "s", "--command", "sh", "--args", str(script)]
        for command in (words, ["task", "run", "a", "--wait"]):
            subprocess.run([programs.BINARIES / "lightflow", *command], env=server.environment(), check=True, capture_output=True)
        made = subprocess.run(
            [programs.BINARIES / "lightflow", "token", "create", "prometheus", "--role", "viewer"],
            env=server.environment(),
            check=True,
            capture_output=True,
            text=True,
        )
        request = urllib.request.Request(f"{server.url}/metrics", headers={"Authorization": f"Bearer {made.stdout.split()[-1]}"})
        with urllib.request.urlopen(request) as answer:
            text = answer.read().decode()
    return set(re.findall(r"^(lightflow_[a-z_]+)[{ ]", text, re.MULTILINE))
