#!/bin/sh
# restore.sh brings back the backups of backupctl on a machine that has none of its programs.
#
# It needs rclone, GNU tar (or bsdtar), sha256sum, and the small tools of any Debian: awk, gzip, sed, sort, touch.
# Run it as root, because only root can give files to their owners. It writes to DIR and DIR.incomplete alone.
#
#   sh restore.sh list FOLDER                  list the services in a backup folder, with their copies
#   sh restore.sh archive FOLDER SVC DAY DIR   bring back the archive of DAY (YYYY-MM-DD, or "newest")
#   sh restore.sh mirror FOLDER SVC DIR        bring back the last complete night of a mirror
#   sh restore.sh extra FOLDER NAME DIR        bring back the last complete night of an extra target
#
# FOLDER is a folder of rclone, for example onedrive:/OdroidBackup, or a folder of this machine. DIR is the new folder
# for the content of `data`. It must not exist, and its parent must exist.
#
# KEEP_PRIVILEGES=yes in front of the command keeps set-user-ID and set-group-ID bits, and file capabilities from an
# archive. A mirror does not bring back ACLs, extended attributes, file capabilities and holes; the script counts them.
#
# The exit code is 0 when each file has the digest of its manifest; 65 when something is missing or different, and the
# tree stays in DIR.incomplete/data; 64 for a wrong command line; 69 when a tool or a copy is missing; 73 when DIR exists.

set -eu
LC_ALL=C
export LC_ALL
umask 077

say() {
    printf '%s\n' "$*"
}

stop() {
    code=$1
    shift
    printf 'restore.sh: %s\n' "$*" >&2
    exit "$code"
}

finding() {
    printf 'finding: %s\n' "$*" >&2
    findings=$((findings + 1))
}
findings=0

usage() {
    sed -n 's/^#   sh //p' "$0" >&2
    exit 64
}

need() {
    for tool in "$@"; do
        command -v "$tool" > /dev/null || stop 69 "$tool is not installed"
    done
}

digest_of() {
    sha256sum < "$1" | cut -c 1-64
}

# Reads the entries of manifests and deltas, and prints the entries of the last night, one a line:
#     LETTER MODE UID GID MODIFIED SIZE SHA256 PATH =TARGET WHERE LOST
# PATH and TARGET are escaped for `printf %b`. WHERE is the place of the content, and LOST counts ACLs and attributes.
# A later line takes the place of an earlier one with the same PATH; the newest book is the last one.
# A line that the gate would not write ends the script: the manifest comes from the remote, and names paths.
entries() {
    awk -v keep="${KEEP_PRIVILEGES:-}" '
    function fail(reason) {
        print "restore.sh: " FILENAME ", line " FNR ": " reason > "/dev/stderr"
        failed = 1
        exit 1
    }
    function octal(text,    out, at, byte) {
        out = ""
        while ((at = index(text, "\\")) > 0) {
            byte = (index(HEX, substr(text, at + 2, 1)) - 1) * 16 + index(HEX, substr(text, at + 3, 1)) - 1
            if (substr(text, at, 4) !~ /^\\x[0-9a-f][0-9a-f]$/ || byte == 0 || (byte > 32 && byte < 127 && byte != 92))
                fail("a name has another spelling")
            out = out substr(text, 1, at - 1) sprintf("\\0%03o", byte)
            text = substr(text, at + 4)
        }
        return out text
    }
    function plain(path,    parts, count, i) {
        count = split(path, parts, "/")
        if (parts[1] != "data") fail("a path outside of data")
        for (i = 1; i <= count; i++)
            if (parts[i] == "" || parts[i] == "." || parts[i] == "..") fail("a path that leads elsewhere")
        return octal(path)
    }
    BEGIN { HEX = "0123456789abcdef" }
    FNR == 1 { version = $2; kind = $1; next }
    $1 == "end" || $1 == "member" || $1 == "mirror" { next }
    $1 == "gone" && NF == 2 { delete entry[$2]; next }
    {
        mode = $2; to = ""; where = "data"; lost = 0
        if ($1 !~ /^[dfslhp]$/) fail("an entry of an unknown type")
        if (mode !~ /^[0-7]+$/ || length(mode) > 4) fail("a mode that is none")
        if ($3 !~ /^[0-9]+$/ || $4 !~ /^[0-9]+$/ || $3 + 0 >= 4294967295 || $4 + 0 >= 4294967295) fail("an owner that is none")
        if ($5 !~ /^-?[0-9]+\.[0-9]+$/ || $6 !~ /^[0-9]+$/) fail("a time or size that is none")
        if ($7 != "-" && ($7 !~ /^[0-9a-f]+$/ || length($7) != 64)) fail("a digest that is none")
        if (kind == "backupctl-manifest" && version == 1) { path = $9; to = $10; lost = ($8 != "-") }
        else {
            path = $8
            for (i = 9; i <= NF; i++) {
                if ($i ~ /^to=/) to = substr($i, 4)
                else if ($i ~ /^in=/) where = substr($i, 4)
                else if ($i ~ /^(acl|default|xattr:[^=]*)=/) lost++
            }
        }
        if (where !~ /^(data|bundle:[0-9a-f]+|incoming:[0-9a-f]+(\.[0-9]+)?)$/) fail("a content at an unknown place")
        # The transitions of earlier nights have moved their contents to their paths.
        if (where ~ /^incoming:/ && FILENAME != ARGV[ARGC - 1]) where = "data"
        if ($1 ~ /^[fs]$/ && keep != "yes" && length(mode) == 4) mode = substr(mode, 2)
        target = ($1 == "h") ? plain(to) : octal(to)
        entry[path] = $1 " " mode " " $3 " " $4 " " $5 " " $6 " " $7 " " plain(path) " =" target " " where " " lost
    }
    END {
        if (failed) exit 1
        for (path in entry) print entry[path]
    }' "$@"
}

