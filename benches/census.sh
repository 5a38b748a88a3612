#!/usr/bin/env bash
# Compares the census with bare rsync's run in which nothing has changed, in turns, and prints medians. Needs root; see README.md.
# Usage: benches/census.sh [ROUNDS [FILES]]   (9 and 150000 by default)
set -euo pipefail
export LC_ALL=C

rounds=${1:-9}
files=${2:-150000}
die() { printf 'census: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "run this as root"
for number in "$rounds" "$files"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die "usage: benches/census.sh [ROUNDS [FILES]]"
done
for tool in rsync python3 cargo; do command -v "$tool" >/dev/null || die "$tool is missing"; done

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
census=$(cargo bench --locked --quiet --no-run --bench census --message-format json |
    python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "bench" in message.get("target", {}).get("kind", []): print(message["executable"])')
[ -x "$census" ] || die "cargo built no executable"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

python3 - "$census" "$(command -v rsync)" "$scratch" "$rounds" "$files" <<'END'
import os, resource, statistics, subprocess, sys, time

census, rsync, scratch = sys.argv[1:4]
rounds, files = map(int, sys.argv[4:6])
source, destination = f"{scratch}/source", f"{scratch}/destination"
# What a clone of one filesystem as root is given, without what only changes how it is logged.
options = ["--archive", "--delete", "--delete-excluded", "--hard-links", "--numeric-ids", "--one-file-system", "--sparse",
           "--acls", "--xattrs", "--open-noatime", "--modify-window=-1", "--stats"]


def run(command):
    """Wall seconds, CPU seconds with all children, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True).stdout
    wall = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


for number in range(files):
    directory = f"{source}/{number // 20000:03}/{number // 200 % 100:02}"
    if number % 200 == 0:
        os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/file {number}", "wb") as file:
        file.write(b"x" * (number * 7919 % 8192))
clone = [rsync, *options, "--", f"{source}/", f"{destination}/"]
run(clone)

found = {}
for temperature in ["warm", "cold"]:
    for turn in range(rounds):
        for name in ["rsync", "census"] if turn % 2 else ["census", "rsync"]:
            os.sync()
            if temperature == "cold":
                with open("/proc/sys/vm/drop_caches", "w") as caches:
                    caches.write("3")
            wall, cpu, out = run(clone if name == "rsync" else [census, source])
            if name == "census":
                wall, entries = float(out.split()[0]), int(out.split()[1])
            else:
                entries = int(next(line for line in out.splitlines() if line.startswith("Number of files:"))
                              .split()[3].replace(",", ""))
            found.setdefault((temperature, name), []).append((wall, cpu, entries))
            if name == "census":
                # What rsync takes when the census has just read what it needs.
                after, more, _ = run(clone)
                found.setdefault((temperature, "both"), []).append((wall + after, cpu + more, entries))
    print(f"{temperature}: {rounds} rounds done", file=sys.stderr)

counts = {entries for values in found.values() for _, _, entries in values}
if len(counts) != 1:
    sys.exit(f"rsync and the census do not count alike: {counts}")
print(f"{counts.pop()} entries, {rounds} rounds; medians, and the medians of the ratios to rsync within a round")
print(f"{'caches':8} {'':18} {'wall s':>8} {'CPU s':>8} {'ratio: wall':>12} {'CPU':>6}")
for temperature in ["warm", "cold"]:
    theirs = found[temperature, "rsync"]
    for name, title in [("rsync", "rsync"), ("census", "census"), ("both", "census, then rsync")]:
        ours = found[temperature, name]
        wall, cpu = (statistics.median(value[part] for value in ours) for part in (0, 1))
        ratio = [statistics.median(a[part] / b[part] for a, b in zip(ours, theirs)) for part in (0, 1)]
        ratios = "" if name == "rsync" else f"{ratio[0]:12.3f} {ratio[1]:6.3f}"
        print(f"{temperature:8} {title:18} {wall:8.3f} {cpu:8.3f} {ratios}")
END
