//! Logical volumes, where LVM does not do what it should. That it does is tried in a guest (`boot`): this machine's kernel may
//! lack device-mapper.

use std::fs;

use crate::snapshot::scene::REQUIRED;
use crate::support::sandbox::Sandbox;
use crate::support::scene::assert_failure;

/// What `lvm lvs` of Debian 12 prints of a volume, on one line, with this many bytes free in its group.
fn volume(free: u64, pool: &str) -> String {
    format!(
        r#"{{"report": [{{"lv": [{{"vg_name":"vg", "lv_name":"root", "lv_path":"/dev/vg/root", "lv_size":"1073741824", "vg_free":"{free}", "vg_extent_size":"4194304", "pool_lv":"{pool}", "origin":"", "lv_tags":"", "data_percent":"97.20", "lv_snapshot_invalid":"unknown"}}]}}]}}"#
    )
}

const NONE: &str = r#"{"report": [{"lv": []}]}"#;

/// A source whose filesystem LVM takes for this volume; another call of the tool fails as `failing` does.
fn scene(volume: &str, failing: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let called = sandbox.path().join("called");
    let body = format!(
        "echo \"$*\" >>'{}'\n\
         case \"$*\" in\n\
         'lvs '*lv_kernel_major*) echo '{volume}' ;;\n\
         'lvs '*'lv_name=\"pool\"'*) echo '{volume}' ;;\n\
         'lvs '*) echo '{NONE}' ;;\n\
         *) {failing} ;;\n\
         esac",
        called.display()
    );
    sandbox.tool("lvm", &body);
    sandbox
}

fn calls(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join("called")).unwrap_or_default()
}

/// A clone that needs a snapshot ends with 77, for this reason; one that does not is made all the same.
#[track_caller]
fn assert_refused(sandbox: &Sandbox, more: &[&str], why: &str) {
    let run = sandbox.clone(&[&REQUIRED, more].concat());
    let sentence = format!(
        "No snapshot could be taken of the source {}: {why}. Nothing was cloned. --snapshot never clones it while it \
         changes.",
        sandbox.source.display()
    );
    assert_failure(sandbox, &run, 77, &sentence, &["error"]);
    assert!(!sandbox.destination.join("file").exists());
    // What was to be made is not remembered as made.
    let state = fs::read_to_string(sandbox.state_file("json")).unwrap();
    assert!(state.contains("\"snapshots\": []"), "{state}");
    sandbox.clone(&["--snapshot", "never"]).assert_code(0).assert_err("");
}

#[test]
fn a_tool_that_fails_is_quoted() {
    let failing = "echo '  Logical volume vg/root is busy.' >&2; echo >&2; exit 5";
    let sandbox = scene(&volume(1 << 30, ""), failing);
    assert_refused(&sandbox, &[], "lvcreate: Logical volume vg/root is busy");
    let calls = calls(&sandbox);
    let made: Vec<&str> = calls.lines().filter(|line| line.starts_with("lvcreate ")).collect();
    assert_eq!(made.len(), 1, "{calls}");
    // A fifth of the volume, in whole extents.
    let start = "lvcreate --quiet --yes --snapshot --permission r --addtag counterpart --name counterpart-";
    assert!(made[0].starts_with(start) && made[0].ends_with(" --size 218103808b vg/root"), "{calls}");
    // Nothing that was not made is removed.
    assert!(!calls.contains("lvremove"), "{calls}");
}

#[test]
fn what_cannot_be_understood_is_no_volume() {
    for printed in ["nonsense", r#"{"report": 7}"#, &volume(1 << 30, "").replace("1073741824", "1g")] {
        let sandbox = scene(printed, "exit 5");
        let run = sandbox.clone(&REQUIRED);
        run.assert_code(77);
        assert!(run.err.contains(": lvm prints what cannot be understood"), "{run}");
    }
    // A name that could be an option, or lead elsewhere, is nobody's.
    for name in ["--force", "a b", "../root", ""] {
        let sandbox = scene(&volume(1 << 30, "").replace("\"root\"", &format!("\"{name}\"")), "exit 5");
        assert_refused(&sandbox, &[], "it is neither on btrfs nor on LVM");
    }
}

#[test]
fn the_room_that_was_asked_for_must_be_there() {
    let sandbox = scene(&volume(100 << 20, ""), "exit 5");
    let why = format!(
        "{}: the volume group vg has 100.00 MiB free, and its snapshot is to have 200.00 MiB",
        sandbox.source.display()
    );
    assert_refused(&sandbox, &["--snapshot-size", "200M"], &why);
    // Without being asked, it takes what is there.
    let sandbox = scene(&volume(100 << 20, ""), "echo full >&2; exit 5");
    assert_refused(&sandbox, &[], "lvcreate: full");
    assert!(calls(&sandbox).contains(" --size 104857600b vg/root\n"));
    for size in ["0%", "5", "1.5G", "-1G"] {
        let wrong = sandbox.clone(&[&format!("--snapshot-size={size}")]);
        assert_eq!(wrong.code, 2, "{wrong}");
        assert!(
            wrong.err.contains("is neither a share of the volume, such as 10%, nor a size, such as 5G"),
            "{wrong}"
        );
    }
}

#[test]
fn a_thin_pool_that_is_nearly_full_gets_no_snapshot() {
    let sandbox = scene(&volume(0, "pool"), "exit 5");
    assert_refused(&sandbox, &[], "its thin pool vg/pool is 97% full");
    assert!(!calls(&sandbox).contains("lvcreate"));
}
