#!/usr/bin/env bash
# Compares counterpart with bare rsync under the same options, in turns, and prints medians. Needs root; see README.md.
# Usage: benches/against-rsync.sh [ROUNDS [FILES [warm|cold [others]]]]
#   (7 and 150000 by default; cold drops the caches before each run; others measures further tools, where installed)
set -euo pipefail
export LC_ALL=C

rounds=${1:-7}
files=${2:-150000}
caches=${3:-warm}
others=${4:-}
die() { printf 'against-rsync: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "run this as root"
for number in "$rounds" "$files"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die "usage: benches/against-rsync.sh [ROUNDS [FILES [warm|cold [others]]]]"
done
for tool in rsync python3 cargo; do command -v "$tool" >/dev/null || die "$tool is missing"; done

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
cargo build --release --locked --quiet --bin counterpart
target=$(cargo metadata --format-version 1 --no-deps --locked |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

python3 - "$target/release/counterpart" "$(command -v rsync)" "$scratch" "$rounds" "$files" "$caches" "$others" <<'EOF'
import os, shutil, statistics, subprocess, sys, threading, time

counterpart, rsync, scratch = sys.argv[1:4]
rounds, files = map(int, sys.argv[4:6])
cold = sys.argv[6] == "cold"
with_others = sys.argv[7] == "others"
source = f"{scratch}/source"


def path(number):
    return f"{source}/{number // 20000:03}/{number // 200 % 100:02}/file {number}"


def write(number, mark):
    # As on a system: mostly below 8 KiB, and now and then 256 KiB.
    words = 32768 if number % 1000 == 0 else number * 7919 % 1024
    with open(path(number), "wb") as file:
        file.write((number * 1000 + mark).to_bytes(8, "little") * words)


def measure(command, wrapper):
    """Wall and CPU seconds with all children, and the peak of the wrapper alone in KiB."""
    peak = 0

    def watch(pid, ended):
        nonlocal peak
        while not ended.wait(0.02):
            try:
                with open(f"/proc/{pid}/status") as status:
                    peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("VmHWM")])
            except OSError:
                return

    ended = threading.Event()
    begin = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    watcher = threading.Thread(target=watch, args=(child.pid, ended))
    if wrapper:
        watcher.start()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    ended.set()
    if wrapper:
        watcher.join()
    if status != 0:
        sys.exit(f"{command[0]} ended with status {status}")
    return wall, usage.ru_utime + usage.ru_stime, peak


def learn_options():
    """The options that counterpart gives, noted by an rsync that passes them on."""
    noting, noted = f"{scratch}/noting", f"{scratch}/options"
    with open(noting, "w") as script:
        script.write(f"""#!/bin/sh
case "$*" in *--stats*) printf '%s\\0' "$@" >'{noted}' ;; esac
exec '{rsync}' "$@"
""")
    os.chmod(noting, 0o755)
    os.makedirs(f"{scratch}/small/source")
    os.makedirs(f"{scratch}/small/destination")
    open(f"{scratch}/small/source/file", "w").close()
    subprocess.run([counterpart, "-s", f"{scratch}/small/source", "-d", f"{scratch}/small/destination",
                    "--log-dir", f"{scratch}/logs", "--rsync", noting], check=True, stdout=subprocess.DEVNULL)
    with open(noted, "rb") as options:
        arguments = os.fsdecode(options.read()).split("\0")[:-1]
    # Nobody asks a bare rsync for a list of changes.
    return [argument for argument in arguments[:arguments.index("--")] if not argument.startswith("--out-format")]


options = learn_options()
variants = {
    "rsync": lambda to: [rsync, *options, "--", f"{source}/", f"{to}/"],
    # What counterpart promises too: the clone is on the disk.
    "rsync, sync -f": lambda to: ["/bin/sh", "-c", 'sync=$1; shift; "$@" && sync -f "$sync"', "sh", to,
                                  rsync, *options, "--", f"{source}/", f"{to}/"],
    "counterpart": lambda to: [counterpart, "-s", source, "-d", to, "--log-dir", f"{scratch}/logs",
                               "--rsync", rsync],
}

