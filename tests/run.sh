#!/usr/bin/env bash
# Installs what is missing and runs everything that CI runs, as root on Debian, Ubuntu or a relative of them.
# Usage: tests/run.sh [ARGUMENT…]   (the arguments go to cargo test)
set -euo pipefail

packages=(
    # To build, and to fetch crates.
    ca-certificates gcc libc6-dev
    # The filesystems, and what looks at files on them.
    acl attr btrfs-progs cryptsetup-bin dosfstools fdisk strace groff-base man-db e2fsprogs libcap2-bin mount rsync util-linux xfsprogs
    # The filesystem that fails on purpose, and the clock that is wrong on purpose.
    fuse3 libfaketime python3 python3-fusepy
    # What boots clones, and makes the disks for that.
    e2fsprogs fdisk grub-pc-bin grub2-common mmdebstrap qemu-system-x86 seabios udev
    # What runs the monitoring plugin.
    icinga2-bin nagios4-core
    # systemd-analyze; a container that is booted, with a logind to keep it awake.
    dbus systemd systemd-container
    # The servers that are backed up, what encrypts them, and a terminal for what asks.
    age bsdutils ldap-utils mariadb-server postgresql slapd
    # What reads our metrics and our record, makes certificates, and sends reports.
    curl openssl prometheus prometheus-node-exporter python3-jsonschema
    # To fetch other versions of rsync.
    debian-archive-keyring patchelf
)

# What is installed where there is no Rust: a later clippy knows lints that this code has not met.
toolchain=1.95.0

current=
say() { printf '%s\n' "$*"; }
die() { say "run: $*" >&2; exit 1; }

policy=
at_exit() {
    local status=$?
    [ -z "$policy" ] || rm -f "$policy"
    if [ "$status" != 0 ]; then say "run: the step \"$current\" failed with code $status." >&2; fi
}

step() { # NAME COMMAND…
    current=$1
    shift
    local start=$SECONDS
    say "== $current"
    "$@"
    say "== $current: $((SECONDS - start)) s"
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

updated=
apt_update() {
    [ -z "$updated" ] || return 0
    timeout -k 5 300 apt-get -qq update
    updated=yes
}

apt_install() {
    apt_update
    DEBIAN_FRONTEND=noninteractive timeout -k 5 900 \
        apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends --allow-downgrades -y "$@" </dev/null
}

# The tests start servers of their own: none is left running by the installation.
install_quietly() {
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt_install "$@"
    [ -z "$policy" ] || rm -f "$policy"
    policy=
}

# Newer tools of QEMU, as from the backports, would keep the release's QEMU out: they become those of the release.
qemu_tools() {
    local package wanted
    wanted=$(apt-cache policy qemu-system-x86 | sed -n 's/^ *Candidate: //p')
    for package in qemu-utils qemu-block-extra qemu-system-common; do
        if is_installed "$package" &&
            dpkg --compare-versions "$(dpkg-query -W -f '${Version}' "$package")" gt "$wanted"; then
            printf '%s=%s\n' "$package" "$wanted"
        fi
    done
}

install_packages() {
    local package tools missing=()
    for package in "${packages[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} != 0 ] || return 0
    apt_update
    mapfile -t tools < <(qemu_tools)
    install_quietly "${missing[@]}" "${tools[@]}"
}

install_rust() {
    # rustup's own directory is on nobody's PATH but a login shell's.
    export PATH=$HOME/.cargo/bin:$PATH
    local needed
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! cargo --version >/dev/null 2>&1; then
        if ! command -v rustup >/dev/null; then
            apt_update
            [ -n "$(apt-cache madison rustup 2>/dev/null)" ] ||
                die "Rust is missing and this system has no package of rustup: install Rust $needed or later (https://rustup.rs) and run this again"
            apt_install rustup
        fi
        timeout -k 5 900 rustup toolchain install "$toolchain" --profile minimal --component rustfmt --component clippy
        rustup default "$toolchain"
    fi
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        command -v rustup >/dev/null || die "rustfmt or clippy is missing: install both for $(cargo --version) and run this again"
        timeout -k 5 600 rustup component add rustfmt clippy
    fi
    cargo --version
}

trap at_exit EXIT
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
current=start
[ "$(id -u)" = 0 ] || die "the tests mount filesystems and make files of other users: run this as root"
command -v apt-get >/dev/null || die "apt-get is missing: this needs Debian, Ubuntu or a relative of them"
export HOME=${HOME:-/root}

step "Packages" install_packages
step "Rust" install_rust
# Those of every platform: their licences are looked at.
step "Crates" cargo fetch --locked --quiet
step "Other versions of rsync" tests/other-rsyncs.sh
step "Format" cargo fmt --check
step "Lints" cargo clippy --all-targets --locked -- -D warnings
step "Tests" cargo test --locked --no-fail-fast "$@"
step "Apple target" tests/apple-target.sh
say "== Everything passed in $SECONDS s"
