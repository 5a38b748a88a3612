//! A root with limited privileges: in a service with bounded capabilities, and in a container.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, lchown};
use std::process::{Child, Command, Stdio};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::support::sandbox::{FAKE_HOST, Finished, Sandbox, wait_until};

/// A source with something of everybody's.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("own", "own");
    sandbox
}

fn foreign(sandbox: &Sandbox, name: &str, user: u32) {
    sandbox.write(name, name);
    lchown(sandbox.source.join(name), Some(user), Some(user)).unwrap();
}

fn specials(sandbox: &Sandbox) {
    let make = |name: &str, kind| {
        mknod(&sandbox.source.join(name), kind, Mode::from_bits_truncate(0o644), makedev(1, 3)).unwrap();
    };
    make("null", SFlag::S_IFCHR);
    make("fifo", SFlag::S_IFIFO);
}

/// A clone by a root without these capabilities.
fn bounded(sandbox: &Sandbox, without: &str) -> Finished {
    let mut command = Command::new("/usr/bin/setpriv");
    command.args([format!("--bounding-set={without}"), format!("--inh-caps={without}")]).arg(FAKE_HOST);
    command
        .args(sandbox.arguments([""; 0]))
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

fn owner(sandbox: &Sandbox, name: &str) -> u32 {
    fs::metadata(sandbox.destination.join(name)).unwrap().uid()
}

#[test]
fn a_whole_root_is_warned_of_nothing() {
    let sandbox = sandbox();
    foreign(&sandbox, "foreign", 70_000);
    specials(&sandbox);
    sandbox.clone(&[]).assert_code(0).assert_no_log("root lacks");
    assert_eq!(owner(&sandbox, "foreign"), 70_000);
}

#[test]
fn without_the_rights_of_an_owner_files_of_others_are_still_read() {
    const WARNING: &str =
        "Warning: root lacks CAP_FOWNER here: times and permissions of files of other users cannot be set";
    let sandbox = sandbox();
    let run = bounded(&sandbox, "-fowner");
    run.assert_code(0).assert_log(WARNING);
    foreign(&sandbox, "foreign", 1000);
    let run = bounded(&sandbox, "-fowner");
    // That it has another time is rsync's complaint, and an honest one; that it could not be opened was ours.
    run.assert_code(23).assert_log(WARNING).assert_no_log("failed to open");
    assert_eq!(fs::read_to_string(sandbox.destination.join("foreign")).unwrap(), "foreign");
    sandbox.clone(&[]).assert_code(0);
}

#[test]
fn without_the_right_to_make_devices_the_rest_is_cloned() {
    let sandbox = sandbox();
    foreign(&sandbox, "foreign", 1000);
    specials(&sandbox);
    let run = bounded(&sandbox, "-mknod");
    run.assert_code(0).assert_log("Warning: root lacks CAP_MKNOD here: device nodes are not copied.\n");
    assert!(!sandbox.destination.join("null").exists());
    assert!(fs::symlink_metadata(sandbox.destination.join("fifo")).unwrap().file_type().is_fifo());
    assert_eq!(owner(&sandbox, "foreign"), 1000);
    let record = sandbox.record().unwrap();
    assert_eq!(record["outcome"], "warning");
    assert_eq!(record["warnings"]["first"][0], "root lacks CAP_MKNOD here: device nodes are not copied.");
}

#[test]
fn without_the_right_to_give_files_away_owners_are_not_cloned() {
    let sandbox = sandbox();
    foreign(&sandbox, "foreign", 1000);
    let run = bounded(&sandbox, "-chown");
    run.assert_code(0).assert_log("Warning: root lacks CAP_CHOWN here: owners and groups are not kept.\n");
    assert_eq!(owner(&sandbox, "foreign"), 0);
    assert_eq!(sandbox.record().unwrap()["outcome"], "warning");
}

#[test]
fn several_lacks_are_warned_of_one_by_one() {
    let sandbox = sandbox();
    let run = bounded(&sandbox, "-sys_admin,-setfcap,-dac_override,-dac_read_search");
    run.assert_code(0);
    for capability in ["CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN", "CAP_SETFCAP"] {
        run.assert_log(&format!("Warning: root lacks {capability} here: "));
    }
    assert_eq!(run.messages().iter().filter(|message| message.contains("root lacks")).count(), 4);
}

/// A root of a user namespace that knows the users 0 to 65,535, as most containers' does.
struct Container(Child);

impl Container {
    fn run(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
        let go = sandbox.path().join("go");
        let script = format!("while [ ! -e '{}' ]; do sleep 0.1; done; exec \"$@\"", go.display());
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["-U", "--", "/bin/sh", "-c", &script, "sh", FAKE_HOST]).args(arguments);
        command.env("COUNTERPART_FAKE_HOST", sandbox.host());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut container = Self(command.spawn().unwrap());
        let process = format!("/proc/{}", container.0.id());
        let namespace = |process: &str| fs::read_link(format!("{process}/ns/user")).ok();
        assert!(wait_until(
            || namespace(&process).is_some_and(|found| Some(found) != namespace("/proc/self"))
        ));
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("{process}/{map}"), "0 0 65536").unwrap();
        }
        fs::write(&go, "").unwrap();
        let output = std::mem::replace(&mut container.0, Command::new("/bin/true").spawn().unwrap());
        let finished = Finished::from(output.wait_with_output().unwrap());
        fs::remove_file(go).unwrap();
        finished
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn root_of_a_container_clones_what_it_can_and_says_what_not() {
    let sandbox = sandbox();
    foreign(&sandbox, "known", 1000);
    foreign(&sandbox, "unknown", 70_000);
    specials(&sandbox);
    xattr::set(sandbox.source.join("own"), "trusted.x", b"y").unwrap();
    let arguments = sandbox.arguments([""; 0]);
    let arguments: Vec<&str> = arguments.iter().map(|argument| argument.to_str().unwrap()).collect();
    for _ in 0..2 {
        let run = Container::run(&sandbox, &arguments);
        run.assert_code(0).assert_no_log("Operation not permitted (1)");
        run.assert_log(
            "Warning: root lacks the rights of the machine's own root here: device nodes are not copied.\n",
        );
        run.assert_log("extended attributes in the trusted namespace are not copied.\n");
        run.assert_log(
            "Warning: root lacks an ID for every user (this is a user namespace, as in a container) here: files of users unknown here get another owner in the copy or fail",
        );
    }
    assert_eq!(fs::read_to_string(sandbox.destination.join("unknown")).unwrap(), "unknown");
    assert_eq!((owner(&sandbox, "known"), owner(&sandbox, "unknown")), (1000, 65_534));
    assert!(!sandbox.destination.join("null").exists() && sandbox.destination.join("fifo").exists());
    assert_eq!(sandbox.record().unwrap()["outcome"], "warning");
}

