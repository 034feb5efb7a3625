"""The walls between a step of the runner and the host: as Podman reports them, and as a hostile step finds them."""

import json
from pathlib import Path

from appliance import DATA, HTTPS_PORT, Appliance
from board import Board, Unexpected
from night import Night
from report import Report

SSH_PORT = 22
# What every container has; see `man 5 containers.conf` and runtime-spec, "Default Devices".
DEVICES = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx", "/dev/pts/ptmx"}
# Where anything can be written to: the data, and memory that ends with the container.
WRITABLE = {"/data", "/tmp", "/dev", "/dev/shm", "/dev/mqueue", "/dev/pts", "/proc", "/run", "/var/tmp", "/run/notify", "/run/notify/notify.sock"}


def expect(what: str, holds: bool):
    """Raises when it does not."""
    if not holds:
        raise Unexpected(what)


class Inspected:
    """`podman inspect` of the runner's container."""

    def __init__(self, board: Board):
        owner = board.do("stat -c %U " + DATA).strip()
        as_owner = f"systemd-run --quiet --pipe --wait --collect --user --machine={owner}@ podman"
        self.facts = json.loads(board.do(f"{as_owner} inspect --type container lightflow"))[0]
        self.owner = owner

    def claims(self, report: Report):
        """The installer's promises for the container."""
        config, host = self.facts["Config"], self.facts["HostConfig"]
        process = f"/proc/{self.facts['State']['Pid']}"
        self.process = process
        report.claim("it runs as uid 1000", lambda: expect(config["User"], config["User"] in ("1000", "1000:1000")))
        report.claim("its root is read-only", lambda: expect(str(host), host["ReadonlyRootfs"] is True))
        caps = [self.facts.get("EffectiveCaps") or [], self.facts.get("BoundingCaps") or []]
        report.claim("it has no capability", lambda: expect(str(caps), caps == [[], []]))
        options = host["SecurityOpt"]
        report.claim("it can get no new privileges", lambda: expect(str(options), "no-new-privileges" in options))
        report.claim("it is not privileged", lambda: expect("it is", host["Privileged"] is False))
        binds = [(mount["Destination"], mount["Type"]) for mount in self.facts["Mounts"]]
        report.claim("its one volume is /data", lambda: expect(str(binds), [b for b in binds if b[0] != "/tmp"] == [("/data", "bind")]))


def listening(board: Board) -> dict[int, set[str]]:
    """The ports that something on the host listens on, with the addresses."""
    ports: dict[int, set[str]] = {}
    for line in board.do("ss --no-header --listening --tcp --numeric").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        ports.setdefault(int(port), set()).add(address)
    return ports


def probe(board: Board, appliance: Appliance, night: Night, report: Report):
    """Has a step try every door, and looks at its results."""
    ports = listening(board)
    appliance.api("PUT", "/scripts/probe.py", raw=(Path(__file__).parent / "probe.py").read_bytes())
    words = ["probe.py", *map(str, sorted(ports))]
    step = {"name": "probe", "command": "python3", "args": words, "timeout": 900}
    appliance.api("POST", "/tasks", {"name": "probe", "steps": [step]})
    run = appliance.api("POST", "/tasks/probe/run")["run"]
    view = night.follow([run])[0]
    lines = [line for line in night.logs(view).splitlines() if line.startswith("FOUND ")]
    if not lines:
        raise Unexpected(f"the probe did not come to its end{night.logs(view)}")
    judge(json.loads(lines[0].removeprefix("FOUND ")), ports, report)
    report.claim("nothing of it reached the host", lambda: expect("/tmp/shell is there", board.run("test -e /tmp/shell").code == 1))


