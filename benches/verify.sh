#!/usr/bin/env bash
# Compares counterpart verify with reading both sides by cat, in turns, and prints medians. Needs root; see README.md.
# Usage: benches/verify.sh [ROUNDS [FILES [SIZE]]]   (7, 4000 and 1 MiB by default; SIZE is the average of a file, in KiB)
set -euo pipefail
export LC_ALL=C

rounds=${1:-7}
files=${2:-4000}
size=${3:-1024}
die() { printf 'verify: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "run this as root"
for number in "$rounds" "$files" "$size"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die "usage: benches/verify.sh [ROUNDS [FILES [SIZE]]]"
done
for tool in rsync python3 cargo; do command -v "$tool" >/dev/null || die "$tool is missing"; done

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
cargo build --release --locked --quiet --bin counterpart
target=$(cargo metadata --format-version 1 --no-deps --locked |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

python3 - "$target/release/counterpart" "$scratch" "$rounds" "$files" "$size" <<'END'
import os, statistics, subprocess, sys, time

counterpart, scratch = sys.argv[1:3]
rounds, files, size = map(int, sys.argv[3:6])
source, destination = f"{scratch}/source", f"{scratch}/destination"
block = os.urandom(1 << 20)

for number in range(files):
    directory = f"{source}/{number // 200:03}"
    os.makedirs(directory, exist_ok=True)
    left = number * 7919 % (2 * size) * 1024
    with open(f"{directory}/file {number}", "wb") as file:
        file.write(number.to_bytes(8, "little"))
        while left > 0:
            file.write(block[:left])
            left -= len(block)
os.mkdir(destination)
# What was changed in the second in which the clone began would be read, and called changed.
time.sleep(2)
subprocess.run([counterpart, "-q", "-s", source, "-d", destination, "--log-dir", f"{scratch}/logs"], check=True)
os.sync()

# Both sides at once, as verify reads them.
read = 'find "$1" -type f -print0 | xargs -0 cat >/dev/null & find "$2" -type f -print0 | xargs -0 cat >/dev/null; wait'
variants = {
    "cat": ["/bin/sh", "-c", read, "sh", source, destination],
    "counterpart verify": [counterpart, "verify", "-d", destination],
}


def measure(command, cold):
    if cold:
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("3")
    begin = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} ended with status {status}")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime


print(f"{files} files of {size} KiB on average, {rounds} rounds; medians, and medians of the ratios within a round")
print(f"{'caches':8} {'variant':20} {'wall s':>8} {'CPU s':>8}   {'cat to it: wall':>16}")
for cold in (False, True):
    found = {name: [] for name in variants}
    for turn in range(rounds):
        names = list(variants)
        for name in names[turn % 2:] + names[:turn % 2]:
            found[name].append(measure(variants[name], cold))
    for name in variants:
        wall, cpu = (statistics.median(values) for values in zip(*found[name]))
        ratio = statistics.median(a[0] / b[0] for a, b in zip(found["cat"], found[name]))
        print(f"{'cold' if cold else 'warm':8} {name:20} {wall:8.2f} {cpu:8.2f}   {ratio:16.3f}")
END
