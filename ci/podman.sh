# shellcheck shell=bash
# Podman for the scripts in ci/: sourced, after ci/packages.sh.

# Names the packages of a Podman that builds images.
need_podman() {
    need podman podman
    need mmdebstrap mmdebstrap
    need_file /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
    if ((EUID == 0)); then
        need runc runc
    else
        need newuidmap uidmap
    fi
}

# As root with settings of our own; another user's Podman is as that user has set it up.
if ((EUID == 0)); then
    CONTAINERS_CONF=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/podman.conf
    export CONTAINERS_CONF
fi
