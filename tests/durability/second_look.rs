//! Changes in a live source during a clone are checked again: the rules of code 24 apply, whatever the message.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::support::audit::{Options, assert_same};
use crate::support::sandbox::{Finished, Sandbox};

const RSYNC: &str = "/usr/bin/rsync";

const AGAIN: &str = "and nothing else went wrong: retrying";

const SUM: &str = "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394) [sender=3.5.0]";

/// What rsync skips when it has met an error at the source.
const SKIPPED: &str = "echo 'IO error encountered -- skipping file deletion'";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a/kept", "z/one", "z/two"] {
        sandbox.write(name, name);
    }
    sandbox.write_destination("old", "old");
    sandbox
}

/// The first `times` transfers do `body`, with the real rsync's statistics; the later ones are real.
fn first(sandbox: &Sandbox, times: u32, body: &str) {
    let count = sandbox.path().join("count");
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*)\n\
           echo x >>'{count}'; [ $(wc -l <'{count}') -le {times} ] || exec {RSYNC} \"$@\"\n\
           {body} ;;\n\
         esac\nexec {RSYNC} \"$@\"",
        count = count.display()
    ));
}

/// A transfer that copies nothing, complains like this and ends with 23.
fn complaining(sandbox: &Sandbox, messages: &[String]) -> String {
    let texts = sandbox.path().join("messages");
    fs::write(&texts, messages.join("\n") + "\n" + SUM + "\n").unwrap();
    format!("{RSYNC} --dry-run \"$@\"; cat '{}' >&2; {SKIPPED}; exit 23", texts.display())
}

fn starts(sandbox: &Sandbox) -> u64 {
    sandbox.record().unwrap()["rsync"]["attempts"].as_u64().unwrap()
}

