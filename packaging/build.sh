#!/usr/bin/env bash
# Builds packages of this machine's architecture in target/packages.
# Usage: packaging/build.sh [deb] [rpm] [static] [source] [formulas]    (all but formulas if none is named)
#
# COUNTERPART_MAINTAINER   who packages, "NAME <MAILBOX>"; CONTRIBUTING.md, "Packages"
# COUNTERPART_REVISION     the package's revision of this version, 1 if unset
# COUNTERPART_URL, COUNTERPART_HOMEPAGE    where the source archive and the project will be, for formulas
set -euo pipefail
export LC_ALL=C
umask 022

# What makes the packages, of these very versions.
cargo_deb=3.8.0
cargo_generate_rpm=0.21.1

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
out=target/packages
stage=$out/stage
gnu=$(uname -m)-unknown-linux-gnu
musl=$(uname -m)-unknown-linux-musl
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
revision=${COUNTERPART_REVISION:-1}
maintainer=${COUNTERPART_MAINTAINER:-Nobody yet <set-COUNTERPART_MAINTAINER@example.invalid>}

say() { printf 'build: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }
need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || die "$1 is missing (Debian's package $2)"
}

# The commit and its time: git's in a clean working tree, those in an exported one, else none.
origin() {
    local commit='' time=''
    if [ -e .git ]; then
        read -r commit time <<<"$(git log -1 --format='%H %ct')"
        [ -z "$(git status --porcelain)" ] || { say "the working tree has changes: no commit is named"; commit=none; }
    elif ! grep -q Format packaging/commit; then
        read -r commit time <packaging/commit
    fi
    export COUNTERPART_COMMIT=${COUNTERPART_COMMIT-$commit}
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-${time:-$(stat -c %Y Cargo.lock)}}
}

# No path of this machine gets into the program, so that another one builds the same.
compile() { # TARGET
    local home=${CARGO_HOME:-$HOME/.cargo} separator=$'\x1f'
    local flags=(--remap-path-prefix="$home"=/cargo --remap-path-prefix="$PWD"=/counterpart)
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$separator; echo "${flags[*]}") \
        CFLAGS="-ffile-prefix-map=$home=/cargo -ffile-prefix-map=$PWD=/counterpart" CARGO_TARGET_DIR=$out \
        cargo build --locked --release --bin counterpart --target "$1"
}

tool() { # CRATE VERSION ARGUMENT…
    if ! grep -qs "^\"$1 $2 " "$out/tools/.crates.toml"; then
        # Used once: no time is spent on making them fast.
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            cargo install --locked --root "$out/tools" --version "$2" "$1" "${@:3}"
    fi
    PATH=$PWD/$out/tools/bin:$PATH
}