# What each has to do once before its first clone, which is not measured.
prepared = {}
# Whether it has a run for a clone that is there already.
updates = {}
if with_others:
    os.environ |= {"RESTIC_PASSWORD": "benchmark", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
                   "HOME": f"{scratch}/home", "XDG_CACHE_HOME": f"{scratch}/home/cache"}
    os.makedirs(f"{scratch}/home")
    variants["cp -a"] = lambda to: ["cp", "-a", f"{source}/.", to]
    updates["cp -a"] = False
    if shutil.which("rclone"):
        variants["rclone sync"] = lambda to: ["rclone", "sync", "--links", "--create-empty-src-dirs", source, to]
    if shutil.which("restic"):
        variants["restic backup"] = lambda to: ["restic", "--quiet", "--repo", to, "backup", source]
        prepared["restic backup"] = lambda to: ["restic", "--quiet", "--repo", to, "init"]
    if shutil.which("borg"):
        variants["borg create"] = lambda to: ["borg", "create", f"{to}::{time.monotonic_ns()}", source]
        prepared["borg create"] = lambda to: ["borg", "init", "--encryption=none", to]

for number in range(files):
    if number % 200 == 0:
        os.makedirs(os.path.dirname(path(number)), exist_ok=True)
    write(number, 0)

results = {}
names = list(variants)
# One in so many files gets other contents.
shares = {"0.1% changed": 1000, "1% changed": 100, "10% changed": 10}
scenarios = ["first clone", "nothing changed", *shares, "full pass"]
for turn in range(rounds):
    order = names[turn % len(names):] + names[:turn % len(names)]
    for scenario in scenarios:
        if scenario == "first clone":
            for name in names:
                shutil.rmtree(f"{scratch}/{name}", ignore_errors=True)
                os.mkdir(f"{scratch}/{name}")
                if name in prepared:
                    subprocess.run(prepared[name](f"{scratch}/{name}"), check=True, stdout=subprocess.DEVNULL)
        if scenario in shares:
            for number in range(turn % shares[scenario], files, shares[scenario]):
                write(number, scenarios.index(scenario) * rounds + turn + 1)
        for name in order:
            if scenario != "first clone" and not updates.get(name, True):
                continue
            if scenario == "full pass" and name in prepared:
                continue
            # Nobody pays for what another one has yet to write.
            os.sync()
            if cold:
                with open("/proc/sys/vm/drop_caches", "w") as caches:
                    caches.write("3")
            command = variants[name](f"{scratch}/{name}")
            if scenario == "full pass" and name == "counterpart":
                command.append("--full")
            found = measure(command, name == "counterpart")
            results.setdefault((scenario, name), []).append(found)
    print(f"round {turn + 1} of {rounds}", file=sys.stderr)

print(f"{files} files, {rounds} rounds, {'cold' if cold else 'warm'} caches; medians, and medians of the ratios within a round")
print(f"{'':16} {'variant':16} {'wall s':>8} {'best':>8} {'CPU s':>8} {'peak KiB':>9}   {'counterpart to it: wall':>24} {'best':>6} {'CPU':>6}")
for scenario in scenarios:
    ours = results[scenario, "counterpart"]
    for name in names:
        if (scenario, name) not in results:
            continue
        theirs = results[scenario, name]
        median = [statistics.median(values) for values in zip(*theirs)]
        ratio = [statistics.median(a[part] / b[part] for a, b in zip(ours, theirs)) for part in (0, 1)]
        best, our_best = (min(wall for wall, _, _ in values) for values in (theirs, ours))
        ratios = "" if name == "counterpart" else f"{ratio[0]:24.3f} {our_best / best:6.3f} {ratio[1]:6.3f}"
        peak = f"{median[2]:9.0f}" if name == "counterpart" else " " * 9
        print(f"{scenario:16} {name:16} {median[0]:8.2f} {best:8.2f} {median[1]:8.2f} {peak}   {ratios}")
EOF
