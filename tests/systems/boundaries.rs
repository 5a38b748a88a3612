//! Whatever stays at the destination as another filesystem is reported, whatever the rsync version says.

use std::fs;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::support::other_rsyncs::with_each;

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
    with_each(|sandbox, _| {
        sandbox.write("file", "content");
        sandbox.clone(&[]).assert_code(0);
        let points = ["gone/deep", "top"].map(|name| sandbox.destination.join(name));
        let _mounted = points.each_ref().map(|point| Mounted::at(point));
        let run = sandbox.clone(&[]);
        run.assert_code(0).assert_err("").assert_log(": cannot delete non-empty directory: gone\n");
        for point in points {
            run.assert_log(&format!(
                "{} is a mount point that the source does not have: it stays",
                point.display()
            ));
            assert_eq!(fs::read_to_string(point.join("kept")).unwrap(), "kept");
        }
    });
}
