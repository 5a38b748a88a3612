//! The files that installers write, and what becomes of them in a clone: `fixtures/boot/NAME` and `NAME.clone`.

use std::fs;
use std::path::PathBuf;

use counterpart::linux::bootable::layout::{Becomes, Container, Layout, Names, Part};
use counterpart::linux::bootable::{
    Unresolved, crypttab, fstab, grub_defaults, kernel_line, loader_entries, resume,
};

const SOURCE: &str = "aaaaaaaa-0000-4000-8000-00000000000";
const CLONE: &str = "bbbbbbbb-0000-4000-8000-00000000000";
const VOLUME: &str = "cccccccc-0000-4000-8000-000000000001";
const CLONES_VOLUME: &str = "dddddddd-0000-4000-8000-000000000001";

#[allow(clippy::unnecessary_wraps, reason = "what fields of names hold")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn names(uuid: String, kind: &str, part_uuid: &str) -> Names {
    Names { uuid: Some(uuid), kind: kind.to_owned(), part_uuid: some(part_uuid), ..Names::default() }
}

/// The root alone, of these types.
fn root(source: &str, clone: &str) -> Layout {
    let source = Names {
        device: "/dev/sda1".into(),
        label: some("root"),
        ..names(format!("{SOURCE}1"), source, "11111111-01")
    };
    let clone = Names {
        device: "/dev/sdb1".into(),
        // Both disks may well have the same label.
        label: some("root"),
        ..names(format!("{CLONE}1"), clone, "22222222-01")
    };
    Layout { parts: vec![Part { point: "/".into(), source, becomes: Becomes::Filesystem(clone) }] }
}

impl With for Layout {}

trait With: Into<Layout> + Sized {
    /// With another filesystem of its own, or a directory in its place.
    fn with(self, point: &str, number: u32, kind: &str, is_own: bool) -> Layout {
        let mut layout: Layout = self.into();
        let of = |prefix: &str, part: &str| match kind {
            "vfat" => names(format!("{prefix}-000{number}"), kind, part),
            _ => names(format!("{}{number}", if prefix == "AAAA" { SOURCE } else { CLONE }), kind, part),
        };
        let clone = of("BBBB", "22222222-02");
        let becomes = if is_own { Becomes::Filesystem(clone) } else { Becomes::Directory };
        layout.parts.push(Part { point: point.into(), source: of("AAAA", "11111111-02"), becomes });
        layout
    }

    /// With subvolumes as roots.
    fn subvolumes(self, source: &str, clone: &str) -> Layout {
        let mut layout: Layout = self.into();
        layout.parts[0].source.subvolume = some(source);
        if let Becomes::Filesystem(names) = &mut layout.parts[0].becomes {
            names.subvolume = some(clone);
        }
        layout
    }

    /// With the root in these.
    fn within(self, source: Vec<Container>, clone: Vec<Container>) -> Layout {
        let mut layout: Layout = self.into();
        layout.parts[0].source.within = source;
        if let Becomes::Filesystem(names) = &mut layout.parts[0].becomes {
            names.within = clone;
        }
        layout
    }
}

fn luks(uuid: &str) -> Container {
    Container::Luks(Box::new(names(uuid.to_owned(), "crypto_LUKS", "")))
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/boot").join(name)
}

