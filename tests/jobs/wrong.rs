//! Files that are wrong: 84, with the line, the column, and what would be right.

use crate::jobs::scene::{ENDS, Scene};

#[test]
fn a_wrong_entry_is_refused_where_it_stands() {
    for (text, message) in [
        ("exclude_from = \"/x\"", "FILE:3:1: there is no option exclude_from; did you mean exclude-from?"),
        ("  saftey-net = true", "FILE:3:3: there is no option saftey-net; did you mean safety-net?"),
        ("destinatons = 1", "FILE:3:1: there is no option destinatons; did you mean destinations?"),
        ("FULL = true", "FILE:3:1: there is no option FULL; did you mean full?"),
        (
            "something-else = 1",
            "FILE:3:1: there is no option something-else; counterpart --help lists them by their long names.",
        ),
        (
            "help = true",
            "FILE:3:1: there is no option help; counterpart --help lists them by their long names.",
        ),
        ("e = \"/x\"", "FILE:3:1: there is no option e; counterpart --help lists them by their long names."),
        (
            "\"a\\u001bb\" = 1",
            "FILE:3:1: there is no option a\\#033b; counterpart --help lists them by their long names.",
        ),
        ("full = 1", "FILE:3:8: full takes true or false, not a number."),
        ("full = \"yes\"", "FILE:3:8: full takes true or false, not a text."),
        ("keep-logs = \"7\"", "FILE:3:13: keep-logs takes a whole number, not a text."),
        ("keep-logs = 7.5", "FILE:3:13: keep-logs takes a whole number, not a number with a point."),
        ("keep-logs = true", "FILE:3:13: keep-logs takes a whole number, not true."),
        ("safety-net = \"x\"", "FILE:3:14: safety-net takes a whole number, true or false, not a text."),
        ("rsync = [\"/a\", \"/b\"]", "FILE:3:9: rsync takes a path in quotes, not a list."),
        ("retry-wait = 07:32:00", "FILE:3:14: retry-wait takes a text in quotes, not a date."),
        ("[exclude-from]", "FILE:3:1: exclude-from takes a path in quotes, not a section."),
        (
            "exclude-from = \"x\"",
            "FILE:3:16: exclude-from must be an absolute path: a job starts in another directory.",
        ),
        ("log-dir = \"/a\\nb\"", "FILE:3:11: log-dir holds a control character."),
        ("full-every = 0", "FILE:3:14: invalid value '0' for '--full-every <DAYS>': 0 is not in 1..=36500."),
        (
            "# comment\nretry-wait = \"soon\"",
            "FILE:4:14: invalid value 'soon' for '--retry-wait <TIME>': expected number at 0; write 90s, 5min or 1h.",
        ),
        (
            "metrics-file = \"/x\"",
            "FILE:3:16: --metrics-file must end in .prom: the textfile collector reads no other file.",
        ),
        (
            "backup-password = \"secret\"",
            "FILE:3:1: a password must not stand in a file: store it with counterpart setpass, as a credential or in \
             the keychain, and write backup-keychain = true.",
        ),
        (
            "on-ac = true",
            "FILE:3:1: on-ac belongs to the schedule, which is not kept in a job file: counterpart schedule install \
             --on-ac --job JOB.",
        ),
        (
            "daily = \"02:15\"",
            "FILE:3:1: daily belongs to the schedule, which is not kept in a job file: counterpart schedule install \
             --daily --job JOB.",
        ),
        ("rotation = \"usb\"", "FILE:3:1: rotation belongs into a section [destinations.NAME]."),
        ("full = true\nfull = true", "FILE:4:1: duplicate key."),
        ("full = ", "FILE:3:8: string values must be quoted, expected literal string."),
    ] {
        Scene::with("clone", &format!("{ENDS}{text}\n")).refused("clone", message);
    }
}

#[test]
fn what_is_missing_is_named() {
    for (text, message) in [
        ("", "FILE: it has no destination: write destination = \"DIR or TAG\"."),
        ("destination = \"/x\"", "FILE: it has no source: write source = \"DIR\"."),
        ("source = \"/x\"", "FILE: it has no destination: write destination = \"DIR or TAG\"."),
        ("source = false\ndestination = \"/x\"", "FILE: it has no source: write source = \"DIR\"."),
        (
            "source = \"/x\"\ndestination = \"UUID=a/b\"",
            "FILE:2:15: --destination UUID=a/b: a UUID has only letters, digits and hyphens.",
        ),
        (
            "source = \"/x\"\ndestination = \"x\"",
            "FILE:2:15: destination must be an absolute path: a job starts in another directory.",
        ),
        ("source = \"/x\"\n[destinations]", "FILE:2:1: there is no section [destinations.NAME]."),
        ("source = \"/x\"\ndestinations = 1", "FILE:2:16: destinations are sections: [destinations.NAME]."),
        ("source = \"/x\"\n[destinations]\na = 1", "FILE:3:5: it is a section of its own: [destinations.a]."),
        (
            "source = \"/x\"\n[destinations.a]\nfull = true",
            "FILE:2:15: it has no destination: write destination = \"DIR or TAG\".",
        ),
        (
            "source = \"/x\"\ndestination = \"/y\"\n[destinations.a]\ndestination = \"/z\"",
            "FILE:2:15: each section [destinations.NAME] has a destination of its own: there is none for all.",
        ),
        (
            "source = \"/x\"\n[destinations.a]\ndestination = \"/z\"\n[destinations.b]\ndestination = \"/z/\"",
            "FILE:4:15: it has the same destination as a.",
        ),
        (
            "source = \"/x\"\n[destinations.\"a/b\"]\ndestination = \"/z\"",
            "FILE:2:15: a name has 1 to 64 letters, digits, '-' and '_', and begins with a letter or a digit.",
        ),
        (
            "source = \"/x\"\n[destinations.a]\ndestination = \"/z\"\nrotatoin = \"x\"",
            "FILE:4:1: there is no option rotatoin; did you mean rotation?",
        ),
        (
            "source = \"/x\"\n[destinations.a]\ndestination = \"/z\"\nrotation = true",
            "FILE:4:12: rotation takes the name of a group, in quotes.",
        ),
    ] {
        Scene::with("clone", text).refused("clone", message);
    }
}

#[test]
fn what_is_no_text_or_too_large_is_refused() {
    let scene = Scene::new();
    let why = "A job file must belong to root, in a directory where nobody else can write.";
    std::fs::write(scene.file("clone"), b"source = \"\xff\"\n").unwrap();
    scene.refused("clone", &format!("FILE is not used: it is not UTF-8. {why}"));
    std::fs::write(scene.file("clone"), "#".repeat((1 << 20) + 1)).unwrap();
    scene.refused("clone", &format!("FILE is not used: it is larger than any job. {why}"));
    // A nest of brackets does not overflow the stack.
    std::fs::write(scene.file("clone"), format!("full = {}", "[".repeat(1 << 19))).unwrap();
    assert_eq!(scene.run(&["clone"]).code, 84);
    scene.refused("other", "There is no job other: FILE does not exist. counterpart job init writes one.");
    let finished = scene.run(&["../clone"]);
    assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{finished}");
}

#[test]
fn on_a_real_machine_jobs_are_in_etc() {
    let mut command = std::process::Command::new(crate::support::sandbox::PRODUCT);
    let output = command.args(["run", "no-test-has-this-job"]).output().unwrap();
    assert_eq!(output.status.code(), Some(84));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "counterpart: There is no job no-test-has-this-job: /etc/counterpart/no-test-has-this-job.toml does not exist. counterpart job init writes one.\n"
    );
}
