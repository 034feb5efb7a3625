"""The shapes of stacks that people have: one table. podmanctl stops and starts each of them, and the members that ran before
have to run after, according to systemctl and podman.

Invariant: every unit and container of a shape has the shape's name in its own, and no shape's name begins another's.
"""

from dataclasses import dataclass, field

import containers
from containers import IMAGE, container

LINGERS, LINKED, SEEN = containers.USER, "bob", "carol"


@dataclass
class Shape:
    """The units and containers of a service. `{n}` stands for its name in all fields."""

    what: str
    files: dict[str, str] = field(default_factory=dict)  # quadlets, by their names
    units: dict[str, str] = field(default_factory=dict)  # plain units, by their names
    run: list[str] = field(default_factory=list)  # podman commands, without `podman`
    start: str = ""  # units that are started
    after: list[str] = field(default_factory=list)  # shell commands of root when everything is set up
    user: str = ""  # the owner; root without one
    runs: list[str] = field(default_factory=list)  # members that must run before the stop
    stays: list[str] = field(default_factory=list)  # members that the stop leaves alone
    wait: str = ""  # a condition that holds before the stop


NETLESS = "--network none"
SLEEP = "[Service]\nExecStart=/bin/sleep 100000\n"
POD = "[Pod]\nNetwork=none\n{extra}\n[Install]\nWantedBy=multi-user.target default.target\n"
KUBE = f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{n}}\nspec:\n  hostNetwork: true\n  containers:\n  - name: app\n    image: {IMAGE}\n"


def pod_member(extra: str = "") -> str:
    """A container of the pod."""
    return container(f"Pod={{n}}.pod\n{extra}", install=False).replace("Network=none\n", "")


# A health check with a program that the image lacks.
NEVER_WELL = "HealthCmd=/no/such/program\nHealthInterval=1s\nHealthRetries=1"

