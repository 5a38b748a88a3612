//! What changes during a clone is copied at its end.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::quick::{add_files, assert_quick, cloned, let_the_clock_tick, settle, watched_rsync};
use crate::support::audit::{Options, assert_same};
use crate::support::dice::Dice;
use crate::support::sandbox::Sandbox;

#[test]
fn what_changes_while_rsync_works_is_in_the_clone() {
    let sandbox = Sandbox::new();
    watched_rsync(
        &sandbox,
        "[ $n -gt 1 ] || { echo new >new; rm 0001/00000100; mv 0002/00000200 0003/moved; }",
    );
    add_files(&sandbox.source);
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": Full pass: ").assert_log(": Closing pass 1: ");
    run.assert_no_log(": Closing pass 2: ");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    settle(&sandbox);
}

#[test]
fn what_a_closing_pass_has_missed_is_left_to_the_next_one() {
    let sandbox = Sandbox::new();
    // As a file that has moved on when rsync comes to it: what it left is deleted, and rsync ends with 24.
    let moves = format!("[ $n = 2 ] && {{ rm '{}/one'; exit 24; }}", sandbox.destination.display());
    watched_rsync(&sandbox, &format!("[ $n -gt 1 ] || echo content >one\n{moves}"));
    add_files(&sandbox.source);
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": Closing pass 1: 1 entries have changed meanwhile.");
    run.assert_log(": Closing pass 2: ").assert_no_log(": Closing pass 3: ").assert_no_log("next run");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    settle(&sandbox);
}

#[test]
fn what_no_closing_pass_can_transfer_is_said_to_be_left() {
    let sandbox = Sandbox::new();
    watched_rsync(&sandbox, "[ $n -gt 1 ] || echo content >one; [ $n = 1 ] || exit 23");
    add_files(&sandbox.source);
    let run = sandbox.clone(&[]);
    run.assert_code(0)
        .assert_err("")
        .assert_log(": Closing pass 3: ")
        .assert_log("]: They are left to the next run.\n");
}

#[test]
fn a_source_that_keeps_changing_is_followed_three_times() {
    let sandbox = Sandbox::new();
    watched_rsync(&sandbox, "echo $n >>growing");
    add_files(&sandbox.source);
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": Closing pass 3: ").assert_no_log(": Closing pass 4: ");
    run.assert_log("The source keeps changing: what has changed since is left to the next run.\n");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn a_source_that_is_emptied_during_the_clone_empties_no_clone() {
    let sandbox = Sandbox::new();
    watched_rsync(&sandbox, "rm -rf 00[0-9][0-9]; echo left >left");
    add_files(&sandbox.source);
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("");
    run.assert_log(
        ": Warning: what has changed since the copy is left to the next run: the source has lost most of what it held.\n",
    );
    assert_eq!(fs::read_dir(sandbox.destination.join("0001")).unwrap().count(), 100);
    sandbox.clone(&[]).assert_code(76);
}

#[test]
fn an_allowed_shrinking_is_that_before_the_run_alone() {
    let sandbox = Sandbox::new();
    watched_rsync(&sandbox, "rm -rf 00[0-9][0-9]; echo left >left");
    add_files(&sandbox.source);
    let run = sandbox.clone(&["--allow-shrink"]);
    run.assert_code(0).assert_err("").assert_log("the source has lost most of what it held.\n");
    assert_eq!(fs::read_dir(sandbox.destination.join("0001")).unwrap().count(), 100);
}

#[test]
fn a_limit_of_deletions_holds_for_what_goes_during_the_clone() {
    let sandbox = Sandbox::new();
    watched_rsync(&sandbox, "rm -f 0001/*");
    add_files(&sandbox.source);
    let run = sandbox.clone(&["--max-delete", "50"]);
    run.assert_code(0).assert_err("").assert_log(
        ": Warning: what has changed since the copy is left to the next run: more has gone from the source than \
         --max-delete lets a clone delete.\n",
    );
    assert_eq!(fs::read_dir(sandbox.destination.join("0001")).unwrap().count(), 100);
}

