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
    contains -- $words[-1] --stop --start --sync --archive --sync-extra --rehearse --verify --restore --verify-extra --restore-extra --approve --approve-extra --explain --completions
    and return 0
    not __backupctl_has stop start sync archive sync-extra rehearse list status doctor verify restore verify-extra restore-extra recover approve approve-extra explain install uninstall completions ssh-gate help version
end

complete -c backupctl -f
complete -c backupctl -n __backupctl_has_none -l config -rF -d 'another configuration'
# Table of verbs: begin
complete -c backupctl -n __backupctl_has_none -l stop -xa '(__backupctl_names services)' -d 'stop a service'
complete -c backupctl -n __backupctl_has_none -l start -xa '(__backupctl_names services)' -d 'start a service'
complete -c backupctl -n __backupctl_has_none -l sync -xa '(__backupctl_names services)' -d 'mirror its data'
complete -c backupctl -n __backupctl_has_none -l archive -xa '(__backupctl_names services)' -d 'pack its data into an archive'
complete -c backupctl -n __backupctl_has_none -l sync-extra -xa '(__backupctl_names extra)' -d 'mirror an extra directory'
complete -c backupctl -n __backupctl_has_none -l rehearse -xa '(__backupctl_names services)' -d 'prove that its newest copy can be restored'
complete -c backupctl -n __backupctl_has_none -l list -d 'list mirrors, archives and left-over files'
complete -c backupctl -n __backupctl_has_none -l status -d 'show services that are up, down, stopped or busy'
complete -c backupctl -n __backupctl_has_none -l doctor -d 'check every link of the chain and suggest fixes'
complete -c backupctl -n __backupctl_has_none -l verify -xa '(__backupctl_names services)' -d 'read the newest archive back and check it fully'
complete -c backupctl -n __backupctl_has_none -l restore -xa '(__backupctl_names services)' -d 'bring data back, into a fresh directory beside it'
complete -c backupctl -n __backupctl_has_none -l verify-extra -xa '(__backupctl_names extra)' -d 'read the mirror of an extra target back and check it fully'
complete -c backupctl -n __backupctl_has_none -l restore-extra -xa '(__backupctl_names extra)' -d 'bring an extra target back'
complete -c backupctl -n __backupctl_has_none -l recover -d 'start services with an expired lease'
complete -c backupctl -n __backupctl_has_none -l approve -xa '(__backupctl_names services)' -d 'allow a refused change, and pruning after an unusual night'
complete -c backupctl -n __backupctl_has_none -l approve-extra -xa '(__backupctl_names extra)' -d 'the same for an extra target'
complete -c backupctl -n __backupctl_has_none -l explain -x -d 'decide a request without carrying it out (JSON)'
complete -c backupctl -n __backupctl_has_none -l install -d 'install or upgrade from an unpacked release; --install --help says more'
complete -c backupctl -n __backupctl_has_none -l uninstall -d 'remove it; data and configuration stay'
complete -c backupctl -n __backupctl_has_none -l completions -xa 'bash zsh fish' -d 'print completions for a shell'
complete -c backupctl -n __backupctl_has_none -l ssh-gate -d 'carry out the request in SSH_ORIGINAL_COMMAND'
complete -c backupctl -n __backupctl_has_none -l help -d 'print this help'
complete -c backupctl -n __backupctl_has_none -l version -d 'print the version'
complete -c backupctl -n '__backupctl_has list status recover' -xa '(__backupctl_names services)'
complete -c backupctl -n '__backupctl_has stop start sync archive sync-extra rehearse verify restore verify-extra restore-extra' -l timeout -x -d 'give up after S seconds'
complete -c backupctl -n '__backupctl_has sync archive' -l path -xa '(__backupctl_path)' -d 'its data directory'
complete -c backupctl -n '__backupctl_has sync archive sync-extra rehearse verify restore verify-extra restore-extra' -l remote -xa '(__backupctl_remotes)' -d 'the remote folder'
complete -c backupctl -n '__backupctl_has archive' -l keep-weekly -x -d 'keep archives of N weeks'
complete -c backupctl -n '__backupctl_has archive' -l keep-monthly -x -d 'keep archives of N months'
complete -c backupctl -n '__backupctl_has list status doctor' -l json -d 'the same for scripts'
complete -c backupctl -n '__backupctl_has verify restore' -l from -xa mirror -d 'the archive of this day, or the mirror'
complete -c backupctl -n '__backupctl_has restore' -l only -x -d 'only this file or folder of the data; may be repeated'
complete -c backupctl -n '__backupctl_has restore restore-extra' -l to -xa '(__fish_complete_directories)' -d 'into this directory, which must be new or empty'
complete -c backupctl -n '__backupctl_has restore' -l in-place -d 'stop the service, replace its data, start it'
complete -c backupctl -n '__backupctl_has restore restore-extra' -l keep-privileges -d 'with set-user-ID, set-group-ID and capabilities'
complete -c backupctl -n '__backupctl_has recover' -l boot -d 'also services left stopped across a reboot'
complete -c backupctl -n '__backupctl_has install uninstall' -l dry-run -d 'only print the changes'
complete -c backupctl -n '__backupctl_has install' -l import -d 'keep the files of an earlier installation'
complete -c backupctl -n '__backupctl_has install' -l user -xa '(__fish_complete_users)' -d 'the user of the container'
complete -c backupctl -n '__backupctl_has install' -l data-root -xa '(__fish_complete_directories)' -d 'the folder with the data of services'
complete -c backupctl -n '__backupctl_has install' -l local-remote -xa '(__fish_complete_directories)' -d 'a folder in the place of the remote'
# Table of verbs: end

complete -c podmanctl -f
complete -c podmanctl -l config -rF -d 'another configuration'
complete -c podmanctl -l list -d 'every service and how it is'
complete -c podmanctl -l status -xa '(__backupctl_names services)' -d 'how each part of it is'
complete -c podmanctl -l stop -xa '(__backupctl_names services)' -d 'stop the whole service'
complete -c podmanctl -l start -xa '(__backupctl_names services)' -d 'start the whole service'
complete -c podmanctl -l timeout -x -d 'give up after so many seconds'
complete -c podmanctl -l help -d 'what there is'
