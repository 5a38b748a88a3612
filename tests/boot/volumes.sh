#!/bin/bash
# Runs in a guest, whose kernel has device-mapper: snapshots of logical volumes, and disks with blocks that cannot be read.
# The product is beside it. Prints "ok NAME", or what is wrong.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
product=$PWD/counterpart
now= failed=

begin() { now=$1 failed=; }
wrong() { failed=yes; echo "WRONG $now: $*"; }
is() { [ "$1" = "$2" ] || wrong "$3: $1 instead of $2"; }
says() { grep -qF -- "$1" /root/out || { wrong "no line: $1"; cat /root/out; }; }
end() {
    is "$(lvs --noheadings -o lv_name | grep -c counterpart-)" 0 "snapshots that are left"
    [ -n "$failed" ] || echo "ok $now"
}

# Runs the product: its code is $code, and what it says is in /root/out.
run() {
    "$product" -s /srv -d /mnt/clone --rsync /root/rsync "$@" >/root/out 2>&1
    code=$?
}
start() {
    "$product" -s /srv -d /mnt/clone --rsync /root/rsync "$@" >/root/out 2>&1 &
    job=$!
}
# Until rsync is at work, which waits as long as /root/hold is there.
until_it_copies() {
    for _ in $(seq 600); do
        [ ! -e /root/held ] || return
        sleep 0.1
    done
    wrong "rsync was not started"
}
# Other filesystems at both ends, which nobody remembers.
fresh() { # fresh MKFS...
    rm -rf /var/lib/counterpart
    umount /srv 2>/dev/null
    "$@" >/root/mkfs 2>&1 || wrong "$(cat /root/mkfs)"
    mount /dev/vg/source /srv
    mkdir -p /srv/dir/below
    for name in a b c; do head -c 300000 /dev/urandom >"/srv/$name"; done
    echo below >/srv/dir/below/file
    : >/srv/late
    umount /mnt/clone 2>/dev/null
    mkfs.ext4 -q -F -b 4096 /dev/vdd
    mount /dev/vdd /mnt/clone
}

# It changes the source before each start of the real one.
cat >/root/rsync <<'END'
#!/bin/bash
echo late >>/srv/late
case "$*" in
*--version* | *--help*) ;;
*)
    if [ -e /root/hold ]; then
        : >/root/held
        while [ -e /root/hold ]; do sleep 0.1; done
    fi
    ;;
esac
exec /usr/bin/rsync "$@"
END
chmod 755 /root/rsync
mkdir -p /srv /mnt/clone
{
    modprobe -a dm_snapshot dm_thin_pool xfs
    pvcreate -q /dev/vdc
    vgcreate -q vg /dev/vdc
    lvcreate -q -y -Wn -L 320M -n source vg
} >/dev/null || echo "WRONG: no volume"

begin thick
fresh mkfs.ext4 -q -F /dev/vg/source
run --snapshot require
is $code 0 code
says "The clone is made from a snapshot of /srv (LVM, with room for 64.00 MiB)."
[ "$(wc -l </mnt/clone/late)" -lt "$(wc -l </srv/late)" ] || wrong "the clone has what came after the snapshot"
cmp -s /srv/a /mnt/clone/a || wrong "another file"
is "$(stat -c %Y%a /srv/dir/below)" "$(stat -c %Y%a /mnt/clone/dir/below)" "another directory"
end

begin never
run --snapshot never
is $code 0 code
is "$(wc -l </mnt/clone/late)" "$(wc -l </srv/late)" "lines of a living source"
end

begin directory
"$product" -s /srv/dir -d /mnt/clone --rsync /root/rsync --snapshot require --adopt --allow-shrink >/root/out 2>&1
is $? 0 code
says "The clone is made from a snapshot of /srv/dir (LVM"
is "$(cat /mnt/clone/below/file)" below contents
[ ! -e /mnt/clone/a ] || wrong "more than the directory"
end