#[test]
fn the_runs_own_log_asks_for_no_closing_pass() {
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    let logs = sandbox.source.join("var/log");
    fs::create_dir_all(&logs).unwrap();
    let more = ["--log-dir", logs.to_str().unwrap()];
    let run = sandbox.clone(&more);
    assert_eq!(run.code, 0, "{run}");
    assert!(run.out.contains(": Full pass: ") && !run.out.contains(": Closing pass"), "{run}");
    assert!(sandbox.destination.join("var/log").read_dir().unwrap().next().is_some(), "the log is cloned");
    // What else has changed is transferred.
    watched_rsync(&sandbox, "[ $n -gt 1 ] || echo new >var/log/new");
    let run = sandbox.clone(&[&more[..], &["--full"]].concat());
    assert!(run.code == 0 && run.out.contains(": Closing pass 1: "), "{run}");
    assert!(!run.out.contains(": Closing pass 2: "), "{run}");
    assert!(sandbox.destination.join("var/log/new").exists());
}

/// A short quick pass is not followed by another survey, but by a look at what was listed.
#[test]
fn what_goes_wrong_during_a_short_quick_pass_is_put_right() {
    // What is moved without a trace in a directory's time is in that of its last change.
    let hidden = |from: &str, to: &str, what: &str| {
        format!(
            "touch -r {from} ../from; touch -r {to} ../to; {what}; touch -r ../from {from}; touch -r ../to {to}"
        )
    };
    for moves in [
        "mv 0001/00000100 0002/moved".to_owned(),
        "mv 0001/listed 0002/moved".to_owned(),
        "mv 0003 0001/0003".to_owned(),
        hidden("0001", "0002", "mv 0001/00000100 0002/moved"),
        hidden(".", "0002", "mv top 0002/moved"),
        "echo damaged >CLONE/0001/listed".to_owned(),
        "rm -r CLONE/0001/listed".to_owned(),
    ] {
        let sandbox = Sandbox::new();
        let moves = moves.replace("CLONE", &sandbox.destination.display().to_string());
        watched_rsync(&sandbox, &format!("[ -e ../moving ] || exit $status; rm ../moving; {moves}"));
        add_files(&sandbox.source);
        sandbox.write("top", "content");
        settle(&sandbox);
        sandbox.write("0001/listed", "content");
        fs::write(sandbox.path().join("moving"), "").unwrap();
        let_the_clock_tick();
        let run = sandbox.clone(&[]);
        run.assert_code(0).assert_err("").assert_log(": Quick pass: ").assert_log(": Closing pass 1: ");
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    }
}

#[test]
fn a_short_quick_pass_surveys_once() {
    let sandbox = cloned();
    sandbox.write("0001/new", "content");
    let_the_clock_tick();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_log(": Quick pass: 2 of ").assert_no_log(": Closing pass");
    sandbox.clone(&[]).assert_code(0).assert_log(": Quick pass: 0 of ");
}

/// rsync itself gets some access control lists right only at its second attempt.
#[test]
fn attributes_that_rsync_has_not_set_are_set_by_the_closing_pass() {
    let sandbox = Sandbox::new();
    let clone = sandbox.destination.display().to_string();
    watched_rsync(
        &sandbox,
        &format!("[ -e ../losing ] || exit $status; rm ../losing; setfattr -x user.name '{clone}/0001/new'"),
    );
    add_files(&sandbox.source);
    settle(&sandbox);
    for more in [&[][..], &["--full"]] {
        fs::write(sandbox.source.join("0001/new"), format!("{more:?}")).unwrap();
        fs::write(sandbox.path().join("losing"), "").unwrap();
        let set = ["-n", "user.name", "-v", "value"];
        let file = sandbox.source.join("0001/new");
        assert!(std::process::Command::new("setfattr").args(set).arg(file).status().unwrap().success());
        std::thread::sleep(std::time::Duration::from_millis(50));
        let run = sandbox.clone(more);
        run.assert_code(0).assert_err("").assert_log(": Closing pass 1: ");
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    }
}

