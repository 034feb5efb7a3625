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
    COMPREPLY=()
    while IFS= read -r word; do
        [[ -n $word ]] && COMPREPLY+=("$word")
    done < <(compgen -W "$1" -- "$current")
    # Readline takes a colon for the end of a word, so what stands before it must not come again.
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    fi
}

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
        --stop | --start | --sync | --archive | --sync-extra | --list | --status | --doctor | --recover | --verify | --restore | --approve | --approve-extra)
            verb=$word service=${words[at + 1]}
            ;;
        --install | --uninstall | --explain | --completions | --help | --version | --ssh-gate) verb=${verb:-$word} ;;
        esac
    done
    case $previous in
    --path) _backupctl_offer "$(_backupctl_data_root "$file")/$service/data" && return ;;
    --remote) _backupctl_offer "$(_backupctl_remotes "$file")" && return ;;
    --config | --to) mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    --from) [[ $verb == --restore ]] && _backupctl_offer mirror && return ;;&
    --timeout | --keep-weekly | --keep-monthly | --from | --explain) COMPREPLY=() && return ;;
    --user) mapfile -t COMPREPLY < <(compgen -u -- "$current") && return ;;
    --data-root | --local-remote) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    --completions) _backupctl_offer 'bash zsh fish' && return ;;
    --sync-extra | --approve-extra) _backupctl_offer "$(_backupctl_names extra "$file")" && return ;;
    --stop | --start | --sync | --archive | --verify | --restore | --approve) _backupctl_offer "$(_backupctl_names services "$file")" && return ;;
    --list | --status | --recover)
        if [[ $current != -* ]]; then
            _backupctl_offer "$(_backupctl_names services "$file")" && return
        fi
        ;;
    esac
    local options
    case $verb in
    '')
        options='--stop --start --sync --archive --sync-extra --list --status --doctor --recover --verify --restore --approve --approve-extra --install --uninstall --explain --completions --ssh-gate --help --version'
        [[ -n $file ]] || options+=' --config'
        ;;
    --stop | --start) options='--timeout' ;;
    --sync) options='--path --remote --timeout' ;;
    --archive) options='--path --remote --keep-weekly --keep-monthly --timeout' ;;
    --sync-extra) options='--remote --timeout' ;;
    --verify) options='--from --remote --timeout' ;;
    --restore) options='--from --to --in-place --keep-privileges --remote --timeout' ;;
    --list | --status | --doctor) options='--json' ;;
    --recover) options='--boot' ;;
    --install) options='--dry-run --import --user --data-root --local-remote --help' ;;
    --uninstall) options='--dry-run --help' ;;
    *) options='' ;;
    esac
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
