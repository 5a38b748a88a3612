#!/usr/bin/env bash
# Builds the packages and tries them in fresh systems; as root on Debian, Ubuntu or a relative. It needs a quarter of an
# hour, some gigabytes, and Debian's and Ubuntu's archives.
# Usage: packaging/test.sh [--built] [SUITE…]    (--built tries what is in target/packages already)
set -euo pipefail
export LC_ALL=C
umask 022

packages=(ca-certificates cpio curl debian-archive-keyring dpkg-dev e2fsprogs gcc libc6-dev lintian mmdebstrap musl-tools python3 rpm rsync
    systemd-container util-linux)
suites=(bookworm trixie jammy noble)

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
out=$PWD/target/packages
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)
target=$(uname -m)-unknown-linux
scratch=
results=()
failed=no

say() { printf '== %s\n' "$*"; }
die() { printf 'test: %s\n' "$*" >&2; exit 1; }

# What is mounted below the scratch directory is so in this process's own namespace alone.
unmount() {
    local place
    for place in mounted system alone; do
        while mountpoint -q "$scratch/$place"; do umount -R "$scratch/$place"; done
    done
}

at_exit() { [ -z "$scratch" ] || { unmount && rm -rf --one-file-system "$scratch"; }; }

check() { # NAME COMMAND…
    local name=$1 start=$SECONDS log=$scratch/log
    shift
    say "$name"
    # A subshell of its own: `set -e` holds in it, as it would not in a condition.
    set +e
    (set -e; "$@") >"$log" 2>&1
    local code=$?
    set -e
    case $code in
        0) results+=("passed   $name ($((SECONDS - start)) s)") ;;
        75) results+=("skipped  $name: $(tail -n 1 "$log")") ;;
        *) results+=("FAILED   $name"); failed=yes; tail -n 40 "$log" ;;
    esac
    unmount
    rm -rf --one-file-system "${scratch:?}"/*
}

is() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || { echo "$1: expected \"$2\", found \"$3\""; exit 1; }
}
matches() { # WHAT PATTERN FOUND
    grep -qE "$2" <<<"$3" || { echo "$1: \"$3\" does not match \"$2\""; exit 1; }
}
exists() { for file in "$@"; do [ -e "$file" ] || { echo "$file is missing"; exit 1; }; done; }
is_gone() { for file in "$@"; do [ ! -e "$file" ] && [ ! -L "$file" ] || { echo "$file is still there"; exit 1; }; done; }

# --- the packages by themselves

lintian_is_silent() {
    lintian --fail-on error,warning --no-tag-display-limit "$out/counterpart_$version-1_$architecture.deb"
}

rpm_is_complete() {
    local package root=$scratch/rpm
    package=$(echo "$out/counterpart-$version-1."*.rpm)
    matches requirements '^rsync >= 3.2$' "$(rpm -qp --requires "$package")"
    matches requirements '^libc.so.6\(GLIBC_' "$(rpm -qp --requires "$package")"
    is licence GPL-3.0-or-later "$(rpm -qp --queryformat '%{LICENSE}' "$package")"
    matches configuration '^/etc/counterpart/README$' "$(rpm -qpc "$package")"
    # It is installed by rpm, but for the packages that it needs, and leaves nothing when it goes but what was changed.
    mkdir -p "$root/etc/counterpart"
    rpm --root "$root" --initdb
    rpm --root "$root" -i --nodeps --noscripts "$package"
    rpm --root "$root" -V --nodeps counterpart
    exists "$root"/usr/share/man/man8/counterpart-run.8.gz "$root"/usr/lib/systemd/system/counterpart@.timer \
        "$root"/usr/share/zsh/site-functions/_counterpart "$root"/usr/share/licenses/counterpart/LICENSE
    matches contents '^./usr/sbin/counterpart$' "$(rpm2cpio "$package" | cpio -t --quiet)"
    matches version "^counterpart $version \\(" "$("$root/usr/sbin/counterpart" --version)"
    echo 'source = "/"' >"$root/etc/counterpart/mine.toml"
    rpm --root "$root" -e --nodeps --noscripts counterpart
    exists "$root/etc/counterpart/mine.toml"
    is_gone "$root/usr/sbin/counterpart" "$root/usr/share/doc/counterpart/README.md"
}

formulas_are_filled() {
    COUNTERPART_URL=${COUNTERPART_URL:-"file://$out/counterpart-$version.tar.gz"} \
        COUNTERPART_HOMEPAGE=${COUNTERPART_HOMEPAGE:-"file://$out"} packaging/build.sh formulas
    local sum
    sum=$(sha256sum "$out/counterpart-$version.tar.gz" | cut -d ' ' -f 1)
    grep -q "sha256 \"$sum\"" "$out/counterpart.rb"
    grep -q "sha256sums=($sum)" "$out/PKGBUILD"
    bash -n "$out/PKGBUILD"
    ! command -v ruby >/dev/null || ruby -c "$out/counterpart.rb"
}

# The source archive alone, elsewhere and without git, builds the very same program.
the_source_builds_the_same() {
    local dir=$scratch/elsewhere
    mkdir -p "$dir"
    tar -xzf "$out/counterpart-$version.tar.gz" -C "$dir"
    cd "$dir/counterpart-$version"
    mkdir -p target/packages
    cp -r "$out/tools" target/packages/
    # What was built is gone by now, or this would be a comparison of nothing.
    is_gone "target/packages/$target-gnu"
    COUNTERPART_MAINTAINER=$COUNTERPART_MAINTAINER packaging/build.sh deb
    cmp "target/packages/$target-gnu/release/counterpart" "$out/$target-gnu/release/counterpart"
    cmp "target/packages/counterpart_$version-1_$architecture.deb" "$out/counterpart_$version-1_$architecture.deb"
}

# --- a system

# Runs a command in a root that is a mount point. A plain chroot would leave what is above it in sight of mounts.
enter() { # ROOT COMMAND…
    local root=$1
    shift
    env -i HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        unshare --mount --propagation private /usr/bin/python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
if libc.pivot_root(b".", b".") or libc.umount2(b".", 2):
    sys.exit("pivot_root: " + os.strerror(ctypes.get_errno()))
os.chdir("/")
# Python has no library any more that it could search the program with.
program = next(path for path in (os.path.join(d, sys.argv[2]) for d in os.environ["PATH"].split(":")) if os.path.exists(path))
os.execv(program, sys.argv[2:])' "$root" "$@"
}

# A fresh system on a filesystem of its own, with an empty disk at /mnt/clone.
new_system() { # ROOT SUITE [PACKAGES]
    local mirror=() key=()
    case $2 in
        bookworm | trixie) ;;
        *)
            local ubuntu=http://archive.ubuntu.com/ubuntu keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
            curl -sSf -m 30 -o /dev/null "$ubuntu/dists/$2/InRelease" || { echo "$ubuntu is not reachable"; exit 75; }
            # A Debian has no keys of Ubuntu's, and this system lives for some minutes.
            key=(trusted=yes)
            [ ! -r "$keys" ] || key=("signed-by=$keys")
            mirror=("deb [${key[*]}] $ubuntu $2 main universe")
            ;;
    esac
    mkdir -p "$1"
    mount -t tmpfs -o size=3g,mode=755 system "$1"
    mmdebstrap --quiet --variant=apt --include="ca-certificates${3:+,$3}" "$2" "$1" "${mirror[@]}"
    mkdir -p "$1/mnt/clone"
    truncate -s 3G "$scratch/disk"
    mkfs.ext4 -q -F "$scratch/disk"
    mount -o loop "$scratch/disk" "$1/mnt/clone"
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    enter "$1" apt-get -qq update
}

install_deb() { # ROOT REVISION
    cp "$out/counterpart_$version-$2_$architecture.deb" "$1/tmp/counterpart.deb"
    enter "$1" apt-get -qq -y --no-install-recommends -o APT::Sandbox::User=root install /tmp/counterpart.deb
    is revision "$version-$2" "$(enter "$1" dpkg-query -W -f '${Version}' counterpart)"
    rm "$1/tmp/counterpart.deb"
}

clone_there() { # ROOT
    enter "$1" counterpart run nightly
    exists "$1/mnt/clone/.me.jedda.counterpart.completed"
    enter "$1" counterpart check -d /mnt/clone
}

deb_in() { # SUITE
    local root=$scratch/system state log
    new_system "$root" "$1"
    is_gone "$root/etc/counterpart"
    install_deb "$root" 1
    is "mode of /etc/counterpart" "755 root root" "$(stat -c '%a %U %G' "$root/etc/counterpart")"
    matches version "^counterpart $version \\(([0-9a-f]{12} )?$target-gnu\\)$" "$(enter "$root" counterpart --version)"
    exists "$root"/usr/share/man/man8/counterpart.8.gz "$root"/usr/share/bash-completion/completions/counterpart \
        "$root"/usr/share/doc/counterpart/examples/nightly.toml

    # A job, and the clone that it makes of this system.
    enter "$root" counterpart job init nightly -- -s / -d /mnt/clone
    clone_there "$root"
    diff -r --no-dereference "$root/usr/share/doc" "$root/mnt/clone/usr/share/doc"
    is "owner of the clone's /etc/shadow" "$(stat -c '%a %u %g' "$root/etc/shadow")" \
        "$(stat -c '%a %u %g' "$root/mnt/clone/etc/shadow")"
    state=$(echo "$root"/var/lib/counterpart/*.json)
    log=$(echo "$root"/var/log/counterpart/Counterpart_*)
    exists "$state" "$log"

    # An upgrade asks nothing and changes nothing of that.
    cp "$root/etc/counterpart/nightly.toml" "$state" "$scratch/"
    echo "Changed here." >>"$root/etc/counterpart/README"
    install_deb "$root" 2
    cmp "$scratch/nightly.toml" "$root/etc/counterpart/nightly.toml"
    cmp "$scratch/${state##*/}" "$state"
    grep -qx 'Changed here.' "$root/etc/counterpart/README"
    clone_there "$root"

    # Removed, all is left but the program; installed again, it goes on.
    schedule "$root" clone /usr/sbin/counterpart
    matches "what is said" 'the schedule clone stays' "$(enter "$root" dpkg --remove counterpart)"
    is_gone "$root/usr/sbin/counterpart" "$root/usr/lib/systemd/system/counterpart@.service"
    exists "$state" "$log" "$root"/etc/counterpart/{nightly.toml,README} "$root"/etc/systemd/system/counterpart-clone.{service,timer}
    install_deb "$root" 2
    clone_there "$root"

    # Purged, what the package made is gone, and jobs and clones are not.
    schedule "$root" other /usr/local/sbin/counterpart
    ln -s /usr/lib/systemd/system/counterpart@.timer "$root/etc/systemd/system/timers.target.wants/counterpart@nightly.timer"
    enter "$root" dpkg --purge counterpart
    exists "$root/etc/counterpart/nightly.toml" "$root/mnt/clone/.me.jedda.counterpart.completed" \
        "$root"/etc/systemd/system/counterpart-other.{service,timer} \
        "$root/etc/systemd/system/timers.target.wants/counterpart-other.timer"
    is_gone "$root"/etc/counterpart/README "$root"/var/{lib,log}/counterpart \
        "$root"/etc/systemd/system/counterpart-clone.{service,timer} \
        "$root"/etc/systemd/system/timers.target.wants/counterpart{-clone,@nightly}.timer

    # Without jobs its directory goes too.
    rm "$root/etc/counterpart/nightly.toml"
    install_deb "$root" 1
    enter "$root" dpkg --purge counterpart
    is_gone "$root/etc/counterpart"
}

