# Completions of backupctl(8) and podmanctl(8) for fish. Names come from the configuration, where it may be read.

function __backupctl_file
    set -l words (commandline -opc)
    set -l at (contains -i -- --config $words)
    and echo $words[(math $at + 1)]
    or echo /etc/backupctl/backupctl.toml
end

function __backupctl_names
    sed -nE "s/^[[:space:]]*\[$argv[1]\.(\"([A-Za-z0-9][A-Za-z0-9._-]*)\"|([A-Za-z0-9][A-Za-z0-9_-]*))\].*/\2\3/p" (__backupctl_file) 2>/dev/null
end

function __backupctl_remotes
    sed -nE '/^remotes[[:space:]]*=/{s/^[^[]*\[//;s/\].*//;s/[", ]+/\n/g;p}' (__backupctl_file) 2>/dev/null | string match -r '.+'
end

function __backupctl_path
    set -l root (sed -nE 's/^data_root[[:space:]]*=[[:space:]]*"([^"]*)".*/\1/p' (__backupctl_file) 2>/dev/null)
    test -n "$root"; or set root /media/ssd/podman
    for name in (__backupctl_names services)
        echo $root/$name/data
    end
end

# Whether one of these verbs was typed, or none of all.
function __backupctl_has
    set -l words (commandline -opc)
    for verb in $argv
        contains -- --$verb $words; and return 0
    end
    return 1
end

# Whether a verb may come, or the value of the verb that is the last word.
function __backupctl_has_none
    set -l words (commandline -opc)
    contains -- $words[-1] --stop --start --sync --archive --sync-extra --verify --restore --approve --approve-extra --explain --completions
    and return 0
    not __backupctl_has stop start sync archive sync-extra list status doctor recover verify restore approve approve-extra install uninstall explain completions ssh-gate help version
end

complete -c backupctl -f
complete -c backupctl -n __backupctl_has_none -l config -rF -d 'another configuration'
complete -c backupctl -n __backupctl_has_none -l stop -xa '(__backupctl_names services)' -d 'stop a service'
complete -c backupctl -n __backupctl_has_none -l start -xa '(__backupctl_names services)' -d 'start a service'
complete -c backupctl -n __backupctl_has_none -l sync -xa '(__backupctl_names services)' -d 'mirror its data'
complete -c backupctl -n __backupctl_has_none -l archive -xa '(__backupctl_names services)' -d 'pack its data into an archive'
complete -c backupctl -n __backupctl_has_none -l sync-extra -xa '(__backupctl_names extra)' -d 'mirror an extra directory'
complete -c backupctl -n __backupctl_has_none -l list -d 'what exists'
complete -c backupctl -n __backupctl_has_none -l status -d 'how services are'
complete -c backupctl -n __backupctl_has_none -l doctor -d 'look at every hop'
complete -c backupctl -n __backupctl_has_none -l recover -d 'bring back what nobody started'
complete -c backupctl -n __backupctl_has_none -l verify -xa '(__backupctl_names services)' -d 'read an archive back and check all of it'
complete -c backupctl -n __backupctl_has_none -l restore -xa '(__backupctl_names services)' -d 'bring data back'
complete -c backupctl -n __backupctl_has_none -l approve -xa '(__backupctl_names services)' -d 'let the next sync make the change that was refused'
complete -c backupctl -n __backupctl_has_none -l approve-extra -xa '(__backupctl_names extra)' -d 'the same for an extra directory'
complete -c backupctl -n __backupctl_has_none -l install -d 'install or upgrade from a release'
complete -c backupctl -n __backupctl_has_none -l uninstall -d 'take it away again'
complete -c backupctl -n __backupctl_has_none -l explain -x -d 'decide a request without doing anything'
complete -c backupctl -n __backupctl_has_none -l completions -xa 'bash zsh fish' -d 'completions for a shell'
complete -c backupctl -n __backupctl_has_none -l ssh-gate -d 'carry out the request in SSH_ORIGINAL_COMMAND'
complete -c backupctl -n __backupctl_has_none -l help -d 'what there is'
complete -c backupctl -n __backupctl_has_none -l version -d 'which version it is'
complete -c backupctl -n '__backupctl_has list status recover' -xa '(__backupctl_names services)'
complete -c backupctl -n '__backupctl_has list status doctor' -l json -d 'for scripts'
complete -c backupctl -n '__backupctl_has recover' -l boot -d 'also what nobody sees to any more'
complete -c backupctl -n '__backupctl_has sync archive' -l path -xa '(__backupctl_path)' -d 'its data directory'
complete -c backupctl -n '__backupctl_has install uninstall' -l dry-run -d 'only say what would be done'
complete -c backupctl -n '__backupctl_has install' -l import -d 'keep what an earlier installation has here'
complete -c backupctl -n '__backupctl_has install' -l user -xa '(__fish_complete_users)' -d 'whose container the runner is'
complete -c backupctl -n '__backupctl_has install' -l data-root -xa '(__fish_complete_directories)' -d 'where services keep their data'
complete -c backupctl -n '__backupctl_has install' -l local-remote -xa '(__fish_complete_directories)' -d 'a folder in the place of the remote'
complete -c backupctl -n '__backupctl_has verify' -l from -x -d 'the archive of this day'
complete -c backupctl -n '__backupctl_has restore' -l from -xa mirror -d 'the archive of this day, or the mirror'
complete -c backupctl -n '__backupctl_has restore' -l to -rF -d 'into this directory'
complete -c backupctl -n '__backupctl_has restore' -l in-place -d 'stop the service, replace its data, start it'
complete -c backupctl -n '__backupctl_has restore' -l keep-privileges -d 'with set-user-ID, set-group-ID and capabilities'
complete -c backupctl -n '__backupctl_has sync archive sync-extra verify restore' -l remote -xa '(__backupctl_remotes)' -d 'the remote folder'
complete -c backupctl -n '__backupctl_has archive' -l keep-weekly -x -d 'archives of so many weeks stay'
complete -c backupctl -n '__backupctl_has archive' -l keep-monthly -x -d 'archives of so many months stay'
complete -c backupctl -n '__backupctl_has stop start sync archive sync-extra verify restore' -l timeout -x -d 'give up after so many seconds'

complete -c podmanctl -f
complete -c podmanctl -l config -rF -d 'another configuration'
complete -c podmanctl -l list -d 'every service and how it is'
complete -c podmanctl -l status -xa '(__backupctl_names services)' -d 'how each part of it is'
complete -c podmanctl -l stop -xa '(__backupctl_names services)' -d 'stop the whole service'
complete -c podmanctl -l start -xa '(__backupctl_names services)' -d 'start the whole service'
complete -c podmanctl -l timeout -x -d 'give up after so many seconds'
complete -c podmanctl -l help -d 'what there is'
