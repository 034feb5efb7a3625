# Completions of backupctl(8) and podmanctl(8) for bash. Names come from the configuration, where it may be read.

# _backupctl_names TABLE [FILE]: the names of the tables [TABLE.NAME].
_backupctl_names() {
    sed -nE "s/^[[:space:]]*\[$1\.(\"([A-Za-z0-9][A-Za-z0-9._-]*)\"|([A-Za-z0-9][A-Za-z0-9_-]*))\].*/\2\3/p" "${2:-/etc/backupctl/backupctl.toml}" 2>/dev/null
}

# _backupctl_remotes [FILE]: the remote folders, where they stand on one line.
_backupctl_remotes() {
    sed -nE '/^remotes[[:space:]]*=/{s/^[^[]*\[//;s/\].*//;s/[",]/ /g;p}' "${1:-/etc/backupctl/backupctl.toml}" 2>/dev/null
}

# _backupctl_data_root [FILE]
_backupctl_data_root() {
    local root
    root=$(sed -nE 's/^data_root[[:space:]]*=[[:space:]]*"([^"]*)".*/\1/p' "${1:-/etc/backupctl/backupctl.toml}" 2>/dev/null)
    printf '%s\n' "${root:-/media/ssd/podman}"
}

# Offers words that begin like the current one.
_backupctl_offer() {
    local word
    local -a offered
    COMPREPLY=()
    # Not `compgen -W`, which runs `$(…)` of the words. A word that no request can contain is not put on the line.
    read -rd '' -a offered <<<"$1"
    for word in "${offered[@]}"; do
        [[ $word == "$current"* && $word != *[!A-Za-z0-9._/:-]* ]] && COMPREPLY+=("$word")
    done
    # Readline takes a colon for the end of a word, so what stands before it must not come again.
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    fi
}

# Table of verbs: begin
_backupctl_verbs='--stop --start --sync --archive --sync-extra --rehearse --list --status --doctor --verify --restore --verify-extra --restore-extra --recover --approve --approve-extra --explain --install --uninstall --completions --ssh-gate --help --version'

# _backupctl_options VERB: the options that go with it.
_backupctl_options() {
    case $1 in
    --stop) echo '--timeout' ;;
    --start) echo '--timeout' ;;
    --sync) echo '--path --remote --timeout' ;;
    --archive) echo '--path --remote --keep-weekly --keep-monthly --timeout' ;;
    --sync-extra) echo '--remote --timeout' ;;
    --rehearse) echo '--remote --timeout' ;;
    --list) echo '--json' ;;
    --status) echo '--json' ;;
    --doctor) echo '--json' ;;
    --verify) echo '--from --remote --timeout' ;;
    --restore) echo '--from --only --to --in-place --keep-privileges --remote --timeout' ;;
    --verify-extra) echo '--remote --timeout' ;;
    --restore-extra) echo '--to --keep-privileges --remote --timeout' ;;
    --recover) echo '--boot' ;;
    --install) echo '--dry-run --import --user --data-root --local-remote' ;;
    --uninstall) echo '--dry-run' ;;
    esac
}

