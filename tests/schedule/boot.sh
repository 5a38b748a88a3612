# Boots this machine's own system in a container, above which all changes are held in memory, and runs a script in it.
# Called within a mount namespace of its own: DIRECTORY PRODUCT. DIRECTORY holds inside.sh and gets what that writes to /results.
set -eu
directory=$1 product=$2
mount --make-rprivate /
mount -t tmpfs tmpfs /run
# The container's systemd needs the unified hierarchy.
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 none /sys/fs/cgroup
fi
# Groups of its own, which are gone afterwards: the hierarchy is the machine's.
group=/sys/fs/cgroup/counterpart-test-$$
home=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir "$group"
echo $$ >"$group/cgroup.procs"
leave() {
    echo $$ >"$home/cgroup.procs"
    find "$group" -depth -type d -exec rmdir {} +
}
trap leave EXIT

# systemd-nspawn looks for it, even when it registers nothing.
mkdir -p /run/systemd/system

mkdir -p "$directory/changes" "$directory/root" "$directory/results"
mount -t tmpfs tmpfs "$directory/changes"
mkdir "$directory/changes/upper" "$directory/changes/work"
root=$directory/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$directory/changes/upper,workdir=$directory/changes/work" "$root"

# Nothing that this machine starts by itself is started there.
rm -rf "$root"/etc/systemd/system/*.wants "$root/etc/fstab" "$root"/etc/systemd/system/counterpart*
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
echo 'tmpfs /mnt/clone tmpfs noauto 0 0' >"$root/etc/fstab"
mkdir -p "$root/mnt/clone"
install -m 755 "$product" "$root/usr/local/sbin/counterpart"
install -m 755 "$directory/inside.sh" "$root/inside.sh"
cat >"$root/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
Wants=dbus.socket systemd-logind.service timers.target
After=dbus.socket systemd-logind.service timers.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/bash /inside.sh
StandardOutput=append:/results/inside.log
StandardError=append:/results/inside.log
TimeoutStartSec=240
UNIT
systemd-nspawn --quiet --directory="$root" --machine="counterpart-test-$$" --register=no --keep-unit \
    --console=read-only --private-network --bind="$directory/results:/results" --boot systemd.unit=inside.service