def judge(found: dict, ports: dict[int, set[str]], report: Report):
    """One claim a door."""

    def refused_by_gate(name: str, *codes: int):
        answer = found[name]
        expect(str(answer), answer["code"] in codes and answer["out"] == "" and "uid=" not in answer["err"])

    def refused_by_sshd(name: str):
        expect(str(found[name]), found[name]["code"] == 255 and "denied" in found[name]["err"].lower())

    report.claim("a login gets no shell, but the gate's refusal", lambda: refused_by_gate("shell", 64))
    report.claim("a command is refused by the gate", lambda: refused_by_gate("command", 64))
    report.claim("a restore is refused by the gate", lambda: refused_by_gate("request", 64, 77))
    report.claim("there is no terminal", lambda: refused_by_gate("terminal", 64, 255))
    report.claim("there is no file transfer", lambda: refused_by_gate("sftp", 64, 255))
    report.claim("nothing is forwarded", lambda: refused_by_gate("forward", 255))
    report.claim("the key lets nobody in as root", lambda: refused_by_sshd("root"))
    report.claim("the key lets nobody in as the administrator", lambda: refused_by_sshd("debian"))

    reached = {int(port) for port, open_ in found["ports"].items() if open_}
    hidden = {port for port, addresses in ports.items() if addresses <= {"127.0.0.1", "[::1]", "127.0.0.53%lo", "127.0.0.54"}}
    expected = {SSH_PORT, HTTPS_PORT}

    def only_these_ports():
        expect(f"reached {sorted(reached)} of {sorted(ports)}", SSH_PORT in reached and reached <= expected)
        expect(f"nothing listens on the loopback: {ports}", bool(hidden - expected))
        return f"reached {sorted(reached)}; not reached {sorted(set(ports) - reached)}"

    report.claim("of the host's ports it reaches sshd's and its own", only_these_ports)

    status = found["status"]
    powers = {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    report.claim("a step has no capability, nor can get one", lambda: expect(str(powers), not any(powers.values())))
    report.claim("a step is uid 1000, and cannot be root", lambda: expect(str(found["uid"]), set(found["uid"]) == {1000} and found["become_root"] is not None))
    report.claim("a step can get no new privileges", lambda: expect(status["NoNewPrivs"], status["NoNewPrivs"] == "1"))
    report.claim("system calls are filtered", lambda: expect(status["Seccomp"], status["Seccomp"] == "2"))
    device = found["device_in_namespace"]
    report.claim("a step gets at no disk, not even in a namespace of its own", lambda: expect(device, "PermissionError" in device))
    report.claim("the image cannot be written to", lambda: expect(str(found["writes"]), all(found["writes"].values())))
    report.claim("the kernel's doors are shut", lambda: expect(str(found["kernel"]), all(found["kernel"].values())))

    def only_own_processes():
        names = found["processes"]
        expect(str(names), names.get("1", "").startswith(("lightflow", "catatonit", "podman-init")) and len(names) < 12)
        return ", ".join(sorted(set(names.values())))

    report.claim("it sees its own processes only", only_own_processes)

    def only_own_mounts():
        writable = {mount["at"] for mount in found["mounts"] if mount["writable"]}
        strange = {at for at in writable if at not in WRITABLE and not at.startswith(("/proc/", "/dev/"))}
        files = {mount["at"]: mount["folder"] for mount in found["mounts"] if mount["at"] in strange}
        # Files of Podman's own that carry the container's name and addresses.
        strange = {at for at in files if at not in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv")}
        expect(str({at: files[at] for at in strange}), not strange)
        disks = [mount for mount in found["mounts"] if mount["kind"] in ("ext4", "xfs", "btrfs") and not mount["at"].startswith(("/etc/", "/run/"))]
        expect(str(disks), [mount["at"] for mount in disks] in ([], ["/data"]))

    report.claim("it sees nothing of the host's disk but its data", only_own_mounts)
    devices = {path for path in found["devices"] if not path.startswith("/dev/pts/")} - DEVICES
    report.claim("it has no device of the host's", lambda: expect(str(devices), not devices))
    sockets = [path for path in found["sockets"] if path not in ("/data/lightflow.sock", "/run/notify/notify.sock")]
    report.claim("it has no socket of the host's", lambda: expect(str(sockets), not sockets))
