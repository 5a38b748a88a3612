#!/usr/bin/env bash
#
# A first clone from nothing: installs what is missing, builds Counterpart, clones some thousands of real files twice
# and shows what came of it. Everything it clones goes into a temporary directory, which it removes at the end.
#
#     sudo examples/first-clone.sh                      as Counterpart is meant to run
#     examples/first-clone.sh --allow-non-root          as an ordinary user: owners are then not kept
#
# It exits 0 only if every run ended with the exit code that it should.

set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
allow_non_root=()
binary=
directory=

usage() {
    cat <<'USAGE'
Usage: first-clone.sh [--allow-non-root] [--binary FILE] [--folder DIR]

  --allow-non-root  clone without being root
  --binary FILE     try this counterpart instead of building one
  --folder DIR      clone a copy of this directory instead of choosing one
  --help            show this text
USAGE
}

fail() {
    printf 'first-clone: %s\n' "$1" >&2
    exit 1
}

heading() {
    printf '\n== %s\n' "$1"
}

while [ $# -gt 0 ]; do
    case $1 in
        --allow-non-root) allow_non_root=(--allow-non-root) ;;
        --binary) [ $# -gt 1 ] || fail '--binary needs a file'; binary=$2; shift ;;
        --folder) [ $# -gt 1 ] || fail '--folder needs a directory'; directory=$2; shift ;;
        --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

if [ "$(id -u)" -ne 0 ] && [ ${#allow_non_root[@]} -eq 0 ]; then
    fail 'run this as root (sudo), or with --allow-non-root'
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/first-clone.XXXXXX")
# Some of the copied directories may be read-only, which only an ordinary user notices.
# What this machine remembers of the clone goes too: counterpart check would miss the clone for ever.
forget() {
    local directory memory
    for directory in /var/lib/counterpart /var/db/counterpart "${HOME:-/}/Library/Logs/Counterpart/state"; do
        for memory in "$directory"/clone-*.json; do
            if grep -qsF "\"$work/clone\"" "$memory"; then rm -f "$memory"; fi
        done
    done
}
trap 'forget; chmod -R u+rwX "$work" 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- What is needed ------------------------------------------------------------------------------------------------

# Installs packages with the package manager of this system, as root.
install_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "please install, as root: $*"
        as_root=(sudo)
    fi
    printf 'Installing: %s\n' "$*"
    if command -v apt-get >/dev/null; then
        ${as_root[@]+"${as_root[@]}"} apt-get update -qq
        ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@"
    elif command -v dnf >/dev/null; then
        ${as_root[@]+"${as_root[@]}"} dnf install -y -q "$@"
    else
        fail "please install these with the package manager of this system: $*"
    fi
}

# The rsync that Counterpart will find, in its order.
find_rsync() {
    local candidate
    if [ "$(uname)" = Darwin ]; then
        for candidate in /opt/homebrew/bin/rsync /usr/local/bin/rsync /opt/local/bin/rsync; do
            if [ -x "$candidate" ]; then
                printf '%s\n' "$candidate"
                return
            fi
        done
        return 1 # the one in /usr/bin is Apple's, and Counterpart refuses it
    fi
    command -v rsync
}

# Runs a command as the person who builds: under sudo that is the one who called sudo, whose Rust and whose checkout
# these are.
as_builder() {
    if [ -n "$builder" ]; then
        sudo -H -u "$builder" env "PATH=$builder_home/.cargo/bin:$PATH" "$@"
    else
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH" "$@"
    fi
}

# Is there a cargo that is new enough for this source?
cargo_is_new_enough() {
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$project/Cargo.toml")
    # Asked from the project's directory, where a pinned toolchain would count.
    found=$(cd "$project" && as_builder cargo --version 2>/dev/null | awk '{ print $2 }') || return 1
    [ -n "$found" ] || return 1
    awk -v needed="$needed" -v found="$found" 'BEGIN {
        split(needed, n, "."); split(found, f, ".")
        exit !(f[1] > n[1] || (f[1] == n[1] && f[2] + 0 >= n[2] + 0))
    }'
}

# Rust by rustup, from the distribution if it has that, and else by its own installer. Distributions' own cargo is
# often older than this source needs.
install_rust() {
    local installer
    if command -v dnf >/dev/null; then
        install_packages cargo
        if cargo_is_new_enough; then return; fi
    fi
    if ! as_builder rustup --version >/dev/null 2>&1; then
        if command -v apt-cache >/dev/null && [ -n "$(apt-cache search --names-only '^rustup$' 2>/dev/null)" ]; then
            install_packages rustup
        else
            command -v curl >/dev/null || install_packages curl ca-certificates
            installer=$work/rustup-init.sh
            curl --proto '=https' --tlsv1.2 -sSf -o "$installer" https://sh.rustup.rs
            as_builder sh -s -- -y --profile minimal --no-modify-path <"$installer"
            return
        fi
    fi
    as_builder rustup toolchain install stable --profile minimal
    as_builder rustup default stable
}

heading 'What is needed'

builder=
builder_home=
if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ] && command -v sudo >/dev/null &&
    sudo -u "$SUDO_USER" test -w "$project"; then
    builder=$SUDO_USER
    # The inner shell is to say it.
    # shellcheck disable=SC2016
    builder_home=$(sudo -H -u "$builder" sh -c 'printf "%s" "$HOME"')
