//! The JSON says what the lines say, and its schema means it.

use std::fs;

use serde_json::{Value, json};

use crate::status::scene::assert_strict;
use crate::support::sandbox::Sandbox;
use crate::support::tree::noise;
use crate::verify::scene::{cloned, flip, found};

#[test]
fn the_schema_is_exact() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("file"), noise(1, 5000)).unwrap();
    sandbox.write("line\nbreak", "content");
    cloned(&sandbox, &[]);
    flip(&sandbox.destination.join("file"), 7..9);
    fs::remove_file(sandbox.destination.join("line\nbreak")).unwrap();
    let document = found(&sandbox, &[]);
    let shown = |path: &std::path::Path| Value::from(path.to_str().unwrap());
    assert_eq!(document["source"], shown(&sandbox.source));
    assert_eq!(document["destination"], shown(&sandbox.destination));
    assert_eq!((&document["complete"], &document["sample_percent"]), (&true.into(), &100.0.into()));
    let stats = sandbox.read_marker("stats");
    assert!(
        stats.starts_with(&format!("Clone Started: {}\n", document["clone_started"]["epoch"])),
        "{stats}"
    );
    let expected = json!([
        // The clone's top has lost an entry.
        {"path": ".", "flaws": ["modified"], "message": "its modification time differs", "offset": null, "length": null, "bytes": null},
        {"path": "file", "flaws": ["contents"], "message": "2 bytes differ, the first within the 2 from offset 7 on", "offset": 7, "length": 2, "bytes": 2},
        {"path": "line\\#012break", "flaws": ["missing"], "message": "it is missing", "offset": null, "length": null, "bytes": null}
    ]);
    assert_eq!(document["damages"], expected, "{document:#}");
    assert_eq!(document["repair"], Value::Null);
    let changes = [
        ("/schema", json!(2)),
        ("/exit_code", json!(256)),
        ("/complete", json!(null)),
        ("/sample_percent", json!(0)),
        ("/entries", json!(-1)),
        ("/clone_started/epoch", json!("1")),
        ("/damages/0/flaws", json!([])),
        ("/damages/0/flaws", json!(["other"])),
        ("/damages/1/bytes", json!(0)),
        ("/damages/1/path", json!(null)),
        ("/left", json!([{"path": "x", "side": "destination", "reason": ""}])),
        ("/left", json!([{"path": "x", "side": "clone"}])),
    ];
    assert_strict("verify.schema.json", &document, &changes);
    let repaired = found(&sandbox, &["--repair"]);
    assert_eq!(
        (&repaired["exit_code"], &repaired["damages"]),
        (&83.into(), &document["damages"]),
        "{repaired:#}"
    );
    assert_eq!(repaired["repair"], json!({"damaged": 0, "damages": []}));
    assert_strict(
        "verify.schema.json",
        &repaired,
        &[("/repair/damaged", json!(-1)), ("/repair/damages", json!(0))],
    );
}
