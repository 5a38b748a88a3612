//! Tests of the evidence on faults: it detects each kind of loss and each false claim.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::evidence::{Evidence, Fault, Unchanged, When};
use crate::support::sandbox::Sandbox;

const fn fault(codes: &'static [i32], markers: &'static [&'static str], unchanged: Unchanged) -> Fault {
    Fault { name: "", what: "", when: When::Before, codes, markers, unchanged, run: |_| {} }
}

static REFUSED: Fault = fault(&[76], &["id"], Unchanged::Both);
static FAILED: Fault = fault(&[23], &["id"], Unchanged::Source);
static FAILED_BUT: Fault = fault(&[23], &["id"], Unchanged::SourceBut(&["changing"]));
static COMPLETE: Fault = fault(&[0], &["completed id"], Unchanged::Source);

/// What the check says of a run that ends with this code and does this; nothing when he is content.
fn finding(fault: &'static Fault, code: i32, happening: fn(&Sandbox)) -> Option<&'static str> {
    let sandbox = Sandbox::new();
    for name in ["both", "changing", "directory/both"] {
        sandbox.write(name, "old");
        sandbox.write_destination(name, "older");
    }
    sandbox.write("only here", "new");
    sandbox.write_destination(".me.jedda.counterpart.id", "id");
    let mut evidence = Evidence::of(fault);
    evidence.watch(&sandbox);
    happening(&sandbox);
    let finding = catch_unwind(AssertUnwindSafe(|| {
        evidence.verify_code(&sandbox, code, &"");
        evidence.verify_loss(&sandbox);
        evidence.assert_finished();
    }));
    finding.is_err().then(|| evidence.lost_nothing())
}

#[test]
fn a_run_that_did_nothing_is_right() {
    assert_eq!(finding(&REFUSED, 76, |_| {}), None);
    assert_eq!(finding(&FAILED, 23, |_| {}), None);
    assert_eq!(finding(&FAILED, 23, |sandbox| sandbox.write_destination("both", "old")), None);
    assert_eq!(finding(&FAILED_BUT, 23, |sandbox| sandbox.write("changing", "grown")), None);
}

#[test]
fn a_wrong_code_and_wrong_markers_are_noticed() {
    assert_eq!(finding(&REFUSED, 0, |_| {}), Some("not shown"));
    let marker = |sandbox: &Sandbox| sandbox.write_destination(".me.jedda.counterpart.error", "");
    assert_eq!(finding(&REFUSED, 76, marker), Some("not shown"));
    let temporary = |sandbox: &Sandbox| sandbox.write_destination(".me.jedda.counterpart.error.tmp-1", "");
    assert_eq!(finding(&FAILED, 23, temporary), Some("not shown"));
}

#[test]
fn a_change_of_the_source_is_a_loss() {
    assert_eq!(finding(&FAILED, 23, |sandbox| sandbox.write("both", "bad")), Some("NO"));
    assert_eq!(finding(&FAILED_BUT, 23, |sandbox| sandbox.write("both", "bad")), Some("NO"));
    let remove = |sandbox: &Sandbox| fs::remove_file(sandbox.source.join("only here")).unwrap();
    assert_eq!(finding(&FAILED_BUT, 23, remove), Some("NO"));
}

#[test]
fn a_change_of_a_refused_destination_is_a_loss() {
    assert_eq!(finding(&REFUSED, 76, |sandbox| sandbox.write_destination("new", "")), Some("NO"));
    assert_eq!(finding(&REFUSED, 76, |sandbox| sandbox.write_destination("both", "old")), Some("NO"));
}

#[test]
fn what_both_had_and_is_gone_or_torn_is_a_loss() {
    let remove = |sandbox: &Sandbox| fs::remove_file(sandbox.destination.join("directory/both")).unwrap();
    assert_eq!(finding(&FAILED, 23, remove), Some("NO"));
    assert_eq!(finding(&FAILED, 23, |sandbox| sandbox.write_destination("both", "ol")), Some("NO"));
    assert_eq!(finding(&FAILED, 23, |sandbox| sandbox.write_destination("only here", "n")), Some("NO"));
}

#[test]
fn a_false_completion_is_noticed() {
    let complete = |sandbox: &Sandbox| sandbox.write_destination(".me.jedda.counterpart.completed", "");
    assert_eq!(finding(&COMPLETE, 0, complete), Some("NO"));
}

#[test]
fn a_bystander_that_changes_is_a_loss() {
    let sandbox = Sandbox::new();
    sandbox.write_destination(".me.jedda.counterpart.id", "id");
    let bystander = sandbox.path().join("bystander");
    fs::create_dir(&bystander).unwrap();
    let mut evidence = Evidence::of(&FAILED);
    evidence.watch(&sandbox);
    evidence.watch_bystander(&bystander);
    fs::write(bystander.join("new"), "").unwrap();
    evidence.verify_code(&sandbox, 23, &"");
    assert!(catch_unwind(AssertUnwindSafe(|| evidence.verify_loss(&sandbox))).is_err());
    assert_eq!(evidence.lost_nothing(), "NO");
}