# Sets `name` to the bytes of an escaped PATH or TARGET. The dot protects a line feed at the end.
decode() {
    case $1 in
    *\\*)
        name=$(printf '%b.' "$1")
        name=${name%.}
        ;;
    *) name=$1 ;;
    esac
}

# Compares the files below $work/data with the list of entries.
compare() {
    : > "$work/sums"
    unknown=0
    while read -r letter mode uid gid modified _ sha path target where lost; do
        case $letter in
        f) ;;
        # The digest of a file with holes covers its map in an archive, and its plain content in a mirror.
        s) [ "$kind" = mirror ] || sha=- ;;
        *) continue ;;
        esac
        decode "$path"
        if [ ! -f "$work/$name" ] || [ -L "$work/$name" ]; then
            finding "missing: $path"
        elif [ "$sha" = - ]; then
            unknown=$((unknown + 1))
        else
            case $name in
            # sha256sum writes and reads such names in another form.
            *[!\ -~]* | *\\*)
                [ "$(digest_of "$work/$name")" = "$sha" ] || finding "different: $path"
                ;;
            *) printf '%s  %s\n' "$sha" "$name" >> "$work/sums" ;;
            esac
        fi
    done < "$work/list"
    if [ -s "$work/sums" ] && ! (cd "$work" && sha256sum -c sums > results 2> /dev/null); then
        grep -v ': OK$' "$work/results" > "$work/wrong" || true
        while read -r line; do
            finding "different: $line"
        done < "$work/wrong"
        [ -s "$work/wrong" ] || finding "sha256sum could not compare all files"
    fi
    if [ "$unknown" != 0 ]; then
        say "$unknown files were not compared one by one: the manifest has no digest of their plain content"
    fi
}

# Finds entries of an unpacked archive that the gate would not restore: devices, through which a service could reach a disk,
# and entries that the manifest does not have. They stay below $work, which only the caller can enter.
find_strangers() {
    devices=$(find "$work/data" \( -type b -o -type c \) -exec sh -c 'for one; do echo; done' sh {} + | wc -l)
    [ "$devices" = 0 ] || finding "the archive has $devices devices"
    if [ -s "$work/list" ]; then
        # Names can hold line feeds, so the lines are counted and not the names.
        made=$(find "$work/data" -exec sh -c 'for one; do echo; done' sh {} + | wc -l)
        listed=$(wc -l < "$work/list")
        [ "$made" -eq "$listed" ] || finding "the archive has $made entries, and its manifest $listed"
    fi
}