# The files that `counterpart schedule install` writes, where no systemd runs.
schedule() { # ROOT NAME PROGRAM
    local units=$1/etc/systemd/system
    mkdir -p "$units/timers.target.wants"
    printf '# Written by counterpart schedule.\n[Service]\nExecStart=%s -s / -d /mnt/clone\n' "$3" >"$units/counterpart-$2.service"
    printf '# Written by counterpart schedule.\n[Timer]\nOnCalendar=daily\n' >"$units/counterpart-$2.timer"
    ln -s "../counterpart-$2.timer" "$units/timers.target.wants/counterpart-$2.timer"
}

# --- a system that is booted, in a container: what the package does to units

booted() { # SUITE
    local root=$scratch/system results=$scratch/results
    mkdir -p "$results" "$scratch/mounted"
    new_system "$root" "$1" systemd-sysv,dbus
    umount "$root/mnt/clone"
    install_deb "$root" 1
    cp packaging/booted.sh packaging/new-user.sh "$out/counterpart_$version-2_$architecture.deb" "$root/root/"
    cat >"$root/etc/systemd/system/booted.service" <<'EOF'
[Unit]
Wants=dbus.socket systemd-logind.service timers.target
After=dbus.socket systemd-logind.service timers.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/bash /root/booted.sh
TimeoutStartSec=500
EOF
    umount -R "$root/proc" "$root/dev"
    mount -o loop "$scratch/disk" "$scratch/mounted"
    timeout -k 5 600 unshare --mount bash -c '
        set -eu
        mount -t tmpfs tmpfs /run
        if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
            umount -R /sys/fs/cgroup
            mount -t cgroup2 none /sys/fs/cgroup
        fi
        # Groups of its own: the hierarchy is the machine'"'"'s.
        group=/sys/fs/cgroup/counterpart-packages-$$
        home=/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup)
        mkdir "$group"
        echo $$ >"$group/cgroup.procs"
        leave() { echo $$ >"$home/cgroup.procs"; find "$group" -depth -type d -exec rmdir {} +; }
        trap leave EXIT
        mkdir -p /run/systemd/system
        systemd-nspawn --quiet --directory="$1" --machine="counterpart-packages-$$" --bind="$2:/mnt/clone" --bind="$3:/results" \
            --register=no --keep-unit --console=read-only --private-network --boot systemd.unit=booted.service
        ' - "$root" "$scratch/mounted" "$results" >"$scratch/console" 2>&1 || true
    cat "$scratch/console" "$results/log"
    exists "$results/mail" "$results/done" "$scratch/mounted/.me.jedda.counterpart.completed"
}