# _backupctl_kind VERB WORD: the kind of the value that WORD needs, or `maybe` and the kind; nothing for no value.
_backupctl_kind() {
    case "$1 $2" in
    '--stop --stop') echo services ;;
    '--stop --timeout') echo unknown ;;
    '--start --start') echo services ;;
    '--start --timeout') echo unknown ;;
    '--sync --sync') echo services ;;
    '--sync --path') echo path ;;
    '--sync --remote') echo remote ;;
    '--sync --timeout') echo unknown ;;
    '--archive --archive') echo services ;;
    '--archive --path') echo path ;;
    '--archive --remote') echo remote ;;
    '--archive --keep-weekly') echo unknown ;;
    '--archive --keep-monthly') echo unknown ;;
    '--archive --timeout') echo unknown ;;
    '--sync-extra --sync-extra') echo extra ;;
    '--sync-extra --remote') echo remote ;;
    '--sync-extra --timeout') echo unknown ;;
    '--rehearse --rehearse') echo services ;;
    '--rehearse --remote') echo remote ;;
    '--rehearse --timeout') echo unknown ;;
    '--list --list') echo maybe services ;;
    '--status --status') echo maybe services ;;
    '--verify --verify') echo services ;;
    '--verify --from') echo origin ;;
    '--verify --remote') echo remote ;;
    '--verify --timeout') echo unknown ;;
    '--restore --restore') echo services ;;
    '--restore --from') echo origin ;;
    '--restore --only') echo unknown ;;
    '--restore --to') echo directory ;;
    '--restore --remote') echo remote ;;
    '--restore --timeout') echo unknown ;;
    '--verify-extra --verify-extra') echo extra ;;
    '--verify-extra --remote') echo remote ;;
    '--verify-extra --timeout') echo unknown ;;
    '--restore-extra --restore-extra') echo extra ;;
    '--restore-extra --to') echo directory ;;
    '--restore-extra --remote') echo remote ;;
    '--restore-extra --timeout') echo unknown ;;
    '--recover --recover') echo maybe services ;;
    '--approve --approve') echo services ;;
    '--approve-extra --approve-extra') echo extra ;;
    '--explain --explain') echo unknown ;;
    '--install --user') echo user ;;
    '--install --data-root') echo directory ;;
    '--install --local-remote') echo directory ;;
    '--completions --completions') echo shell ;;
    esac
}
# Table of verbs: end

_backupctl() {
    local line current previous verb='' service='' file='' word at
    # The words as a shell would read them: readline has broken them at colons.
    line=${COMP_LINE:0:COMP_POINT}
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    current=${words[-1]}
    previous=${words[-2]:-}
    for ((at = 1; at < ${#words[@]} - 1; at++)); do
        word=${words[at]}
        case $word in
        --config) file=${words[at + 1]} ;;
        --*) [[ -z $verb && " $_backupctl_verbs " == *" $word "* ]] && verb=$word service=${words[at + 1]} ;;
        esac
    done
    local kind
    kind=$(_backupctl_kind "$verb" "$previous")
    [[ $previous == --config ]] && kind='file'
    # A value that may be left out gives way to an option.
    [[ $kind == maybe* && $current == -* ]] && kind=''
    case ${kind#maybe } in
    services | extra) _backupctl_offer "$(_backupctl_names "${kind#maybe }" "$file")" && return ;;
    path) _backupctl_offer "$(_backupctl_data_root "$file")/$service/data" && return ;;
    remote) _backupctl_offer "$(_backupctl_remotes "$file")" && return ;;
    file | directory) mapfile -t COMPREPLY < <(compgen -"${kind:0:1}" -- "$current") && return ;;
    user) mapfile -t COMPREPLY < <(compgen -u -- "$current") && return ;;
    shell) _backupctl_offer 'bash zsh fish' && return ;;
    origin) _backupctl_offer mirror && return ;;
    unknown) COMPREPLY=() && return ;;
    esac
    local options
    if [[ -z $verb ]]; then
        options=$_backupctl_verbs
        [[ -n $file ]] || options+=' --config'
    else
        options=$(_backupctl_options "$verb")
    fi
    # Each option once.
    local left=''
    for word in $options; do
        [[ " ${words[*]:1:${#words[@]}-2} " == *" $word "* ]] || left+=" $word"
    done
    _backupctl_offer "$left"
}

_podmanctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} file='' word verb='' at
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        case $word in
        --config) file=${COMP_WORDS[at + 1]} ;;
        --list | --status | --stop | --start | --help) verb=$word ;;
        esac
    done
    case $previous in
    --config) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --status | --stop | --start) _backupctl_offer "$(_backupctl_names services "$file")" ;;
    --timeout) COMPREPLY=() ;;
    *)
        case $verb in
        '') _backupctl_offer '--list --status --stop --start --help --config' ;;
        --stop | --start) _backupctl_offer '--timeout' ;;
        *) COMPREPLY=() ;;
        esac
        ;;
    esac
}

complete -F _backupctl backupctl
complete -F _podmanctl podmanctl
