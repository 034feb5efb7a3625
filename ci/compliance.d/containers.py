"""Containers for tests: an image of nothing but BusyBox, and quadlets of it, root's and a user's."""

from machine import Machine

USER = "alice"
IMAGE = "localhost/box"
SYSTEM_QUADLETS = "/etc/containers/systemd"
USER_QUADLETS = f"/home/{USER}/.config/containers/systemd"

# PID 1 of a container has to define its answer to a SIGTERM.
MAIN = """#!/bin/busybox sh
trap 'exit 0' TERM
busybox sleep 100000 &
wait
"""

MAKE_IMAGE = f"""
folder=$(mktemp -d)
mkdir -p $folder/bin $folder/tmp $folder/data
cp /bin/busybox $folder/bin/
for name in sh sleep touch test true false; do ln -s busybox $folder/bin/$name; done
cat >$folder/bin/main
chmod 0755 $folder/bin/main
tar -C $folder -cf /tmp/box.tar .
chmod 0644 /tmp/box.tar
podman import --quiet --change 'CMD ["/bin/main"]' /tmp/box.tar {IMAGE}
"""



def as_user(user: str) -> str:
    """What stands before a command that a user's own service manager runs."""
    return f"systemd-run --quiet --pipe --wait --collect --user --machine={user}@ -p KillMode=process"


AS_USER = as_user(USER)


def install(machine: Machine):
    """The image, for root and for a user with services that run without a login."""
    machine.do(f"{{ {MAKE_IMAGE} }} <<'END_OF_FILE'\n{MAIN}END_OF_FILE")
    add_user(machine, USER)


def add_user(machine: Machine, user: str, linger: bool = True):
    """A user with the image. His services run without a login, or he is logged in for as long as the host is up."""
    runs = f"loginctl enable-linger {user}" if linger else f"systemctl start user@$(id -u {user})"
    machine.do(
        f"useradd --create-home --shell /bin/bash {user}; {runs}\n"
        f"until systemctl --user --machine={user}@ is-system-running >/dev/null; do sleep 0.1; done\n"
        f"""{as_user(user)} podman import --quiet --change 'CMD ["/bin/main"]' /tmp/box.tar {IMAGE}"""
    )


def quadlet(machine: Machine, file: str, text: str, user: bool = False):
    """Puts a quadlet in place; `reload` makes it known."""
    folder = USER_QUADLETS if user else SYSTEM_QUADLETS
    machine.write(f"{folder}/{file}", text)
    if user:
        machine.do(f"chown -R {USER}: /home/{USER}/.config")


def reload(machine: Machine):
    """Has both service managers read their units again."""
    machine.do(f"systemctl daemon-reload; systemctl --user --machine={USER}@ daemon-reload")


def container(section: str = "", unit: str = "", service: str = "", install: bool = True) -> str:
    """The text of a .container file."""
    wanted = "[Install]\nWantedBy=multi-user.target default.target\n" if install else ""
    return (
        f"[Unit]\n{unit}\n[Container]\nImage={IMAGE}\nNetwork=none\n{section}\n[Service]\n{service}\n{wanted}"
    )


def podman(machine: Machine, words: str, user: bool = False) -> str:
    """Runs podman as root or as the user."""
    return machine.do(f"{AS_USER if user else ''} podman {words}")