# Everything that is installed beside the program, as it will lie on the system.
fill_stage() {
    local program=$out/$1/release/counterpart share=$stage/usr/share doc=$stage/usr/share/doc/counterpart
    rm -rf "$stage"
    mkdir -p "$stage"/{etc/counterpart,usr/lib/systemd/system} "$doc"/{docs,examples} \
        "$share"/{man,bash-completion/completions,fish/vendor_completions.d} \
        "$stage"/deb/usr/share/{zsh/vendor-completions,lintian/overrides} "$stage"/rpm/usr/share/{zsh/site-functions,licenses/counterpart}
    cp packaging/etc/README "$stage/etc/counterpart/"
    cp packaging/systemd/* "$stage/usr/lib/systemd/system/"
    "$program" generate man --dir "$share/man"
    "$program" generate bash >"$share/bash-completion/completions/counterpart"
    "$program" generate fish >"$share/fish/vendor_completions.d/counterpart.fish"
    "$program" generate zsh >"$stage/deb/usr/share/zsh/vendor-completions/_counterpart"
    "$program" generate zsh >"$stage/rpm/usr/share/zsh/site-functions/_counterpart"
    cp packaging/debian/lintian-overrides "$stage/deb/usr/share/lintian/overrides/counterpart"
    cp LICENSE "$stage/rpm/usr/share/licenses/counterpart/"
    cp README.md INSTALL.md SCHEDULING.md SECURITY.md "$doc/"
    cp docs/*.md docs/*.svg "$doc/docs/"
    find examples -maxdepth 1 -type f ! -name '*.plist' -exec cp {} "$doc/examples/" \;
    # What a package installs is in /usr/sbin. These two also say how to install from source.
    find "$doc" -type f ! -name README.md ! -name INSTALL.md \
        -exec sed -i 's|/usr/local/sbin/counterpart|/usr/sbin/counterpart|g' {} +
    cp CHANGELOG.md "$doc/changelog"
    packaging/notices.py "$1" >"$doc/third-party.txt"
    gzip -9n "$share"/man/man?/* "$doc"/{changelog,third-party.txt}
    find "$stage" -type f -exec chmod 644 {} +
    find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

build_deb() {
    need dpkg-shlibdeps dpkg-dev
    need xz xz-utils
    # It calls xz.
    tool cargo-deb $cargo_deb --no-default-features
    compile "$gnu"
    fill_stage "$gnu"
    cat >"$out/changelog.Debian" <<EOF
counterpart ($version-$revision) unstable; urgency=medium

  * Version $version; changelog.gz says what is new in it.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF
    CARGO_TARGET_DIR=$out cargo deb --no-build --target "$gnu" --deb-revision "$revision" --maintainer "$maintainer" \
        --output "$out/"
}

build_rpm() {
    tool cargo-generate-rpm $cargo_generate_rpm
    compile "$gnu"
    fill_stage "$gnu"
    CARGO_TARGET_DIR=$out cargo generate-rpm --target "$gnu" --set-metadata "release = \"$revision\"" \
        --auto-req builtin --output "$out/"
}

# The standard library for musl: rustup has it, and nothing else is asked.
build_static() {
    need musl-gcc musl-tools
    if ! compgen -G "$(rustc --print target-libdir --target "$musl")/libstd-*.rlib" >/dev/null; then
        need rustup rustup
        rustup target add "$musl"
    fi
    export "CC_${musl//-/_}=musl-gcc"
    compile "$musl"
    fill_stage "$musl"
    local name=counterpart-$version-$musl
    rm -rf "${out:?}/$name"
    mkdir -p "$out/$name"
    cp "$out/$musl/release/counterpart" "$out/$name/"
    cp -r "$stage/usr/share/doc/counterpart/." "$out/$name/"
    cp -r LICENSE "$stage/usr/share/man" "$out/$name/"
    mkdir "$out/$name/completions"
    cp "$stage/usr/share/bash-completion/completions/counterpart" "$out/$name/completions/counterpart.bash"
    cp "$stage/usr/share/fish/vendor_completions.d/counterpart.fish" "$stage"/rpm/usr/share/zsh/site-functions/_counterpart \
        "$out/$name/completions/"
    # The tarball is unpacked by hand, and its program installed where INSTALL.md says.
    find "$out/$name" -type f -name '*.md' -o -path '*/examples/*' -type f | while IFS= read -r file; do
        sed -i 's|/usr/sbin/counterpart|/usr/local/sbin/counterpart|g' "$file"
    done
    pack "$out/$name.tar.gz" -C "$out" "$name"
    rm -rf "${out:?}/$name"
}

pack() { # ARCHIVE ARGUMENT…
    local archive=$1
    shift
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$@" | gzip -9n >"$archive"
}

build_source() {
    need git git
    [ -e .git ] || die "only a clone by git can be exported"
    git archive --prefix="counterpart-$version/" HEAD | gzip -9n >"$out/counterpart-$version.tar.gz"
}

# The formula of Homebrew and the PKGBUILD of the AUR, once the address of the source archive is known.
build_formulas() {
    local archive=$out/counterpart-$version.tar.gz sum file
    [ -n "${COUNTERPART_URL:-}" ] || die "COUNTERPART_URL is not set: the address of counterpart-$version.tar.gz"
    [ -n "${COUNTERPART_HOMEPAGE:-}" ] || die "COUNTERPART_HOMEPAGE is not set: the address of the project"
    [ -f "$archive" ] || build_source
    sum=$(sha256sum "$archive" | cut -d ' ' -f 1)
    for file in homebrew/counterpart.rb aur/PKGBUILD; do
        sed -e "s|@VERSION@|$version|g" -e "s|@URL@|$COUNTERPART_URL|g" -e "s|@SHA256@|$sum|g" \
            -e "s|@HOMEPAGE@|$COUNTERPART_HOMEPAGE|g" -e "s|@MAINTAINER@|$maintainer|g" \
            "packaging/$file" >"$out/${file##*/}"
        ! grep -n '@[A-Z0-9]\{3,\}@' "$out/${file##*/}" || die "$file holds a marker that is not known"
    done
}

need gzip gzip
need python3 python3
mkdir -p "$out"
origin
[ $# != 0 ] || set -- deb rpm static source
for what in "$@"; do
    case $what in
        deb | rpm | static | source | formulas) "build_$what" ;;
        *) die "what is $what?" ;;
    esac
done
ls -l "$out" | grep -E '\.(deb|rpm|gz|rb)$|PKGBUILD' || true
