"""Two sample services of the user `debian`: rootless quadlets of an image of BusyBox alone.

While one is up it keeps writing to its data and answers with the number of its last write. When it is asked to end it
leaves, beside its data, the SHA-256 of every file there: the content of any backup before the next start.
"""

import http.client
import re
import time
from dataclasses import dataclass, field

from board import Board, Tunnel, Unexpected

USER = "debian"
DATA_ROOT = "/media/ssd/podman"
IMAGE = "localhost/sample"
QUADLETS = f"/home/{USER}/.config/containers/systemd"

# PID 1 of a container has to define its answer to a SIGTERM.
MAIN = """#!/bin/busybox sh
cd /data
mkdir -p files 'empty folder' nested/deeper
[ -e 'nested/deeper/a name with spaces' ] || echo text >'nested/deeper/a name with spaces'
for old in 1 2 3 4 5 6 7 8 9 10; do [ -e "files/old-$old" ] || head -c 50000 /dev/urandom >"files/old-$old"; done
number=$(cat count 2>/dev/null || echo 0)
ends=
trap 'ends=yes' TERM
httpd -p 8080 -h /state
until [ "$ends" ]; do
    number=$((number + 1))
    echo "$number $(date +%s)" >>log
    head -c 20000 /dev/urandom >files/new && mv files/new "files/item-$((number % 6))"
    echo "$number" >count.new && mv count.new count
    cp count /state/count
    sleep 2
done
find . -type f | sort | while read -r file; do sha256sum "$file"; done >/state/left.new
mv /state/left.new /state/left
"""

MAKE_IMAGE = f"""
cd "$(mktemp -d)"
mkdir -p root/bin root/tmp root/data root/state
cp /usr/bin/busybox root/bin/
for name in cat cp date find head httpd mkdir mv sh sha256sum sleep sort wget; do ln -s busybox root/bin/$name; done
cat >root/bin/main
chmod 0755 root/bin/main
tar -C root -cf box.tar .
podman import --quiet --change 'CMD ["/bin/main"]' --change 'ENV PATH=/bin' box.tar {IMAGE}
"""

QUADLET = """[Unit]
Description=Sample service {name}

[Container]
Image={image}
Pull=never
ContainerName={name}
Volume={root}/{name}/data:/data
Volume={root}/{name}/state:/state
PublishPort=127.0.0.1:{port}:8080
HealthCmd=["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/count"]
HealthInterval=5m
HealthTimeout=60s

[Install]
WantedBy=default.target
"""


@dataclass
class Service:
    """One of them."""

    name: str
    port: int
    tunnel: Tunnel = field(init=False)

    def data(self) -> str:
        """Folder of its data."""
        return f"{DATA_ROOT}/{self.name}/data"

    def count(self) -> int:
        """The number of its last write, as it answers; OSError or HTTPException where it does not."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = self.tunnel.connect(10)
        try:
            connection.request("GET", "/count")
            answer = connection.getresponse()
            text = answer.read().strip()
            if answer.status != 200:
                raise OSError(f"{self.name} answers {answer.status}")
            return int(text)
        finally:
            connection.close()

    def wait_until_up(self, patience_s: float = 300) -> int:
        """Waits until it answers, and keeps writing."""
        until, first = time.monotonic() + patience_s, None
        while time.monotonic() < until:
            try:
                now = self.count()
                first = now if first is None else first
                if now > first:
                    return now
            except (OSError, ValueError, http.client.HTTPException):
                pass
            time.sleep(0.1)
        raise Unexpected(f"{self.name} does not answer and write after {patience_s} s")


def set_up(board: Board, names: list[str]) -> list[Service]:
    """The image, the quadlets, and the services started, as their user would."""
    board.do(f"loginctl enable-linger {USER}; mkdir -p {DATA_ROOT}")
    board.do(f"{{ {MAKE_IMAGE} }} <<'END_OF_FILE'\n{MAIN}END_OF_FILE", USER)
    services = []
    for number, name in enumerate(names):
        service = Service(name, 8101 + number)
        board.do(f"install -d -o {USER} -g {USER} {DATA_ROOT}/{name} {DATA_ROOT}/{name}/data {DATA_ROOT}/{name}/state")
        text = QUADLET.format(name=name, image=IMAGE, root=DATA_ROOT, port=service.port)
        board.do(f"mkdir -p {QUADLETS}; cat >{QUADLETS}/{name}.container <<'END_OF_FILE'\n{text}END_OF_FILE", USER)
        service.tunnel = board.tunnel(service.port)
        services.append(service)
    board.do(f"systemctl --user daemon-reload; systemctl --user start {' '.join(names)}", USER)
    return services


def left_by(board: Board, service: Service) -> dict[str, str]:
    """Its data when it was last asked to end."""
    return digests(board.do(f"cat {DATA_ROOT}/{service.name}/state/left"))


def in_folder(board: Board, folder: str) -> dict[str, str]:
    """The files of a folder with their SHA-256."""
    return digests(board.do(f"cd '{folder}' && find . -type f -exec sha256sum -z {{}} + | tr '\\0' '\\n'"))


def digests(text: str) -> dict[str, str]:
    """The output of sha256sum."""
    lines = (re.fullmatch(r"([0-9a-f]{64})  \./(.*)", line) for line in text.splitlines())
    return {line[2]: line[1] for line in lines if line}


def compare(what: str, expected: dict[str, str], found: dict[str, str]) -> str:
    """Raises when there is any difference."""
    if not expected:
        raise Unexpected(f"nothing is known of what {what} has to hold")
    problems = [f"missing: {name}" for name in expected.keys() - found.keys()]
    problems += [f"in addition: {name}" for name in found.keys() - expected.keys()]
    problems += [f"other bytes: {name}" for name in expected.keys() & found.keys() if expected[name] != found[name]]
    if problems:
        raise Unexpected(f"{what} differs from its source: {'; '.join(problems[:5])}")
    return f"{len(expected)} files"