# Makes the folder for all downloads, beside DIR.
begin() {
    dir=$1
    case $dir in
    /*) ;;
    *) dir=$(pwd)/$dir ;;
    esac
    work=$dir.incomplete
    for there in "$dir" "$work"; do
        if [ -e "$there" ] || [ -L "$there" ]; then
            stop 73 "$there exists; name a new folder, or look at that one and remove it"
        fi
    done
    mkdir "$work" || stop 73 "$work cannot be made; its parent must exist"
    if [ "$(id -u)" != 0 ]; then
        say "warning: only root can give files to their owners; all files will belong to you"
    fi
}

# Moves the complete tree to DIR, or leaves the incomplete one.
finish() {
    if [ "$findings" != 0 ]; then
        stop 65 "$findings findings; the tree is in $work/data"
    fi
    mv "$work/data" "$dir"
    rm -rf "$work"
    say "$1 is in $dir"
}

download() {
    rclone copyto "$1" "$2" || stop 69 "$1 could not be downloaded"
    [ -f "$2" ] || stop 69 "$1 is not there"
}

# The days of all archives of a service, the newest last. A day after tomorrow is never the newest: its clock was wrong.
days() {
    limit=$(date -u -d "@$(($(date +%s) + 86400))" +%Y-%m-%d)
    rclone lsf --files-only "$1/archives" |
        sed -n "s/^$2-\([0-9]\{4\}-[0-9]\{2\}-[0-9]\{2\}\)\.tar\.gz\$/\1/p" | sort |
        awk -v limit="$limit" '$0 <= limit'
}

unpack() {
    case $(tar --version 2> /dev/null | sed -n 1p) in
    *"GNU tar"*)
        set -- --numeric-owner --acls --xattrs "--xattrs-include=*"
        [ "${KEEP_PRIVILEGES:-}" = yes ] || set -- "$@" --xattrs-exclude=security.capability
        ;;
    *bsdtar*) set -- --numeric-owner --acls --xattrs ;;
    *) stop 69 "this tar cannot read long names, attributes and holes; install GNU tar" ;;
    esac
    tar "$@" -xzpf "$work/archive.tar.gz" -C "$work" || finding "tar could not unpack the whole archive"
    if [ "${KEEP_PRIVILEGES:-}" != yes ]; then
        find "$work" -type f \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s {} +
    fi
}

restore_archive() {
    folder=$1/$2
    kind=archive
    day=$3
    if [ "$day" = newest ]; then
        day=$(days "$folder" "$2" | sed -n '$p')
        [ -n "$day" ] || stop 69 "$folder/archives has no archive"
    fi
    archive=$2-$day
    begin "$4"
    say "downloading $archive.tar.gz"
    download "$folder/archives/$archive.tar.gz" "$work/archive.tar.gz"
    if rclone lsf --files-only "$folder/archives" | grep -qxF "$archive.manifest.gz"; then
        download "$folder/archives/$archive.manifest.gz" "$work/manifest.gz"
        gzip -dc "$work/manifest.gz" > "$work/manifest" || stop 65 "the manifest of $archive is damaged"
        known=$(sed -n '$s/^end [0-9]* [0-9]* [0-9]* //p' "$work/manifest")
        [ -n "$known" ] || stop 65 "the manifest of $archive is not complete"
        if [ "$(digest_of "$work/archive.tar.gz")" != "$known" ]; then
            stop 65 "$archive.tar.gz is damaged: its SHA-256 is not $known; restore another day"
        fi
        entries "$work/manifest" > "$work/list" || stop 65 "the manifest of $archive cannot be read"
    else
        say "warning: $archive has no manifest, so no file can be compared"
        : > "$work/list"
    fi
    say "unpacking"
    unpack
    if [ ! -d "$work/data" ] || [ -L "$work/data" ]; then
        stop 65 "$archive.tar.gz has another layout; look at $work"
    fi
    find_strangers
    compare
    finish "the archive of $2 of $day"
}

# True if a book of a mirror is whole: its last line has the digest of all lines before.
is_whole() {
    gzip -dc "$1" > "$work/book" 2> /dev/null || return 1
    last=$(sed -n '$s/^end .* //p' "$work/book")
    [ -n "$last" ] && [ "$(sed '$d' "$work/book" | sha256sum | cut -c 1-64)" = "$last" ]
}

# Downloads the books of a mirror, and writes the entries of its last complete night to $work/list.
read_books() {
    books=$1
    prefix=$2
    subject=$3
    mkdir "$work/books"
    rclone lsf --files-only "$books" > "$work/names" || stop 69 "$books cannot be listed"
    full=
    # shellcheck disable=SC2013 # The words are digits.
    for generation in $(sed -n "s/^$prefix"'manifest-\([0-9]\{6\}\)\.gz$/\1/p' "$work/names" | sort -r); do
        download "$books/${prefix}manifest-$generation.gz" "$work/books/$generation.gz"
        if is_whole "$work/books/$generation.gz"; then
            full=$generation
            break
        fi
        say "warning: ${prefix}manifest-$generation.gz is not whole, and counts as absent"
    done
    [ -n "$full" ] || stop 69 "$books has no whole manifest of a mirror; copy its files: rclone copy $data DIR"
    sed -n 1p "$work/book" | grep -qxF "backupctl-manifest 2 $subject.mirror" ||
        stop 65 "${prefix}manifest-$full.gz belongs to another mirror, or a newer gate wrote it"
    night=$(sed -n '2s/^mirror [0-9.]* [0-9a-f]* \([^ ]*\).*/\1/p' "$work/book")
    mv "$work/book" "$work/books/0000"
    set -- "$work/books/0000"
    number=1
    while :; do
        delta=$(printf '%04d' "$number")
        file=${prefix}manifest-$full.$delta.gz
        grep -qxF "$file" "$work/names" || break
        download "$books/$file" "$work/books/$delta.gz"
        if ! is_whole "$work/books/$delta.gz"; then
            following=$(printf '%04d' "$((number + 1))")
            if grep -qxF "${prefix}manifest-$full.$following.gz" "$work/names"; then
                finding "$file is damaged; this is the night before it"
            else
                say "warning: $file is not whole, and counts as absent"
            fi
            break
        fi
        if ! sed -n 1p "$work/book" | grep -qxF "backupctl-delta 1 $subject.mirror" ||
            ! sed -n 2p "$work/book" | grep -q "^mirror $full\.$delta "; then
            finding "$file is out of order, or a newer gate wrote it; this is the night before it"
            break
        fi
        night=$(sed -n '2s/^mirror [0-9.]* [0-9a-f]* \([^ ]*\).*/\1/p' "$work/book")
        mv "$work/book" "$work/books/$delta"
        set -- "$@" "$work/books/$delta"
        number=$((number + 1))
    done
    entries "$@" > "$work/unsorted" || stop 65 "the manifests in $books cannot be read"
    # A folder comes before its content.
    sort -k 8,8 "$work/unsorted" > "$work/list"
}