#[track_caller]
fn assert_whole(sandbox: &Sandbox, run: &Finished) {
    run.assert_code(0).assert_err("").assert_log(AGAIN).assert_log("The clone is complete.");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"], "{run}");
    assert!(!sandbox.destination.join("old").exists(), "deletions are made up for");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

#[test]
fn every_message_about_a_vanished_file_is_no_failure() {
    const GONE: &str = "No such file or directory (2)";
    for (role, quote) in [("", "\""), ("[sender] ", "")] {
        let sandbox = sandbox();
        let path = sandbox.source.join("z/one").display().to_string();
        let messages = [
            format!("rsync: {role}get_acl: sys_acl_get_file(z/one, ACL_TYPE_ACCESS): {GONE}"),
            format!("rsync: {role}get_xattr_names: llistxattr({quote}\"{path}\"{quote},1024) failed: {GONE}"),
            format!(
                "rsync: {role}get_xattr_data: lgetxattr({quote}\"{path}\"{quote},\"user.x\",0) failed: {GONE}"
            ),
            format!("rsync: {role}readlink_stat(\"{path}\") failed: {GONE}"),
            format!("rsync: {role}opendir \"{path}\" failed: Not a directory (20)"),
        ];
        let gone = format!("rm -f '{path}'; ");
        first(&sandbox, 1, &(gone + &complaining(&sandbox, &messages)));
        let run = sandbox.clone(&["--adopt"]);
        assert_whole(&sandbox, &run);
        assert_eq!(starts(&sandbox), 2);
        assert!(sandbox.read_marker("stats").contains("\nExit Code: 0\n"));
    }
}

fn of_gone() -> Vec<String> {
    vec![
        "rsync: [sender] get_acl: sys_acl_get_file(z/gone, ACL_TYPE_ACCESS): No such file or directory (2)"
            .to_owned(),
    ]
}

#[test]
fn a_source_that_never_rests_is_looked_at_three_times() {
    let sandbox = sandbox();
    first(&sandbox, 9, &complaining(&sandbox, &of_gone()));
    let run = sandbox.clone(&["--adopt"]);
    run.assert_code(23).assert_log("retrying (2 of 2)").assert_log("]:   z/gone\n");
    assert_eq!(starts(&sandbox), 3);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn where_rsync_has_deleted_all_the_same_it_is_24() {
    for (options, code) in [(&["--adopt"][..], 24), (&["--adopt", "--vanished-ok"], 0)] {
        let sandbox = sandbox();
        let complain = complaining(&sandbox, &of_gone()).replace(SKIPPED, ":").replace("--dry-run", "");
        first(&sandbox, 9, &complain);
        let run = sandbox.clone(options);
        run.assert_code(code).assert_log("Warning: files vanished from the source while they were copied");
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
        assert_eq!(starts(&sandbox), 3);
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    }
}

#[test]
fn what_is_there_and_cannot_be_had_is_23() {
    let sandbox = sandbox();
    let complain = complaining(&sandbox, &of_gone()).replace(SKIPPED, ":");
    first(&sandbox, 9, &complain);
    sandbox.write("z/gone", "it is there");
    sandbox.clone(&["--adopt"]).assert_code(23);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn anything_worse_is_told_at_once() {
    let source = sandbox().source;
    for worse in [
        "rsync: [receiver] mkstemp \"/d/.f.Ab12Cd\" failed: Permission denied (13)".to_owned(),
        format!("rsync: [sender] read errors mapping \"{}/z/two\": Input/output error (5)", source.display()),
        "rsync: [sender] get_acl: sys_acl_get_file(/etc/passwd, ACL_TYPE_ACCESS): Not a directory (20)"
            .to_owned(),
        "rsync: [sender] get_acl: sys_acl_get_file(../etc, ACL_TYPE_ACCESS): No such file or directory (2)"
            .to_owned(),
        "something new".to_owned(),
    ] {
        let sandbox = sandbox();
        let mut messages = of_gone();
        messages.push(worse);
        first(&sandbox, 1, &complaining(&sandbox, &messages));
        sandbox.clone(&["--adopt"]).assert_code(23).assert_no_log(AGAIN);
        assert_eq!(starts(&sandbox), 1);
        assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    }
}

/// Everything is gone from it, so that a second transfer would delete all that the clone has.
#[test]
fn a_source_that_went_away_as_a_whole_is_never_cloned_again() {
    let sandbox = sandbox();
    sandbox.clone(&["--adopt"]).assert_code(0);
    let source = sandbox.source.display();
    let body = complaining(&sandbox, &of_gone());
    first(&sandbox, 1, &format!("{RSYNC} --dry-run \"$@\"; rm -r '{source}'/*; {body}"));
    sandbox.clone(&[]).assert_code(71).assert_no_log(AGAIN);
    assert_eq!(sandbox.names(), ["a", "z"]);
    assert_eq!(fs::read_to_string(sandbox.destination.join("z/two")).unwrap(), "z/two");
}

/// While the transfer reads a large first file slowly, `change` happens to the source.
fn changing(change: &str) -> Sandbox {
    let sandbox = sandbox();
    fs::write(sandbox.source.join("0"), crate::support::tree::noise(1, 1 << 20)).unwrap();
    let source = sandbox.source.display();
    first(&sandbox, 1, &format!("(sleep 1; cd '{source}' && {change}) & exec {RSYNC} --bwlimit=512 \"$@\""));
    sandbox
}

/// As logrotate's copytruncate does it.
#[test]
fn a_log_that_is_truncated_while_it_is_copied_is_no_failure() {
    for size in [0, 1000] {
        let sandbox = changing(&format!("truncate -s {size} 0"));
        let run = sandbox.clone(&["--adopt"]);
        run.assert_log("No data available (61)");
        assert_whole(&sandbox, &run);
        assert_eq!(fs::metadata(sandbox.destination.join("0")).unwrap().len(), size);
    }
}

#[test]
fn a_file_that_becomes_something_else_is_no_failure() {
    let sandbox = changing("rm z/two && mkdir z/two && echo x >z/two/below");
    let run = sandbox.clone(&["--adopt"]);
    assert_whole(&sandbox, &run);
    let sandbox = changing("rm z/two && mv ../socket z/two");
    let _socket = UnixListener::bind(sandbox.path().join("socket")).unwrap();
    let run = sandbox.clone(&["--adopt"]);
    assert_whole(&sandbox, &run);
}
