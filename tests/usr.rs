//! A clone of a real `/usr`, some hundred thousand files, is identical in every property.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use crate::support::audit;
use crate::support::audit::Options;
use crate::support::sandbox::Sandbox;

#[test]
fn a_clone_of_usr_passes_the_audit() {
    let mut sandbox = Sandbox::new();
    sandbox.source = "/usr".into();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    audit::assert_same(&sandbox.source, &sandbox.destination, &Options::default());

    sandbox.clone(&[]).assert_code(0).assert_log(": Quick pass: 0 of ");
    sandbox.clone(&["--full"]).assert_code(0).assert_log("Number of regular files transferred: 0\n");
    audit::assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}