fn read(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Asserts what becomes of a file, and that its line ends, comments and blanks around what changes stay.
#[track_caller]
fn assert_becomes(name: &str, as_name: &str, made: Result<Vec<u8>, Unresolved>) {
    let made = made.unwrap_or_else(|why| panic!("{name}: {why}"));
    let expected = read(as_name);
    assert_eq!(String::from_utf8_lossy(&made), String::from_utf8_lossy(&expected), "{name}");
}

#[test]
fn the_tables_of_installers_name_the_clones_filesystems() {
    let table: [(&str, Layout); 9] = [
        ("debian-12.fstab", root("ext4", "ext4")),
        ("ubuntu-22.04.fstab", root("ext4", "ext4").with("/boot/efi", 1, "vfat", true)),
        (
            "fedora-40.fstab",
            root("btrfs", "btrfs").subvolumes("root", "").with("/boot", 2, "ext4", false).with(
                "/boot/efi",
                1,
                "vfat",
                true,
            ),
        ),
        ("arch.fstab", root("ext4", "xfs").with("/boot", 1, "vfat", true)),
        ("opensuse-15.5.fstab", root("btrfs", "ext4").with("/var", 1, "btrfs", false)),
        ("raspberry-pi-os-12.fstab", root("ext4", "ext4").with("/boot/firmware", 1, "vfat", true)),
        ("ubuntu-pi-24.04.fstab", root("ext4", "ext4").with("/boot/firmware", 1, "vfat", true)),
        ("debian-lvm.fstab", root("ext4", "ext4").with("/boot", 2, "ext2", false)),
        ("old-names.fstab", root("ext3", "ext4").with("/boot", 2, "ext4", true)),
    ];
    for (name, layout) in table {
        assert_becomes(name, &format!("{name}.clone"), fstab::rewrite(&read(name), &layout));
    }
}

#[test]
fn a_table_without_anything_to_change_stays_as_it_is() {
    let text = b"# nothing\n\nproc /proc proc defaults\r\n\t\xff # not text\n";
    assert_eq!(fstab::rewrite(&text[..36], &root("ext4", "ext4")).unwrap(), &text[..36]);
    assert_eq!(fstab::rewrite(b"", &root("ext4", "ext4")).unwrap(), b"");
    // Not UTF-8, but a comment.
    assert_eq!(fstab::rewrite(b"# \xff\n", &root("ext4", "ext4")).unwrap(), b"# \xff\n");
}

#[test]
fn what_is_not_understood_is_an_error() {
    let plain = root("ext4", "ext4");
    for (table, why) in [
        (
            "rpool/ROOT / zfs defaults 0 0\n",
            "line 1 (rpool/ROOT / zfs defaults 0 0): rpool/ROOT names no disk that is understood",
        ),
        ("# x\nUUID= / ext4\n", "line 2 (UUID= / ext4): its value is empty"),
        ("UUID=a/b / ext4\n", "line 1 (UUID=a/b / ext4): a UUID has only letters, digits and hyphens"),
    ] {
        assert_eq!(fstab::rewrite(table.as_bytes(), &plain), Err(Unresolved(why.to_owned())), "{table}");
    }
    assert!(fstab::rewrite(b"\xff / ext4\n", &plain).is_err());
    let mut nameless = root("ext4", "ext4");
    if let Becomes::Filesystem(clone) = &mut nameless.parts[0].becomes {
        clone.uuid = None;
    }
    let why = "line 1 (LABEL=x / ext4): the clone's filesystem on /dev/sdb1 has no UUID";
    assert_eq!(fstab::rewrite(b"LABEL=x / ext4\n", &nameless), Err(Unresolved(why.to_owned())));
    assert!(fstab::rewrite(b"", &Layout::default()).is_err());
    for line in [
        "root=ZFS=rpool/ROOT",
        "root=/dev/nfs",
        "root=",
        "root=$root",
        "cryptdevice=/dev/sdc1:x",
        "mount.usr=UUID=a",
    ] {
        assert!(kernel_line::rewrite(line, &plain).is_err(), "{line}");
    }
}

#[test]
fn tables_of_encrypted_volumes_name_the_clones() {
    let encrypted = root("ext4", "ext4").within(vec![luks(VOLUME)], vec![luks(CLONES_VOLUME)]);
    let plain = root("ext4", "ext4").within(vec![luks(VOLUME)], Vec::new());
    let new = root("ext4", "ext4").within(Vec::new(), vec![luks(CLONES_VOLUME)]);
    let of = |name: &str, layout: &Layout| crypttab::rewrite(&read(name), layout);
    assert_becomes("debian.crypttab", "debian.crypttab.clone", of("debian.crypttab", &encrypted));
    assert_becomes("debian.crypttab", "debian.crypttab.plain", of("debian.crypttab", &plain));
    assert_becomes("fedora.crypttab", "fedora.crypttab.clone", of("fedora.crypttab", &encrypted));
    let added = format!("luks-{CLONES_VOLUME} UUID={CLONES_VOLUME} none luks\n");
    assert_eq!(crypttab::rewrite(b"# none", &new).unwrap(), format!("# none\n{added}").into_bytes());
}

#[test]
fn a_clone_does_not_look_for_a_suspended_system() {
    for (name, expected) in [
        (
            "debian.resume",
            "# Swap that the clone does not have, says counterpart --bootable:\n# RESUME=UUID=eeeeeeee-0000-4000-8000-000000000009\nRESUME=none\n",
        ),
        (
            "debian-lvm.resume",
            "# Swap that the clone does not have, says counterpart --bootable:\n# RESUME=/dev/mapper/vg-swap_1\nRESUME=none\n",
        ),
        ("none.resume", "RESUME=none\n"),
    ] {
        assert_eq!(String::from_utf8(resume::rewrite(&read(name)).unwrap()).unwrap(), expected, "{name}");
    }
}

#[test]
fn grubs_settings_name_the_clones_filesystems() {
    let lvm = root("ext4", "ext4").within(
        vec![Container::Lvm("fedora/root".to_owned()), luks(VOLUME)],
        vec![Container::Lvm("clone/root".to_owned()), luks(CLONES_VOLUME)],
    );
    let plain = root("ext4", "ext4");
    let encrypted = root("ext4", "ext4").within(vec![luks(VOLUME)], vec![luks(CLONES_VOLUME)]);
    let opened = root("ext4", "ext4").within(vec![luks(VOLUME)], Vec::new());
    for (name, as_name, layout, forgets) in [
        ("debian-12.default-grub", "debian-12.default-grub.clone", &plain, true),
        ("fedora-luks-lvm.default-grub", "fedora-luks-lvm.default-grub.clone", &lvm, true),
        ("opensuse.default-grub", "opensuse.default-grub.clone", &plain, false),
        ("arch-luks.default-grub", "arch-luks.default-grub.clone", &encrypted, false),
        ("arch-luks.default-grub", "arch-luks.default-grub.plain", &opened, false),
    ] {
        assert_becomes(name, as_name, grub_defaults::rewrite(&read(name), layout, forgets));
    }
    let unchanged = grub_defaults::rewrite(&read("debian-12.default-grub"), &plain, false).unwrap();
    assert_eq!(unchanged, read("debian-12.default-grub"));
    for bad in ["GRUB_DEVICE=/dev/sda1\n", "GRUB_CMDLINE_LINUX=\"open\n"] {
        assert!(grub_defaults::rewrite(bad.as_bytes(), &plain, false).is_err(), "{bad}");
    }
    let bare = grub_defaults::rewrite(b"export GRUB_CMDLINE_LINUX=quiet # x", &plain, true).unwrap();
    assert_eq!(String::from_utf8(bare).unwrap(), "export GRUB_CMDLINE_LINUX=\"quiet noresume\" # x");
    let without = grub_defaults::rewrite(b"GRUB_DEFAULT=0", &plain, true).unwrap();
    let expected = "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX noresume\"\n";
    assert_eq!(String::from_utf8(without).unwrap(), expected);
}

#[test]
fn the_files_of_loaders_name_the_clones_root() {
    let plain = root("ext4", "ext4");
    let btrfs = root("btrfs", "btrfs").subvolumes("root", "@");
    for (name, made) in [
        ("archinstall.entry", loader_entries::entry(&read("archinstall.entry"), &plain)),
        ("fedora-40.entry", loader_entries::entry(&read("fedora-40.entry"), &btrfs)),
        ("debian-systemd-boot.entry", loader_entries::entry(&read("debian-systemd-boot.entry"), &plain)),
        ("u-boot-menu.extlinux", loader_entries::extlinux(&read("u-boot-menu.extlinux"), &plain)),
        ("raspberry-pi-os-12.cmdline", loader_entries::whole(&read("raspberry-pi-os-12.cmdline"), &plain)),
        ("ubuntu-pi-24.04.cmdline", loader_entries::whole(&read("ubuntu-pi-24.04.cmdline"), &plain)),
        ("fedora-33.grubenv", loader_entries::grub_environment(&read("fedora-33.grubenv"), &btrfs)),
    ] {
        assert_becomes(name, &format!("{name}.clone"), made);
    }
    assert_eq!(read("fedora-33.grubenv.clone").len(), 1024);
}

#[test]
fn every_spelling_of_the_root_becomes_one_that_is_the_clones_alone() {
    let plain = root("ext4", "ext4");
    let uuid = format!("root=UUID={CLONE}1");
    let part = "root=PARTUUID=22222222-01".to_owned();
    for (spelling, expected) in [
        (format!("root=UUID={SOURCE}1"), &uuid),
        (format!("root=\"UUID={SOURCE}1\""), &uuid),
        ("root=LABEL=root".to_owned(), &uuid),
        (format!("root=/dev/disk/by-uuid/{SOURCE}1"), &uuid),
        ("root=/dev/disk/by-label/root".to_owned(), &uuid),
        ("root=/dev/mapper/vg-root".to_owned(), &uuid),
        ("root=/dev/vg/root".to_owned(), &uuid),
        ("root=PARTUUID=11111111-01".to_owned(), &part),
        ("root=PARTLABEL=root".to_owned(), &part),
        ("root=/dev/disk/by-partuuid/11111111-01".to_owned(), &part),
        ("root=/dev/disk/by-id/ata-x-part1".to_owned(), &part),
        ("root=/dev/sda1".to_owned(), &part),
        ("root=/dev/mmcblk0p2".to_owned(), &part),
    ] {
        let line = format!("quiet  {spelling} ro \"a b\"");
        assert_eq!(kernel_line::rewrite(&line, &plain).unwrap(), format!("quiet  {expected} ro \"a b\""));
    }
    for (line, expected) in [
        ("resume=UUID=x quiet", "quiet noresume"),
        ("quiet resume=/dev/sda5 resume_offset=5", "quiet noresume"),
        ("resume=UUID=x noresume", "noresume"),
        ("rootfstype=xfs rootflags=data=ordered,noatime", "rootfstype=ext4 rootflags=data=ordered,noatime"),
        ("rd.luks.uuid=luks-other rd.lvm.lv=vg/swap rd.md.uuid=a quiet", "quiet"),
        ("rd.luks.options=discard", "rd.luks.options=discard"),
        ("", ""),
    ] {
        assert_eq!(kernel_line::rewrite(line, &plain).unwrap(), expected, "{line}");
    }
}
