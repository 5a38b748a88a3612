//! How rsync may be tuned: how much it writes a second, and by what it compares.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::support::sandbox::Sandbox;
use crate::support::tree::set_mtime;
use crate::systems::fakes::{FakeRsync, SINCE_3_2_3};

#[test]
fn a_limit_reaches_rsync_in_a_unit_that_every_version_knows() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let record = FakeRsync::new("3.5.1", &[SINCE_3_2_3]).install_first(&sandbox);
    for (given, passed) in [("500K", "500"), ("20M", "20480"), ("1g", "1048576")] {
        sandbox.clone(&["--bwlimit", given, "--allow-shrink"]).assert_code(0);
        let arguments = record.of_clone();
        assert!(arguments.contains(&format!("--bwlimit={passed}")), "{given}: {arguments:?}");
    }
    sandbox.clone(&["--allow-shrink"]).assert_code(0);
    assert!(!record.of_clone().iter().any(|argument| argument.starts_with("--bwlimit")));
    for wrong in ["0M", "5", "M", "1.5G", "", "-1M", "99999999999999999999G", "1é"] {
        let refused = sandbox.clone(&[&format!("--bwlimit={wrong}")]);
        assert_eq!((refused.code, &*refused.out), (2, ""), "{wrong}: {refused}");
        assert!(refused.err.contains("'--bwlimit <RATE>'"), "{wrong}: {refused}");
    }
}

#[test]
fn a_copy_that_differs_under_the_same_size_and_time_is_found_by_its_content() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let copy = sandbox.destination.join("file");
    let time = fs::metadata(sandbox.source.join("file")).unwrap();
    fs::write(&copy, "CONTENT").unwrap();
    set_mtime(&copy, time.mtime(), time.mtime_nsec());
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(fs::read_to_string(&copy).unwrap(), "CONTENT", "rsync took it for equal");
    sandbox.clone(&["-t", "--checksum"]).assert_code(70).assert_log("Would change file (>fc");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "CONTENT");
    sandbox.clone(&["--checksum"]).assert_code(0).assert_err("");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "content");
}
