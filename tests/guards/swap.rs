//! Swap files are excluded wherever they are, and nothing else is.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;

use crate::support::disk::BindMount;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::scene::text;

/// A source with some files, and the machine's tables as they are given.
fn machine(swaps: &str, fstab: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["swap.img", "var/swap", "var/a*b", "var/axb", "plain", "home/swap.img"] {
        sandbox.write(name, name);
    }
    table(&sandbox, "proc/swaps", swaps);
    table(&sandbox, "etc/fstab", fstab);
    sandbox
}

fn table(sandbox: &Sandbox, name: &str, content: &str) {
    let path = sandbox.host().join("system-root").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content.replace("SOURCE", &text(&sandbox.source))).unwrap();
}

const HEADER: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

#[test]
fn swap_files_in_use_are_left_out_wherever_they_lie() {
    let swaps = format!(
        "{HEADER}SOURCE/swap.img file 2097148 0 -2\nSOURCE/var/a*b file 1 0 -3\n/dev/sda3 partition 1 0 -4\nSOURCE/plain partition 1 \
         0 -5\n"
    );
    let sandbox = machine(&swaps, "");
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("").assert_no_warning();
    assert_eq!(sandbox.names(), ["home", "plain", "var"]);
    assert_eq!(names_of(&sandbox.destination.join("var")), ["axb", "swap"]);
    assert_eq!(names_of(&sandbox.destination.join("home")), ["swap.img"]);
    for name in ["swap.img", "var/a*b"] {
        run.assert_log(&format!("]: Excluded as swap: {}/{name}\n", text(&sandbox.source)));
    }
    // What was cloned before it was swap goes, as with every exclusion, and what is not counted is not there.
    run.assert_log("The source holds 7 entries: ");
}

#[test]
fn swap_files_of_the_table_and_of_units_are_left_out() {
    let fstab = "# SOURCE/plain none swap sw 0 0\nSOURCE/swap.img none swap sw 0 0\nSOURCE/gone none swap sw 0 0\n\
                 SOURCE/plain /mnt ext4 loop 0 0\nSOURCE/var none swap sw 0 0\n";
    let sandbox = machine(HEADER, fstab);
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(sandbox.names(), ["home", "plain", "var"]);
    // And a copy that was made before is given up.
    fs::create_dir_all(sandbox.host().join("jobs")).unwrap();
    let unit = format!("[Swap]\nWhat={}/var/swap\n", text(&sandbox.source));
    fs::write(sandbox.host().join("jobs/var-swap.swap"), unit).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_log("/var/swap\n");
    assert_eq!(names_of(&sandbox.destination.join("var")), ["a*b", "axb"]);
}

#[test]
fn a_swap_file_is_known_by_every_path() {
    let mut sandbox = machine(&format!("{HEADER}SOURCE/link/swap file 1 0 -2\n"), "");
    symlink("var", sandbox.source.join("link")).unwrap();
    // The source is shown elsewhere, and the table names it where it was.
    let mount = BindMount::new(&sandbox.source);
    sandbox.source = mount.path().into();
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(names_of(&sandbox.destination.join("var")), ["a*b", "axb"]);
}

#[test]
fn a_swap_file_comes_before_what_the_user_brings_in() {
    let sandbox = machine(&format!("{HEADER}SOURCE/swap.img file 1 0 -2\n"), "");
    let patterns = sandbox.path().join("patterns");
    fs::write(&patterns, "!\n+ /swap.img\n").unwrap();
    sandbox.clone(&["-e", &text(&patterns)]).assert_code(0);
    assert_eq!(sandbox.names(), ["home", "plain", "var"]);
}

#[test]
fn tables_that_cannot_be_read_are_told_and_the_rest_counts() {
    let sandbox = machine("", "SOURCE/swap.img none swap sw 0 0\n");
    let swaps = sandbox.host().join("system-root/proc/swaps");
    fs::remove_file(&swaps).unwrap();
    fs::create_dir(&swaps).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("");
    run.assert_log(&format!(
        ": Warning: the swap files in use are not known, since {} cannot be read (it is not a file): one of them may be cloned needlessly.\n",
        text(&swaps)
    ));
    assert_eq!(sandbox.names(), ["home", "plain", "var"]);
    // Bytes of any kind harm nothing.
    fs::remove_dir(&swaps).unwrap();
    fs::write(&swaps, b"\xff\\0 file\n\\134\\ file 1\n/\\777 file\n / file \0\n").unwrap();
    sandbox.clone(&[]).assert_code(0);
}

#[test]
fn a_swap_file_with_any_name_is_left_out_and_shown_harmlessly() {
    let sandbox = machine(&format!("{HEADER}SOURCE/s\\012[w]\\134\\040x file 1 0 -2\n"), "");
    let name = OsString::from_vec(b"s\n[w]\\ x".to_vec());
    let file = fs::File::create(sandbox.source.join(&name)).unwrap();
    file.write_all_at(b"x", 1 << 20).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_log("/s\\#012[w]\\ x\n");
    assert!(!sandbox.destination.join(Path::new(&name)).exists());
    assert!(sandbox.destination.join("swap.img").exists());
}
