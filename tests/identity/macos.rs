//! The same on a Mac, where `diskutil` reports a volume's UUID.

use std::fs;

use crate::identity::scene::{id, id_lines, known, lines_of_destination, refused, refused_with};
use crate::support::mounted::Mounted;
use crate::support::sandbox::Sandbox;

const ONE: &str = "8A7C5C2E-90A5-4B8F-B7E5-0123456789AB";
const OTHER: &str = "11111111-90A5-4B8F-B7E5-0123456789AB";

/// A Mac whose destination is a volume below its `/Volumes`.
fn mac() -> Sandbox {
    let mut sandbox = Sandbox::mac("12.6");
    sandbox.write("file", "content");
    sandbox.destination = sandbox.host().join("Volumes/Clone");
    fs::create_dir_all(&sandbox.destination).unwrap();
    sandbox
}

/// A `diskutil` that knows the mounted volume by this UUID.
fn volume(sandbox: &Sandbox, uuid: &str) {
    sandbox.tool(
        "diskutil",
        &format!(
            r#"if [ "$*" != 'info -plist {}' ]; then echo "Could not find disk: $3" >&2; exit 1; fi
echo '<?xml version="1.0"?><plist version="1.0"><dict><key>VolumeUUID</key><string>{uuid}</string></dict></plist>'"#,
            sandbox.destination.display()
        ),
    );
}

#[test]
fn a_volume_is_known_by_its_uuid() {
    let sandbox = mac();
    volume(&sandbox, ONE);
    let mounted = Mounted::tmpfs(&sandbox.destination);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(id_lines(&sandbox)[1], format!("Filesystem: {ONE}"));
    sandbox.clone(&[]).assert_code(0).assert_err("");
    let first = id(&sandbox);
    volume(&sandbox, OTHER);
    refused(
        &sandbox,
        &[&format!(
            "its id was assigned on the filesystem {ONE}, and now there is {first} on filesystem {OTHER}"
        )],
    );
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    assert_eq!(known(&sandbox), [first, id(&sandbox)]);
    drop(mounted);
    refused(&sandbox, &[&format!("on filesystem {OTHER} was mounted at {}", sandbox.destination.display())]);
}

#[test]
fn a_directory_of_volumes_that_is_no_volume_is_refused() {
    let sandbox = mac();
    let says = ["No disk is mounted at the destination ", "use --allow-folder"];
    refused_with(&sandbox, 88, &[], &says);
    refused_with(&sandbox, 88, &["--adopt"], &says);
    // There /Volumes has the device number of another volume than the directory above it.
    let mounted = Mounted::tmpfs(&sandbox.host().join("Volumes"));
    fs::create_dir(&sandbox.destination).unwrap();
    refused_with(&sandbox, 88, &[], &says);
    drop(mounted);
    sandbox.clone(&["--allow-folder"]).assert_code(0).assert_err("");
}

#[test]
fn a_volume_that_diskutil_does_not_know_is_known_by_its_id() {
    let sandbox = mac();
    let _mounted = Mounted::tmpfs(&sandbox.destination);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(lines_of_destination(&sandbox).len(), 2);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    fs::write(sandbox.marker("id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    refused(
        &sandbox,
        &[
            "there is 0123456789abcdef0123456789abcdef on filesystem without a known UUID, but the disks known here are: ",
        ],
    );
}