begin overflow
fresh mkfs.ext4 -q -F /dev/vg/source
touch /root/hold
start --snapshot require --snapshot-size 4M
until_it_copies
head -c 20000000 /dev/urandom >/srv/much
sync
rm -f /root/hold /root/held
wait $job
is $? 71 code
says "The snapshot of the source /srv was lost during the clone: more was written there meanwhile than it has room for."
[ ! -e /mnt/clone/.me.jedda.counterpart.completed ] || wrong "it looks complete"
rm /srv/much
end
run --snapshot require
is $code 0 "code of the next run"

begin killed
touch /root/hold
# So that the run is no quick one that needs no rsync.
echo more >>/srv/a
start --snapshot require
until_it_copies
kill -9 $job
wait $job 2>/dev/null
is "$(lvs --noheadings -o lv_name,lv_tags | grep -c 'counterpart-.* counterpart')" 1 "snapshots that a killed run leaves"
rm -f /root/hold /root/held
# Another's, and one that only has such a name.
lvcreate -q -y -s -L 4M -n mine --addtag counterpart vg/source >/dev/null
lvcreate -q -y -s -L 4M -n counterpart_0 vg/source >/dev/null
run --snapshot never
is $code 0 code
says " of a run that was killed."
is "$(lvs --noheadings -o lv_name | tr -d ' ' | sort | tr '\n' ' ')" "counterpart_0 mine source " "volumes"
lvremove -q -y vg/mine vg/counterpart_0 >/dev/null
end

begin interrupted
touch /root/hold
echo more >>/srv/a
start --snapshot require
until_it_copies
kill -INT $job
wait $job
is $? 20 code
rm -f /root/hold /root/held
end

begin short
lvcreate -q -y -Wn -l 100%FREE -n rest vg >/dev/null
run --snapshot require
is $code 77 code
says "the volume group vg has 0 B free, and its snapshot is to have 64.00 MiB"
lvremove -q -y vg/rest >/dev/null
end

begin xfs
fresh mkfs.xfs -q -f /dev/vg/source
run --snapshot require
is $code 0 code
cmp -s /srv/b /mnt/clone/b || wrong "another file"
end

begin thin
umount /srv
lvremove -q -y vg/source >/dev/null
lvcreate -q -y -T -L 200M vg/pool >/dev/null 2>&1
lvcreate -q -y -V 320M -T vg/pool -n source >/dev/null 2>&1
fresh mkfs.ext4 -q -F /dev/vg/source
run --snapshot require
is $code 0 code
says "The clone is made from a snapshot of /srv (LVM, in the thin pool vg/pool)."
[ "$(wc -l </mnt/clone/late)" -lt "$(wc -l </srv/late)" ] || wrong "the clone has what came after the snapshot"
end

# A device on which the first block of this file cannot be read, instead of $1, mounted on $2.
spoil() {
    local device=$1 point=$2 file=$3 block size
    umount "$point"
    block=$(debugfs -R "bmap /$file 0" "$device" 2>/dev/null)
    size=$(blockdev --getsz "$device")
    local at=$((block * 8))
    dmsetup create bad <<END
0 $at linear $device 0
$at 8 error
$((at + 8)) $((size - at - 8)) linear $device $((at + 8))
END
    mount /dev/mapper/bad "$point"
}
mend() { umount "$1" && dmsetup remove bad && mount "$2" "$1"; }

begin unreadable-copy
umount /srv
lvremove -q -y vg/source vg/pool >/dev/null 2>&1
lvcreate -q -y -Wn -L 320M -n source vg >/dev/null
fresh mkfs.ext4 -q -F -b 4096 /dev/vg/source
run --hashes both
is $code 0 code
spoil /dev/vdd /mnt/clone b
for more in "" --alone; do
    "$product" verify -d /mnt/clone $more >/root/out 2>&1
    is $? 75 "code $more"
    says "Damaged: b: it cannot be read: Input/output error, at offset 0."
    says "1 damaged, "
done
mend /mnt/clone /dev/vdd
end

begin unreadable-source
spoil /dev/vg/source /srv b
"$product" verify -d /mnt/clone --repair >/root/out 2>&1
is $? 65 code
says "Not compared: b (source): Input/output error, at offset 0."
cmp -s /mnt/clone/b <(debugfs -R "cat /b" /dev/vg/source 2>/dev/null) || wrong "the good copy was touched"
mend /srv /dev/vg/source
end
