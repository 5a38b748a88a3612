#!/usr/bin/env bash
# Fetches real rsyncs of other versions from Debian's suites: afterwards DIRECTORY/VERSION/rsync runs.
# Usage: tests/other-rsyncs.sh [DIRECTORY]
set -euo pipefail
export LC_ALL=C

# Without this one the script fails; the others are kept where they can be had.
required=3.2.7
directory=$(realpath -m -- "${1:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/counterpart-tests/rsync}")

debian=http://deb.debian.org/debian
security=http://deb.debian.org/debian-security
archive=http://archive.debian.org/debian
current_keys=/usr/share/keyrings/debian-archive-keyring.gpg
removed_keys=/usr/share/keyrings/debian-archive-removed-keys.gpg
suites=(
    "bookworm $debian $current_keys"
    "bookworm-security $security $current_keys"
    "bullseye $debian $current_keys"
    "trixie $debian $current_keys"
    "sid $debian $current_keys"
    "buster $archive $removed_keys"
    "stretch $archive $removed_keys"
)

say() { printf 'other-rsyncs: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

# Makes $apt a private apt of one suite, which knows nothing of what is installed, so that any version may be chosen.
private_apt() { # SUITE URL KEYS
    apt=$scratch/$1
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
    # Where apt drops its privileges, that user has to be able to write here.
    if id _apt >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then chown _apt "$apt/debs"; fi
    : >"$apt/status"
    printf 'deb [signed-by=%s] %s %s main\n' "$3" "$2" "$1" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<EOF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
Acquire::http::Timeout "20";
Acquire::Retries "$([ "$2" = "$archive" ] && echo 0 || echo 2)";
APT::Update::Error-Mode "any";
EOF
}

# Takes packages of the private apt and unpacks them into one directory, running none of their scripts.
unpack() { # DIRECTORY PACKAGE…
    local into=$1 deb
    shift
    rm -f "$apt"/debs/*.deb
    (cd "$apt/debs" && APT_CONFIG=$apt/apt.conf timeout -k 5 300 apt-get -qq download "$@") >"$apt/log" 2>&1 || return 1
    for deb in "$apt"/debs/*.deb; do dpkg-deb -x "$deb" "$into" || return 1; done
}

# The product clears the environment, so this does too; and a copy is more of a proof than a version.
works() { # RSYNC VERSION
    local try=$scratch/try
    rm -rf "$try"
    mkdir -p "$try/from/sub" "$try/to"
    echo content >"$try/from/sub/file"
    [ -x "$1" ] || return 1
    # Reading all the output keeps pipefail from seeing a broken pipe.
    env -i "$1" --version 2>/dev/null | awk -v v="$2" 'NR == 1 { found = $3 == v } END { exit !found }' || return 1
    env -i timeout -k 5 20 "$1" -aHAX "$try/from/" "$try/to/" >/dev/null 2>&1 || return 1
    cmp -s "$try/from/sub/file" "$try/to/sub/file"
}

# Gives an rsync the loader and the libraries of its own suite, where the host's are too old or too new.
bring_libraries() { # VERSION-DIRECTORY
    local root=$scratch/libraries loader direct all
    command -v patchelf >/dev/null || { say "patchelf is missing"; return 1; }
    rm -rf "$root"
    mkdir -p "$root" "$1/lib"
    local query=(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances)
    direct=$(APT_CONFIG=$apt/apt.conf "${query[@]}" rsync | awk '$1 ~ /Depends:/ && $2 ~ /^(lib|zlib)/ { print $2 }') || return 1
    # shellcheck disable=SC2086 # one word for each package
    all=$(APT_CONFIG=$apt/apt.conf "${query[@]}" --recurse $direct | grep -E '^(lib|zlib)' | grep -v gconv) || return 1
    # shellcheck disable=SC2086
    unpack "$root" $all || return 1
    find "$root"/lib/*-linux-gnu* "$root"/usr/lib/*-linux-gnu* -maxdepth 1 -name '*.so*' -exec cp -P -t "$1/lib" {} + 2>/dev/null
    loader=$(basename "$(patchelf --print-interpreter "$1/rsync")") || return 1
    [ -x "$1/lib/$loader" ] || return 1
    # The old kind of path also holds for the libraries' own libraries.
    patchelf --set-interpreter "$1/lib/$loader" --force-rpath --set-rpath "$1/lib" "$1/rsync"
}

# Fetches the rsync of one suite; a suite fetched before costs no network.
fetch() { # SUITE URL KEYS
    local version stamp=$directory/.$1 into root=$scratch/$1/root
    if [ -f "$stamp" ]; then
        version=$(<"$stamp")
        if works "$directory/$version/rsync" "$version"; then return 0; fi
        rm -f "$stamp"
    fi
    [ -r "$3" ] || { say "$1 is skipped: $3 is missing (package debian-archive-keyring)"; return 0; }
    private_apt "$@"
    if ! APT_CONFIG=$apt/apt.conf timeout -k 5 180 apt-get -qq update >"$apt/log" 2>&1; then
        say "$1 is skipped: $2 does not serve it here ($(grep -m1 '^E:' "$apt/log" || echo 'no answer in time'))"
        return 0
    fi
    version=$(APT_CONFIG=$apt/apt.conf apt-cache show --no-all-versions rsync 2>/dev/null | awk '/^Version:/ { print $2 }')
    # From epoch:3.4.1+ds1-5+deb13u4 to 3.4.1.
    version=${version#*:}
    version=${version%%[-+~]*}
    [ -n "$version" ] || { say "$1 is skipped: it has no rsync"; return 0; }
    into=$directory/$version
    if works "$into/rsync" "$version"; then
        echo "$version" >"$stamp"
        return 0
    fi
    rm -rf "$into"
    mkdir -p "$root" "$into"
    if unpack "$root" rsync && cp "$root/usr/bin/rsync" "$into/rsync" &&
        { works "$into/rsync" "$version" || { bring_libraries "$into" && works "$into/rsync" "$version"; }; }; then
        echo "$version" >"$stamp"
    else
        rm -rf "$into"
        say "$1 is skipped: its rsync $version does not run here ($(tail -n1 "$apt/log"))"
    fi
}

command -v apt-get >/dev/null || die "apt-get is missing: this needs Debian or a relative of it"
mkdir -p "$directory"
# Two at a time would unpack over each other.
exec 9>"$directory/.lock"
flock -w 600 9 || die "another run holds $directory/.lock"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

for suite in "${suites[@]}"; do
    # shellcheck disable=SC2086 # three words
    fetch $suite
done

for rsync in "$directory"/*/rsync; do
    [ -x "$rsync" ] || continue
    say "$rsync: $(env -i "$rsync" --version | sed -n 1p)"
done
[ -x "$directory/$required/rsync" ] || die "rsync $required, which the tests need, could not be had from Debian bookworm"