# Downloads the contents of a mirror, and its bundles.
fetch_contents() {
    mkdir "$work/contents" "$work/incoming" "$work/bundle"
    say "downloading the files of $data"
    rclone copy "$data" "$work/contents" || finding "rclone could not download all files of $data"
    if grep -q ' incoming:[0-9a-f.]* [0-9]*$' "$work/list"; then
        rclone copy "$incoming" "$work/incoming" 2> "$work/errors" || say "$incoming is empty: the mirror is in order"
    fi
    # shellcheck disable=SC2013 # The words are hexadecimal digits.
    for bundle in $(sed -n 's/.* bundle:\([0-9a-f]*\) [0-9]*$/\1/p' "$work/list" | sort -u); do
        download "$books/${prefix}bundle-$bundle.tar.gz" "$work/bundle.tar.gz"
        case $(digest_of "$work/bundle.tar.gz") in
        "$bundle"*) ;;
        *) finding "${prefix}bundle-$bundle.tar.gz is damaged" ;;
        esac
        mkdir "$work/bundle/$bundle"
        tar -xzf "$work/bundle.tar.gz" -C "$work/bundle/$bundle" || finding "the bundle $bundle could not be unpacked"
    done
    # A link in these folders could lead a file of this machine into the tree.
    odd=$(find "$work/contents" "$work/incoming" "$work/bundle" ! -type f ! -type d | wc -l)
    [ "$odd" = 0 ] || stop 65 "the downloaded files hold $odd entries that are neither files nor folders"
}