# --- an empty root: this program, rsync and its libraries, /proc and /dev/null, and no more

static_runs_alone() {
    local root=$scratch/alone dir=$scratch/unpacked library
    mkdir -p "$root"/{usr/sbin,usr/bin,dev,proc,source,clone} "$dir"
    tar -xzf "$out/counterpart-$version-$target-musl.tar.gz" -C "$dir"
    dir=$dir/counterpart-$version-$target-musl
    exists "$dir"/{README.md,INSTALL.md,LICENSE,docs/guide.md,examples/nightly.toml,man/man8/counterpart.8.gz} \
        "$dir"/completions/{counterpart.bash,_counterpart,counterpart.fish}
    is "libraries" "" "$(readelf -d "$dir/counterpart" | grep NEEDED || true)"
    cp "$dir/counterpart" "$root/usr/sbin/"
    cp "$(command -v rsync)" "$root/usr/bin/rsync"
    for library in $(ldd "$(command -v rsync)" | grep -o '/[^ ]*'); do
        mkdir -p "$root${library%/*}"
        cp "$library" "$root$library"
    done
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mknod -m 666 "$root/dev/null" c 1 3
    mount -t tmpfs clone "$root/clone"
    cp -a docs "$root/source/"
    ln "$root/source/docs/guide.md" "$root/source/hard"
    ln -s nowhere "$root/source/soft"
    truncate -s 1M "$root/source/holes"
    chown 1234:5678 "$root/source/hard"
    matches version "^counterpart $version \\(([0-9a-f]{12} )?$target-musl\\)$" \
        "$(enter "$root" /usr/sbin/counterpart --version)"
    enter "$root" /usr/sbin/counterpart -s /source -d /clone
    exists "$root/clone/.me.jedda.counterpart.completed"
    rsync -aHAXn --delete --itemize-changes --exclude '/.me.jedda.*' "$root/source/" "$root/clone/" >"$scratch/differences"
    is differences "" "$(cat "$scratch/differences")"
    enter "$root" /usr/sbin/counterpart check -d /clone
}

