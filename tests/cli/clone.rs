//! The main job: the clone equals the source.

use std::fs;

use crate::support::sandbox::Sandbox;

#[test]
fn the_contents_of_the_source_become_the_contents_of_the_destination() {
    let sandbox = Sandbox::new();
    sandbox.write("directory/file", "content");
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(fs::read_to_string(sandbox.destination.join("directory/file")).unwrap(), "content");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}