# Moves the content of a file to its place. Sets `from`.
find_content() {
    case $where in
    incoming:*)
        from=$work/incoming/${where#incoming:}
        [ -f "$from" ] || from=$work/contents/${name#data/}
        ;;
    bundle:*) from=$work/bundle/${where#bundle:}/$name ;;
    *) from=$work/contents/${name#data/} ;;
    esac
}

# Makes the tree of the manifest in $work/data: folders and files, then further names of files, then links. Links come
# last, when no more file is written that could pass through them.
make_tree() {
    while read -r letter mode uid gid modified _ sha path target where lost; do
        decode "$path"
        case $letter in
        d) mkdir "$work/$name" ;;
        p) mkfifo "$work/$name" ;;
        f | s)
            find_content
            if [ -f "$from" ]; then
                mv "$from" "$work/$name"
            fi
            ;;
        esac
    done < "$work/list"
    while read -r letter mode uid gid modified _ sha path target where lost; do
        [ "$letter" = h ] || continue
        decode "${target#=}"
        first=$name
        decode "$path"
        if [ -f "$work/$first" ] || [ -p "$work/$first" ]; then
            ln "$work/$first" "$work/$name"
        else
            finding "missing: $path"
        fi
    done < "$work/list"
    while read -r letter mode uid gid modified _ sha path target where lost; do
        [ "$letter" = l ] || continue
        decode "${target#=}"
        to=$name
        decode "$path"
        ln -s -- "$to" "$work/$name"
    done < "$work/list"
}

# Gives each entry its owner, mode and time; a folder after its content, because the content changes the folder's time.
set_attributes() {
    attributes=0
    sort -r -k 8,8 "$work/list" > "$work/backwards"
    while read -r letter mode uid gid modified _ sha path target where lost; do
        decode "$path"
        at=$work/$name
        attributes=$((attributes + lost))
        [ -e "$at" ] || [ -L "$at" ] || continue
        if [ "$(id -u)" = 0 ]; then
            chown -h "$uid:$gid" "$at"
        fi
        [ "$letter" = l ] || chmod "$mode" "$at"
        touch -h -d "@$modified" "$at"
    done < "$work/backwards"
    if [ "$attributes" != 0 ]; then
        say "warning: $attributes ACLs and attributes are in the manifest alone, and did not come back"
    fi
}

restore_mirror() {
    kind=mirror
    read_books "$2" "$3" "$4"
    fetch_contents
    say "making the tree of the night $night"
    make_tree
    compare
    set_attributes
    finish "$1, complete as of $night,"
}

list_copies() {
    rclone lsf --dirs-only "$1" | sed 's,/$,,' | sort | while read -r service; do
        case $service in
        extra | .*) continue ;;
        esac
        say "$service"
        days "$1/$service" "$service" 2> /dev/null | sed 's/^/    archive /' || true
        rclone cat "$1/$service/mirror.complete" 2> /dev/null | sed -n 's/^complete /    mirror, complete as of /p' || true
    done
    rclone lsf --dirs-only "$1/extra" 2> /dev/null | sed 's,/$,,' | sort | while read -r target; do
        case $target in
        .*) continue ;;
        esac
        say "extra target $target"
        rclone cat "$1/extra/.manifests/$target.complete" 2> /dev/null | sed -n 's/^complete /    mirror, complete as of /p'
    done
}

# A name becomes part of a pattern and of paths.
name_of() {
    case $1 in
    "" | .* | *[!A-Za-z0-9._-]*) stop 64 "$1 is no name of a service or extra target" ;;
    esac
}

need sha256sum sed
case ${1:-}:$# in
list:2 | archive:5 | mirror:4 | extra:4)
    need rclone tar gzip awk sort find cut grep
    root=${2%/}
    [ "$1" = list ] || name_of "$3"
    case $1 in
    list) list_copies "$root" ;;
    archive)
        case $4 in
        newest | [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]) ;;
        *) usage ;;
        esac
        restore_archive "$root" "$3" "$4" "$5"
        ;;
    mirror)
        data=$root/$3/data
        incoming=$root/$3/.incoming
        begin "$4"
        restore_mirror "the mirror of $3" "$root/$3" mirror. "$3"
        ;;
    extra)
        data=$root/extra/$3
        incoming=$root/extra/.incoming/$3
        begin "$4"
        restore_mirror "the mirror of the extra target $3" "$root/extra/.manifests" "$3." "extra-$3"
        ;;
    esac
    ;;
*) usage ;;
esac