SHAPES = [
    Shape("one quadlet", {"{n}.container": container()}, start="{n}", runs=["{n}.service", "systemd-{n}"]),
    Shape(
        "quadlets that require each other",
        {"{n}-db.container": container(), "{n}-app.container": container(unit="Requires={n}-db.service\nAfter={n}-db.service")},
        start="{n}-app",
        runs=["{n}-db.service", "{n}-app.service"],
    ),
    Shape(
        "a quadlet with names of its own for service and container",
        {"{n}.container": container("ContainerName=other-{n}\nServiceName=renamed-{n}")},
        start="renamed-{n}",
        runs=["renamed-{n}.service", "other-{n}"],
    ),
    Shape(
        "a quadlet that is a link to another folder",
        start="{n}",
        after=["mkdir -p /srv/dotfiles; cat >/srv/dotfiles/{n}.container <<'END'\n" + container() + "\nEND\nln -s /srv/dotfiles/{n}.container /etc/containers/systemd/"],
        runs=["{n}.service", "systemd-{n}"],
    ),
    Shape(
        "a folder of quadlets that is a link to another folder",
        start="{n} {n}-db",
        after=[
            "mkdir -p /srv/dotfiles/{n}; cd /srv/dotfiles/{n}; cat >{n}.container <<'END'\n" + container() + "\nEND\n"
            "cp {n}.container {n}-db.container; ln -s /srv/dotfiles/{n} /etc/containers/systemd/{n}"
        ],
        runs=["{n}.service", "{n}-db.service"],
    ),
    Shape("instances of a template, started by hand", {"{n}@.container": container(install=False)}, start="{n}@one {n}@two", runs=["{n}@one.service", "{n}@two.service"]),
    Shape(
        "a template with a default instance",
        {"{n}@.container": container(install=False) + "[Install]\nDefaultInstance=first\nWantedBy=multi-user.target\n"},
        start="{n}@first",
        runs=["{n}@first.service"],
    ),
    Shape(
        "a template and a link for an instance",
        {"{n}@.container": container()},
        after=["ln -s {n}@.container '/etc/containers/systemd/{n}@blue.container'"],
        start="{n}@blue",
        runs=["{n}@blue.service"],
    ),
    Shape(
        "a pod of three",
        {"{n}.pod": POD.format(extra=""), "{n}-db.container": pod_member(), "{n}-cache.container": pod_member(), "{n}-web.container": pod_member()},
        start="{n}-pod",
        runs=["{n}-pod.service", "{n}-db.service", "{n}-cache.service", "{n}-web.service"],
    ),
    Shape(
        "a pod with a name of its own, and members of other names",
        {"{n}.pod": POD.format(extra="PodName=else-{n}"), "db-of-{n}.container": pod_member()},
        start="{n}-pod",
        runs=["{n}-pod.service", "db-of-{n}.service", "else-{n}-infra"],
    ),
    Shape(
        "Kubernetes YAML",
        {"{n}.yaml": KUBE, "{n}.kube": "[Kube]\nYaml={n}.yaml\n[Install]\nWantedBy=multi-user.target\n"},
        start="{n}",
        runs=["{n}.service", "{n}-app"],
    ),
    Shape(
        "a quadlet with a volume of its own",
        {"{n}.volume": "[Volume]\n", "{n}.container": container("Volume={n}.volume:/data")},
        start="{n}",
        runs=["{n}.service", "systemd-{n}"],
        stays=["{n}-volume.service"],
    ),
    Shape(
        "a proxy that requires it",
        {"{n}.container": container()},
        {"proxy-of-{n}.service": "[Unit]\nRequires={n}.service\nAfter={n}.service\n" + SLEEP},
        start="proxy-of-{n}",
        runs=["{n}.service", "proxy-of-{n}.service"],
    ),
    Shape(
        "a chain of units that are bound to it, with a target at its end",
        {"{n}.container": container()},
        {
            "web-{n}.service": "[Unit]\nBindsTo={n}.service\nAfter={n}.service\n" + SLEEP,
            "all-{n}.target": "[Unit]\nRequires=web-{n}.service\nAfter=web-{n}.service\n",
        },
        start="all-{n}.target",
        runs=["{n}.service", "web-{n}.service", "all-{n}.target"],
    ),
    Shape(
        "a unit that is part of it",
        {"{n}.container": container()},
        {"exporter-{n}.service": "[Unit]\nPartOf={n}.service\nAfter={n}.service\n" + SLEEP},
        start="{n} exporter-{n}",
        runs=["exporter-{n}.service"],
    ),
    Shape(
        "a container that shares its network",
        {"{n}.container": container(), "vpn-of-{n}.container": container().replace("Network=none", "Network={n}.container")},
        start="vpn-of-{n}",
        runs=["{n}.service", "vpn-of-{n}.service", "systemd-vpn-of-{n}"],
    ),
    Shape(
        "a socket and a timer",
        {"{n}.container": container(), "{n}-job.container": container("Exec=/bin/true", service="Type=oneshot", install=False)},
        {
            "{n}.socket": "[Socket]\nListenStream=/run/{n}\n[Install]\nWantedBy=sockets.target\n",
            "{n}-job.timer": "[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n",
        },
        start="{n}.socket {n}-job.timer {n}",
        runs=["{n}.socket", "{n}-job.timer", "{n}.service"],
    ),
    Shape(
        "units of `podman generate systemd`",
        units={
            "container-{n}.service": f"[Service]\nType=forking\nExecStartPre=-/usr/bin/podman rm -f {{n}}\nExecStart=/usr/bin/podman run -d --replace --name {{n}} {NETLESS} -e PODMAN_SYSTEMD_UNIT=%n --label PODMAN_SYSTEMD_UNIT=%n {IMAGE}\nExecStop=/usr/bin/podman stop {{n}}\nRemainAfterExit=yes\n"
        },
        start="container-{n}",
        runs=["container-{n}.service"],
    ),
    Shape("a plain unit without containers", units={"{n}.service": SLEEP}, start="{n}", runs=["{n}.service"]),
    Shape(
        "a compose project",
        run=[f"run -d --name {{n}}-x-{one} --label io.podman.compose.project={{n}} {NETLESS} {IMAGE}" for one in "abc"],
        runs=["{n}-x-a", "{n}-x-c"],
    ),
    Shape(
        "a compose project with containers of other names",
        run=[f"run -d --name my-{one}-{{n}} --label com.docker.compose.project={{n}} {NETLESS} {IMAGE}" for one in "ab"],
        runs=["my-a-{n}", "my-b-{n}"],
    ),
    Shape(
        "bare containers, of which one requires another, with a restart policy",
        run=[f"run -d --restart=always --name {{n}}_db {NETLESS} {IMAGE}", f"run -d --restart=always --requires {{n}}_db --name {{n}}_app {NETLESS} {IMAGE}"],
        runs=["{n}_db", "{n}_app"],
    ),
    Shape(
        "a pod without units",
        run=["pod create --name {n} --network none", f"run -d --pod {{n}} --name first-{{n}} {IMAGE}", f"run -d --pod {{n}} --name second-{{n}} {IMAGE}"],
        runs=["first-{n}", "second-{n}"],
    ),
    Shape(
        "a container whose health check never passes",
        {"{n}.container": container(NEVER_WELL), "{n}-db.container": container()},
        start="{n} {n}-db",
        wait="podman ps --format '{{.Status}}' --filter name=systemd-{n}$ | grep -q unhealthy",
        runs=["{n}.service", "{n}-db.service"],
    ),
    Shape("a user's quadlet", {"{n}.container": container()}, start="{n}", user=LINGERS, runs=["{n}.service", "systemd-{n}"]),
    Shape(
        "a user's containers without units",
        run=[f"run -d --name {{n}} {NETLESS} {IMAGE}", f"run -d --name {{n}}-db {NETLESS} {IMAGE}"],
        user=LINGERS,
        runs=["{n}", "{n}-db"],
    ),
    Shape(
        "a user's pod, and a unit of his that requires it",
        {"{n}.pod": POD.format(extra=""), "{n}-db.container": pod_member()},
        {"proxy-of-{n}.service": "[Unit]\nRequires={n}-db.service\nAfter={n}-db.service\n" + SLEEP},
        start="{n}-pod proxy-of-{n}",
        user=LINGERS,
        runs=["{n}-pod.service", "{n}-db.service", "proxy-of-{n}.service"],
    ),
    Shape(
        "a user's folder of quadlets that is a link to his dotfiles",
        {"{n}.container": container(), "{n}-db.container": container()},
        start="{n} {n}-db",
        user=LINKED,
        runs=["{n}.service", "{n}-db.service"],
    ),
    Shape("a user's template instance", {"{n}@.container": container(install=False)}, start="{n}@one", user=LINKED, runs=["{n}@one.service"]),
    Shape(
        "the quadlet of a user who is logged in and does not linger",
        {"{n}.container": container()},
        start="{n}",
        user=SEEN,
        runs=["{n}.service", "systemd-{n}"],
    ),
]


def named(number: int) -> str:
    """The name of a shape's service."""
    return f"shape{number:02d}"
