//! The options by which a filesystem is mounted.

use crate::linux::bootable::layout::Names;

/// Options that every filesystem knows, besides those that begin with `x-`.
const GENERAL: [&str; 29] = [
    "async",
    "atime",
    "auto",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "group",
    "lazytime",
    "loud",
    "noatime",
    "noauto",
    "nodev",
    "nodiratime",
    "noexec",
    "nofail",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nouser",
    "relatime",
    "ro",
    "rw",
    "silent",
    "strictatime",
    "suid",
    "sync",
    "user",
];

/// The options for the clone's filesystem, from those of the source's: those of another type are left out, and the
/// subvolume is the clone's own.
#[must_use]
pub fn of(options: &str, source: &str, clone: &Names) -> String {
    let is_same = family(source) == family(&clone.kind);
    let is_general = |option: &str| GENERAL.contains(&option) || option.starts_with("x-");
    let names_subvolume = |option: &str| option.starts_with("subvol=") || option.starts_with("subvolid=");
    let subvolume = clone.subvolume.as_deref().filter(|name| clone.kind == "btrfs" && !name.is_empty());
    let subvolume = subvolume.map(|name| format!("subvol={name}"));
    let mut kept: Vec<String> = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        if names_subvolume(option) {
            // It stays in its place.
            kept.extend(subvolume.clone().filter(|subvolume| !kept.contains(subvolume)));
        } else if is_same || is_general(option) {
            kept.push(option.to_owned());
        }
    }
    if let Some(subvolume) = subvolume.filter(|subvolume| !kept.contains(subvolume)) {
        kept.push(subvolume);
    }
    kept.join(",")
}

/// Types with the same options.
fn family(kind: &str) -> &str {
    match kind {
        "ext2" | "ext3" | "ext4" => "ext",
        "vfat" | "msdos" | "fat" => "fat",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::linux::bootable::layout::Names;

    #[test]
    fn options_fit_the_clones_filesystem() {
        let on = |kind: &str, subvolume: Option<&str>| Names {
            kind: kind.to_owned(),
            subvolume: subvolume.map(str::to_owned),
            ..Names::default()
        };
        for (options, source, clone, expected) in [
            ("errors=remount-ro", "ext4", on("ext4", None), "errors=remount-ro"),
            ("errors=remount-ro,noatime", "ext4", on("xfs", None), "noatime"),
            ("noatime,x-systemd.growfs", "ext4", on("btrfs", Some("")), "noatime,x-systemd.growfs"),
            ("defaults,subvol=@", "btrfs", on("btrfs", Some("")), "defaults"),
            (
                "defaults,subvol=@,compress=zstd:1",
                "btrfs",
                on("btrfs", Some("root")),
                "defaults,subvol=root,compress=zstd:1",
            ),
            ("subvolid=256,subvol=/@", "btrfs", on("btrfs", Some("@")), "subvol=@"),
            ("subvol=@,ssd", "btrfs", on("ext4", None), ""),
            ("defaults", "ext4", on("btrfs", Some("@")), "defaults,subvol=@"),
            ("umask=0077", "vfat", on("vfat", None), "umask=0077"),
        ] {
            assert_eq!(of(options, source, &clone), expected, "{options} on {source}");
        }
    }
}