fi

if [ "$(uname)" = Darwin ]; then
    find_rsync >/dev/null || fail "please install a current rsync first: 'brew install rsync' with Homebrew, or
'sudo port install rsync' with MacPorts. Apple's own rsync cannot make a complete clone."
    if [ -z "$binary" ]; then
        xcode-select -p >/dev/null 2>&1 ||
            fail "please install Apple's compiler first, with 'xcode-select --install'"
        cargo_is_new_enough ||
            fail "please install a current Rust first: 'brew install rust' with Homebrew, or
'sudo port install cargo' with MacPorts, or rustup from https://rustup.rs"
    fi
else
    find_rsync >/dev/null || install_packages rsync
    if [ -z "$binary" ]; then
        if ! command -v cc >/dev/null; then
            if command -v dnf >/dev/null; then install_packages gcc; else install_packages gcc libc6-dev; fi
        fi
        if ! cargo_is_new_enough; then install_rust; fi
        cargo_is_new_enough || fail 'Rust is still missing or too old; install it from https://rustup.rs'
    fi
fi

rsync=$(find_rsync)
printf '%s: %s\n' "$rsync" "$("$rsync" --version | sed -n 1p)"

if [ -z "$binary" ]; then
    as_builder cargo --version
    heading 'Building'
    (cd "$project" && as_builder cargo build --release --locked)
    target=target
    # sudo -u does not carry this variable along.
    if [ -z "$builder" ]; then target=${CARGO_TARGET_DIR:-target}; fi
    case $target in
        /*) binary=$target/release/counterpart ;;
        *) binary=$project/$target/release/counterpart ;;
    esac
fi
[ -x "$binary" ] || fail "there is no program at $binary"
"$binary" --version

# --- What is cloned ------------------------------------------------------------------------------------------------

heading 'What is cloned'

source=$work/source
clone=$work/clone
logs=$work/log
mkdir "$clone" "$logs"

# Copies a directory to $source with its links. An ordinary user may not read all of a system directory.
take() {
    rm -rf "$source"
    mkdir "$source"
    "$rsync" -aH --one-file-system "$1/" "$source/" 2>/dev/null
}

entries() {
    find "$@" | wc -l | tr -d ' '
}

# Some thousands of files, some links, and less than half a gigabyte.
suits() {
    [ -d "$1" ] || return 1
    local count size
    count=$(entries "$1" -xdev)
    [ "$count" -ge 2000 ] && [ "$count" -le 60000 ] || return 1
    [ "$(entries "$1" -xdev -type l)" -gt 0 ] || return 1
    size=$(du -skx "$1" 2>/dev/null | awk '{ print $1 }')
    [ "$size" -le 500000 ]
}

if [ -n "$directory" ]; then
    [ -d "$directory" ] || fail "$directory is not a directory"
    take "$directory" || fail "cannot copy all of $directory"
else
    for candidate in /usr/lib/python3 /usr/lib/python3.* /usr/lib64/python3.* /usr/share/doc /usr/share/zoneinfo \
        /usr/share/man /usr/share/perl/5.* /usr/share/icons /opt/homebrew/Cellar/python* /usr/local/Cellar/python* \
        /usr/share; do
        if suits "$candidate" 2>/dev/null && take "$candidate"; then
            directory=$candidate
            break
        fi
    done
    [ -n "$directory" ] || fail 'found no directory of a good size here; name one with --folder'
fi
printf 'A private copy of %s, so that it can be changed.\n' "$directory"

# System directories seldom hold hard links, so these are ours; and one symlink, in case there was none.
mkdir -p "$source/first-clone"
printf 'one file with three names\n' >"$source/first-clone/name"
ln "$source/first-clone/name" "$source/first-clone/second name"
ln "$source/first-clone/name" "$source/third-name"
ln -s first-clone/name "$source/symlink"
printf 'to be changed\n' >"$source/first-clone/changed"
printf 'to be deleted\n' >"$source/first-clone/deleted"

# Counts what a directory holds, without the marks that Counterpart leaves at a clone.
count() {
    local ours=(! -name '.me.jedda.counterpart.*')
    printf '%s entries: %s files, %s directories, %s symlinks; %s names belong to hard links\n' \
        "$(entries "$1" "${ours[@]}")" "$(entries "$1" -type f "${ours[@]}")" "$(entries "$1" -type d)" \
        "$(entries "$1" -type l)" "$(entries "$1" -type f -links +1)"
}
count "$source"

# --- The runs ------------------------------------------------------------------------------------------------------

results=()
wrong=0

# run NAME EXPECTED ARGUMENT…: runs Counterpart, shows its log, and remembers whether the exit code was right.
run() {
    local name=$1 expected=$2 code=0 log lines verdict=right
    shift 2
    heading "$name"
    printf 'counterpart'
    printf ' %q' "$@"
    printf '\n\n'
    rm -f "$logs"/Counterpart_*
    XDG_STATE_HOME=$work/state "$binary" "$@" --log-dir "$logs" ${allow_non_root[@]+"${allow_non_root[@]}"} \
        >"$work/output" 2>"$work/errors" || code=$?
    cat "$work/errors" >&2
    for log in "$logs"/Counterpart_*; do
        [ -f "$log" ] || { printf 'No log was written.\n'; break; }
        lines=$(wc -l <"$log" | tr -d ' ')
        printf 'The log, %s (%s lines):\n' "${log##*/}" "$lines"
        if [ "$lines" -le 70 ]; then
            cat "$log"
        else
            head -n 35 "$log"
            printf '  … %s lines more …\n' $((lines - 70))
            tail -n 35 "$log"
        fi
    done
    if [ "$code" -ne "$expected" ]; then
        verdict=WRONG
        wrong=1
    fi
    results+=("$(printf '%-36s expected %3d, got %3d: %s' "$name" "$expected" "$code" "$verdict")")
}