#[test]
fn the_doctor_names_what_root_lacks() {
    let sandbox = sandbox();
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--bounding-set=-mknod,-fowner", "--inh-caps=-mknod,-fowner"]).args([FAKE_HOST, "doctor"]);
    command.args(sandbox.arguments([""; 0])).env("COUNTERPART_FAKE_HOST", sandbox.host());
    let told = Finished::from(command.stdin(Stdio::null()).output().unwrap());
    assert!(
        told.out.contains("WARN  rights: root lacks CAP_MKNOD here: device nodes are not copied.\n"),
        "{told}"
    );
    assert!(told.out.contains("WARN  rights: root lacks CAP_FOWNER here: "), "{told}");
    assert!(!told.out.contains("OK    rights: root."), "{told}");
    assert!(told.out.contains("To do: Give the container or the service these rights"), "{told}");
}

#[test]
fn restore_warns_of_what_it_cannot_keep() {
    let sandbox = sandbox();
    foreign(&sandbox, "foreign", 1000);
    sandbox.clone(&["--safety-net"]).assert_code(0);
    fs::remove_file(sandbox.source.join("foreign")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0);
    let target = sandbox.path().join("restored");
    fs::create_dir(&target).unwrap();
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--bounding-set=-chown", "--inh-caps=-chown"]).args([FAKE_HOST, "restore", "-d"]);
    command.arg(&sandbox.destination).arg("--to").arg(&target).arg("foreign");
    command.env("COUNTERPART_FAKE_HOST", sandbox.host());
    let told = Finished::from(command.stdin(Stdio::null()).output().unwrap());
    assert_eq!(told.code, 0, "{told}");
    assert!(
        told.err.contains("Warning: root lacks CAP_CHOWN here: owners and groups are not kept.\n"),
        "{told}"
    );
    assert_eq!(fs::metadata(target.join("foreign")).unwrap().uid(), 0);
}
