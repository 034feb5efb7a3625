# shellcheck shell=bash
# The common part of ci/host and ci/board: a throw-away machine that answers to ssh. Sourced; expects
#   name        of the machine
#   cache       the folder of keys and images
#   run         the folder of this machine: pid, port, ssh_config, console.log
#   boot_limit  seconds for a boot
# and the functions `cut_power` and `end_machine`.
# shellcheck disable=SC2154 # the names above

die() {
    printf 'ci/%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Images are named by the digest of their inputs, so that a change of a script makes a new one.
fingerprint() {
    cat "$@" | sha256sum | cut -c1-10
}

make_key() {
    [[ -s $cache/key ]] || ssh-keygen -q -t ed25519 -N '' -C "lightflow-${0##*/}" -f "$cache/key"
}

is_up() {
    [[ -s $run/pid ]] && kill -0 "$(<"$run/pid")" 2>/dev/null
}

need_up() {
    is_up || die "$name is not up; start it with ci/${0##*/} --name $name up"
}

on_machine() { # USER COMMAND…
    local user=$1
    shift
    ssh -n -F "$run/ssh_config" "$user@host" "$@"
}

boot_id() {
    on_machine root -o ControlPath=none -o ConnectTimeout=30 cat /proc/sys/kernel/random/boot_id 2>/dev/null
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# An empty folder for a machine that is about to start, and the way to reach it.
make_run_folder() {
    rm -rf --one-file-system "$run"
    mkdir -p "$run"
    ((${#run} < 80)) || die "$run is too long a path for a socket; have the cache elsewhere"
    free_port >"$run/port"
    cat >"$run/ssh_config" <<END
Host *
    HostName 127.0.0.1
    Port $(<"$run/port")
    IdentityFile $cache/key
    IdentitiesOnly yes
    BatchMode yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
    ServerAliveInterval 15
    ControlMaster auto
    ControlPath $run/ssh-%r
    ControlPersist 300
END
}

# Waits for a boot that is not the one named.
wait_for_ssh() {
    local former=${1:-} began=$SECONDS now
    until now=$(boot_id) && [[ $now != "$former" ]]; do
        is_up || ((SECONDS - began < 3)) || {
            tail -20 "$run/console.log" >&2
            die "$name has ended"
        }
        ((SECONDS - began < boot_limit)) || die "no ssh after $boot_limit s; see $run/console.log"
        sleep 0.1
    done
}

close_connections() {
    local socket
    for socket in "$run"/ssh-*; do
        [[ ! -S $socket ]] || ssh -q -F "$run/ssh_config" -O exit "${socket##*/ssh-}@host" 2>/dev/null || true
    done
}

reboot_() {
    need_up
    local former
    former=$(boot_id) || die 'ssh does not answer'
    close_connections
    case ${1:-} in
    '') on_machine root -o ControlPath=none systemctl --no-block reboot || true ;;
    --hard) cut_power ;;
    *) usage >&2; exit 2 ;;
    esac
    wait_for_ssh "$former"
}

down() {
    if is_up; then
        close_connections
        local pid
        pid=$(<"$run/pid")
        end_machine
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        ! kill -0 "$pid" 2>/dev/null || die "process $pid does not end; see $run/console.log"
    fi
    rm -rf --one-file-system "$run"
}

ssh_() {
    need_up
    local user=root
    if [[ ${1:-} == *@ ]]; then
        user=${1%@}
        shift
    fi
    exec ssh -F "$run/ssh_config" "$user@host" "$@"
}

copy() {
    need_up
    local path paths=()
    for path; do
        [[ $path != :* ]] || path=root@host$path
        paths+=("$path")
    done
    exec scp -q -r -p -F "$run/ssh_config" "${paths[@]}"
}

show() {
    need_up
    case ${1:-} in
    port) cat "$run/port" ;;
    key) echo "$cache/key" ;;
    ssh_config) echo "$run/ssh_config" ;;
    *) usage >&2; exit 2 ;;
    esac
}

list() {
    for run in "$cache"/run/*/; do
        run=${run%/}
        ! is_up || echo "${run##*/}"
    done
}
