//! How rsync may be tuned: how much it writes a second, and by what it compares.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::support::sandbox::Sandbox;
use crate::support::tree::set_mtime;
use crate::systems::streaming::which_rsync;

#[test]
fn a_limit_reaches_rsync_in_a_unit_that_every_version_knows() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let record = sandbox.path().join("record");
    let body = format!("printf '%s\\n' \"$@\" >>'{}'\nexec {} \"$@\"", record.display(), which_rsync());
    sandbox.rsync(&body);
    for (given, passed) in [("500K", "500"), ("20M", "20480"), ("1g", "1048576")] {
        fs::write(&record, "").unwrap();
        sandbox.clone(&["--bwlimit", given]).assert_code(0);
        let arguments = fs::read_to_string(&record).unwrap();
        assert!(arguments.contains(&format!("\n--bwlimit={passed}\n")), "{given}: {arguments}");
    }
    fs::write(&record, "").unwrap();
    sandbox.clone(&[]).assert_code(0);
    assert!(!fs::read_to_string(&record).unwrap().contains("--bwlimit"));
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
