#!/usr/bin/env bash
# Disk images for tests/boot.rs: MBR, one ext4 partition with Debian, GRUB for a BIOS.
#   image.sh tar TAR           a minimal bootable Debian, from the archive (a minute or two)
#   image.sh disk IMAGE TAR    a disk made of it (seconds)
#   image.sh guest DIR TAR     a filesystem DIR/root of it, with DIR/kernel and DIR/initrd, which runs run.sh of a tar on its
#                              second disk and writes what that says to its second serial port (seconds)
#   image.sh break HOW IMAGE   breaks a disk: no-boot-code, no-modules, no-initrd, wrong-fstab
set -euo pipefail

# Everything that is mounted here goes with this process.
[ -n "${IN_NAMESPACE-}" ] || IN_NAMESPACE=yes exec unshare --mount --propagation private "$0" "$@"

attach() {
    loop=$(losetup --find --show "$1")
    trap 'sync; umount --recursive "$root" 2>/dev/null || true; rmdir "$root"; partx -d "$loop"; losetup -d "$loop"' EXIT
    # Not -a: a test that was killed may have left partitions of the device to us.
    partx -u "$loop"
}

root=$(mktemp -d)
what=$1
shift
case $what in
tar)
    rmdir "$root"
    # Not there until it is whole.
    mmdebstrap --variant=minbase \
        --include=systemd-sysv,udev,dbus,linux-image-cloud-amd64,initramfs-tools,grub-pc-bin,grub2-common,e2fsprogs,util-linux,kmod,zstd,lvm2,thin-provisioning-tools,xfsprogs,rsync \
        --aptopt='Apt::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --customize-hook='echo guest >"$1/etc/hostname"; rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
        bookworm "$1.part.tar"
    mv "$1.part.tar" "$1"
    ;;
disk)
    rm -f "$1"
    truncate -s 3G "$1"
    printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk --quiet "$1"
    attach "$1"
    mkfs.ext4 -q -F -L root "${loop}p1"
    mount "${loop}p1" "$root"
    tar -C "$root" -xf "$2"
    uuid=$(blkid -p -s UUID -o value "${loop}p1")
    systemd-machine-id-setup --root="$root" >/dev/null 2>&1
    echo "UUID=$uuid / ext4 errors=remount-ro 0 1" >"$root/etc/fstab"
    printf '%s\n' GRUB_TIMEOUT=0 'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0"' GRUB_DISABLE_OS_PROBER=true \
        'GRUB_TERMINAL="console serial"' 'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"' >"$root/etc/default/grub"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    # update-grub writes a UUID only where this link is.
    mkdir -p /dev/disk
    mount -t tmpfs tmpfs /dev/disk
    mkdir /dev/disk/by-uuid
    ln -s "${loop}p1" "/dev/disk/by-uuid/$uuid"
    mount --rbind /dev/disk "$root/dev/disk"
    chroot "$root" grub-install --target=i386-pc "$loop"
    chroot "$root" update-grub
    grep -q "root=UUID=$uuid" "$root/boot/grub/grub.cfg"
    ;;
guest)
    trap 'rm -r "$root"' EXIT
    tar -C "$root" -xf "$2"
    echo "/dev/vda / ext4 defaults 0 1" >"$root/etc/fstab"
    printf '%s\n' '#!/bin/bash' 'exec >/dev/ttyS1 2>&1' 'mkdir /root/given && tar -C /root/given -xf /dev/vdb' \
        'cd /root/given && bash run.sh' 'echo "ended with $?"' >"$root/usr/local/sbin/given"
    chmod 755 "$root/usr/local/sbin/given"
    cp "$root"/boot/vmlinuz-* "$1/kernel"
    cp "$root"/boot/initrd.img-* "$1/initrd"
    mke2fs -q -t ext4 -d "$root" "$1/root" 1600M
    ;;
break)
    attach "$2"
    mount "${loop}p1" "$root"
    case $1 in
    no-boot-code)
        dd if=/dev/zero of="$2" bs=440 count=1 conv=notrunc status=none
        dd if=/dev/zero of="$2" bs=512 seek=1 count=2047 conv=notrunc status=none
        ;;
    no-modules) rm -r "$root/boot/grub/i386-pc" ;;
    no-initrd) rm -f "$root"/boot/initrd* ;;
    wrong-fstab) sed -i 's/^UUID=[^ ]*/UUID=deadbeef-0000-4000-8000-000000000000/' "$root/etc/fstab" ;;
    esac
    ;;
esac