# ---

[ "$(id -u)" = 0 ] || die "this needs root"
if [ -z "${COUNTERPART_TEST_NAMESPACE:-}" ]; then
    COUNTERPART_TEST_NAMESPACE=yes exec unshare --mount --propagation private "$0" "$@"
fi
scratch=$(mktemp -d)
trap at_exit EXIT
build=yes
if [ "${1:-}" = --built ]; then
    build=no
    shift
fi
[ $# = 0 ] || suites=("$@")
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} != 0 ]; then
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "${missing[@]}" </dev/null
fi

export COUNTERPART_MAINTAINER=${COUNTERPART_MAINTAINER:-Packaging Test <packaging@example.org>}
if [ $build = yes ]; then
    packaging/build.sh deb rpm static source
fi
# The next revision, to upgrade to.
[ -e "$out/counterpart_$version-2_$architecture.deb" ] && [ $build = no ] || COUNTERPART_REVISION=2 packaging/build.sh deb

check "lintian" lintian_is_silent
check "rpm" rpm_is_complete
check "static, in an empty root" static_runs_alone
for suite in "${suites[@]}"; do
    check "deb in $suite: install, clone, upgrade, remove, purge" deb_in "$suite"
done
check "deb in a booted trixie: a new user, units, schedules, purge" booted trixie
check "formulas" formulas_are_filled
[ $build = no ] || check "the source archive builds the same" the_source_builds_the_same

printf '\n'
printf '%s\n' "${results[@]}"
[ $failed = no ]
