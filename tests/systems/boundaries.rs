//! What stays at the destination because it is another filesystem: rsync says so with exit code 0, and we read it.

use std::fs;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::other_rsyncs::{is_before, with_each};

struct Mounted(std::path::PathBuf);

impl Mounted {
    fn at(point: &std::path::Path) -> Self {
        fs::create_dir_all(point).unwrap();
        mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
        fs::write(point.join("kept"), "kept").unwrap();
        Self(point.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.0, MntFlags::MNT_DETACH) {
            eprintln!("{} stays mounted: {error}", self.0.display());
        }
    }
}

#[test]
fn a_filesystem_in_the_destination_that_stays_is_named_in_the_log() {
    with_each(|sandbox, version| {
        sandbox.write("file", "content");
        sandbox.clone(&[]).assert_code(0);
        let _deep = Mounted::at(&sandbox.destination.join("gone/deep"));
        let top = Mounted::at(&sandbox.destination.join("top"));
        let run = sandbox.clone(&[]);
        run.assert_code(0).assert_log(": cannot delete non-empty directory: gone\n");
        if !is_before(version, "3.1.0") {
            run.assert_log(": cannot delete mount point: top\n");
        }
        for name in ["gone/deep/kept", "top/kept"] {
            assert_eq!(fs::read_to_string(sandbox.destination.join(name)).unwrap(), "kept");
        }
        drop(top);
    });
}