# Notes one more thing that must be true.
check() {
    local name=$1 verdict=right
    shift
    if ! "$@"; then
        verdict=WRONG
        wrong=1
    fi
    results+=("$(printf '%-36s %s' "$name" "$verdict")")
}

statistics() {
    printf '\nThe statistics at the clone:\n'
    cat "$clone/.me.jedda.counterpart.stats" || :
    printf '\nThe source: '
    count "$source"
    printf 'The clone:  '
    count "$clone"
}

# Does rsync, asked on its own and reading every byte, find nothing to do? The top directory's own time is left out:
# it changes when Counterpart writes its marks there.
same() {
    local differences
    differences=$("$rsync" -aHnc --delete --itemize-changes --exclude='/.me.jedda.counterpart.*' \
        "$source/" "$clone/" | grep -v ' \./$' || :)
    [ -z "$differences" ] || { printf 'The clone differs:\n%s\n' "$differences"; return 1; }
}

one_file_with_three_names() {
    [ "$clone/first-clone/name" -ef "$clone/third-name" ] &&
        [ "$clone/first-clone/name" -ef "$clone/first-clone/second name" ]
}

untouched() {
    [ ! -e "$clone/first-clone/only in the source" ]
}

run 'First clone' 0 --source "$source" --destination "$clone"
statistics
check '  the clone equals the source' same
check '  hard links are still hard links' one_file_with_three_names

printf 'added\n' >"$source/first-clone/added"
printf 'changed, and longer than before\n' >"$source/first-clone/changed"
rm "$source/first-clone/deleted"
run 'After adding, changing, deleting' 0 --source "$source" --destination "$clone"
statistics
check '  the clone equals the source' same

printf 'never cloned\n' >"$source/first-clone/only in the source"
run 'Test run' 70 --source "$source" --destination "$clone" --test-run
check '  the clone was not touched' untouched

run 'A source that does not exist' 65 --source "$work/missing" --destination "$clone"

heading 'Result'
printf '%s\n' "${results[@]}"
if [ "$wrong" -ne 0 ]; then
    fail 'not everything went as it should'
fi
printf 'Everything went as it should.\n'
