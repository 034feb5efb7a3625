# shellcheck shell=bash
# The machine's own Debian archive, asked through an apt that knows nothing of the machine's packages: sourced.
# No address is written down anywhere: they are those that this machine's apt uses.

debian_mirror() {
    local mirror
    mirror=$("$(dirname "${BASH_SOURCE[0]}")/host.d/mirror")
    printf '%s\n' "${mirror%/}"
}

# That of the security updates, where this machine uses one or LIGHTFLOW_SECURITY_MIRROR names one; else nothing.
security_mirror() {
    local mirror=${LIGHTFLOW_SECURITY_MIRROR:-}
    # shellcheck disable=SC2016 # apt's own placeholders
    [[ -n $mirror ]] || mirror=$(apt-get indextargets --format '$(CREATED_BY) $(REPO_URI)' |
        awk '$1 == "Packages" && $2 ~ /\/debian-security\/?$/ { print $2; exit }')
    printf '%s\n' "${mirror%/}"
}

# apt_of FOLDER SUITE ARCH: makes an apt of its own in FOLDER and lets apt-get and apt-cache use it from now on.
# The signatures are checked with the keys of Debian's archive.
apt_of() {
    local folder=$1 suite=$2 arch=$3 mirror security
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(debian_mirror)
    security=$(security_mirror)
    mkdir -p "$folder"/{lists/partial,archives/partial,etc/apt.conf.d,etc/preferences.d,etc/trusted.gpg.d}
    : >"$folder/status"
    printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$mirror" "$suite" >"$folder/sources.list"
    if [[ -n $security && $suite != sid ]]; then
        printf 'deb [signed-by=%s] %s %s-security main\n' "$keys" "$security" "$suite" >>"$folder/sources.list"
    fi
    cat >"$folder/apt.conf" <<END
Dir::State "$folder";
Dir::State::lists "$folder/lists";
Dir::State::status "$folder/status";
Dir::Cache "$folder";
Dir::Cache::archives "$folder/archives";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trustedparts "$folder/etc/trusted.gpg.d";
Dir::Etc::preferencesparts "$folder/etc/preferences.d";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
END
    export APT_CONFIG=$folder/apt.conf
    apt_quietly update
}

# The output of apt matters only when it fails.
apt_quietly() {
    local output
    output=$(apt-get -q "$@" 2>&1 </dev/null) || {
        printf '%s\n' "$output" >&2
        return 1
    }
}
