#!/usr/bin/env bash
# Type-checks and lints the product for an Apple target. No Apple machine is needed, only that target's standard library.
# Usage: tests/apple-target.sh
set -euo pipefail
export LC_ALL=C

target=aarch64-apple-darwin
debian=http://deb.debian.org/debian
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# The suites that carry recent compilers.
suites=(trixie-backports sid forky trixie)

say() { printf 'apple-target: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

# The compiled standard library, as rustup installs it.
have_std() { compgen -G "$(rustc --print target-libdir --target "$target")/libstd-*.rlib" >/dev/null; }
# The source of it, from which cargo can build it.
have_source() { [ -f "$1/library/std/Cargo.toml" ] && [ -f "$1/library/Cargo.lock" ]; }

# Downloads Debian's package of the source of one release of Rust and unpacks it; only the very same release fits the compiler.
fetch_source() { # RELEASE DIRECTORY
    local suite apt version
    command -v apt-get >/dev/null || { say "apt-get is missing"; return 1; }
    [ -r "$keys" ] || { say "$keys is missing (package debian-archive-keyring)"; return 1; }
    for suite in "${suites[@]}"; do
        apt=$scratch/$suite
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
        # Where apt drops its privileges, that user has to be able to write here.
        if id _apt >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then chown _apt "$apt/debs"; fi
        : >"$apt/status"
        printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$debian" "$suite" >"$apt/sources.list"
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
Acquire::http::Timeout "20";
APT::Update::Error-Mode "any";
EOF
        if ! APT_CONFIG=$apt/apt.conf timeout -k 5 180 apt-get -qq update >"$apt/log" 2>&1; then
            say "$suite is not served here ($(grep -m1 '^E:' "$apt/log" || echo 'no answer in time'))"
            continue
        fi
        version=$(APT_CONFIG=$apt/apt.conf apt-cache show rust-src 2>/dev/null |
            awk -v r="$1" '/^Version:/ { v = $2; sub(/[-+~].*/, "", v); if (v == r && !found) { found = 1; print $2 } }')
        [ -n "$version" ] || { say "$suite has no rust-src $1"; continue; }
        # apt checks what it downloads against the suite's signed index.
        (cd "$apt/debs" && APT_CONFIG=$apt/apt.conf timeout -k 5 300 apt-get -qq download "rust-src=$version") >"$apt/log" 2>&1 || {
            say "rust-src $version could not be downloaded ($(tail -n1 "$apt/log"))"
            continue
        }
        rm -rf "$2"
        mkdir -p "$2"
        # The rest of the package is the compiler, ten times as large.
        dpkg-deb --fsys-tarfile "$apt"/debs/*.deb | tar -x -C "$2" "./usr/src/rustc-$1/library" || return 1
        say "rust-src $version is from $suite"
        return 0
    done
    return 1
}

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
command -v cargo >/dev/null || die "cargo is missing"
release=$(rustc -vV | awk '$1 == "release:" { print $2 }')
# Apart from the tests' own builds, which these options would make stale.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/apple
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

if ! have_std && command -v rustup >/dev/null; then
    timeout -k 5 180 rustup target add "$target" || say "rustup cannot install $target; the standard library's source is tried"
fi

build_std=()
if ! have_std; then
    source=$(rustc --print sysroot)/lib/rustlib/src/rust
    if ! have_source "$source"; then
        cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/counterpart-tests/rust-src/$release
        have_source "$cache/usr/src/rustc-$release" || fetch_source "$release" "$cache" ||
            die "neither rustup nor Debian has the standard library of Rust $release for $target, so nothing was checked"
        have_source "$cache/usr/src/rustc-$release" || die "Debian's rust-src $release does not hold the standard library"
        # A link left dangling is replaced; a directory that somebody installed is not.
        [ ! -d "$source" ] || [ -L "$source" ] || die "$source is there but incomplete; remove it"
        mkdir -p "$(dirname "$source")"
        ln -sfn "$cache/usr/src/rustc-$release" "$source"
    fi
    # The stable compiler builds its own standard library only when told so.
    export RUSTC_BOOTSTRAP=1
    build_std=("-Zbuild-std=std,panic_abort")
fi

# What a dependency has in C needs Apple's compiler, but nothing is linked here: it need not be there.
export CC_aarch64_apple_darwin=true AR_aarch64_apple_darwin=true

say "check"
cargo check --locked "${build_std[@]}" --target "$target" --lib --bins
say "clippy"
cargo clippy --locked "${build_std[@]}" --target "$target" --lib --bins -- -D warnings