#[test]
fn links_that_rsync_has_not_made_are_made_by_the_closing_pass() {
    let sandbox = Sandbox::new();
    let clone = sandbox.destination.display().to_string();
    watched_rsync(
        &sandbox,
        &format!("[ $n -gt 1 ] || {{ cd '{clone}'; cp -p a a.copy; mv a.copy 0001/a; }}"),
    );
    add_files(&sandbox.source);
    sandbox.write("a", "content");
    fs::hard_link(sandbox.source.join("a"), sandbox.source.join("0001/a")).unwrap();
    // The time of its last change is before the run for certain.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_log(": Full pass: ").assert_log(": Closing pass 1: ");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    settle(&sandbox);
}

/// What a run says whose source has not stood still long enough.
const SAYS_SO: [&str; 2] = ["The source keeps changing: ", "They are left to the next run."];

#[test]
fn no_mail_that_is_moved_about_is_missing() {
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    let (new, cur) = (sandbox.source.join("mail/new"), sandbox.source.join("mail/cur"));
    fs::create_dir_all(&new).unwrap();
    fs::create_dir_all(&cur).unwrap();
    for mail in 0..500 {
        fs::write(new.join(mail.to_string()), "a mail").unwrap();
    }
    settle(&sandbox);
    let stop = AtomicBool::new(false);
    let mut missing = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut dice = Dice::new(1);
            while !stop.load(Ordering::Relaxed) {
                let mail = dice.below(500).to_string();
                let (from, to) = if new.join(&mail).exists() { (&new, &cur) } else { (&cur, &new) };
                fs::rename(from.join(&mail), to.join(&mail)).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        for more in [&[][..], &[], &["--full"], &[], &["--full"]] {
            let run = sandbox.clone(more);
            run.assert_err("");
            let says_so = SAYS_SO.iter().any(|sentence| run.out.contains(sentence)) || run.code != 0;
            let mails = mails(&sandbox.destination);
            let is_missing = (0..500).any(|mail: u32| !mails.contains(&mail.to_string()));
            missing.extend((is_missing && !says_so).then(|| run.to_string()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    settle(&sandbox);
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

fn mails(clone: &Path) -> BTreeSet<String> {
    ["new", "cur"]
        .iter()
        .flat_map(|dir| fs::read_dir(clone.join("mail").join(dir)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_killed_run_leaves_an_index_that_does_no_harm() {
    let sandbox = cloned();
    fs::remove_dir_all(sandbox.source.join("0001")).unwrap();
    sandbox.write("new/file", "content");
    fs::write(sandbox.source.join("0002/00000200"), "other content").unwrap();
    // Our parent is killed when the transfer is over and nothing is remembered yet.
    watched_rsync(&sandbox, "[ $n -gt 1 ] || kill -9 $PPID");
    sandbox.clone(&[]);
    assert!(!sandbox.markers().contains(&"completed".to_owned()));
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    assert_quick(&sandbox, &[]);
}

#[test]
fn a_directory_exchanged_for_a_link_leads_no_list_out_of_the_source() {
    let sandbox = cloned();
    let (secret, x) = (sandbox.path().join("secret"), sandbox.source.join("x"));
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("file"), "only root may read it").unwrap();
    sandbox.write("x/file", "a user's");
    let seen = sandbox.path().join("seen");
    // When rsync has its list, the directory in it is exchanged, and afterwards put back.
    sandbox.rsync(&format!(
        "case \" $* \" in *' --files-from=- '*) ;; *) exec /usr/bin/rsync \"$@\" ;; esac\n\
         mv '{x}' '{x}.away'; ln -s '{secret}' '{x}'\n/usr/bin/rsync \"$@\"; status=$?\n\
         [ -L '{clone}/x' ] || cat '{clone}/x/file' >>'{seen}' 2>&1; rm '{x}'; mv '{x}.away' '{x}'; exit $status",
        x = x.display(),
        secret = secret.display(),
        clone = sandbox.destination.display(),
        seen = seen.display(),
    ));
    // Another rsync has taken over, so the first pass is a full one.
    sandbox.clone(&["--full"]).assert_code(0);
    sandbox.write("x/file", "another of the user's");
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_log(": Quick pass: ");
    let seen = fs::read_to_string(seen).unwrap_or_default();
    assert!(!seen.contains("only root"), "{seen}");
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}
