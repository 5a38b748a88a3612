//! The reader of messages, on captured and on made ones.

use super::{Diagnostics, KEPT_PATHS, Limit};

/// Reads what a version printed, from the captured output.
macro_rules! captured {
    ($version:literal, $case:literal) => {
        read(include_str!(concat!("../../../tests/fixtures/rsync/", $version, "/", $case, ".err")))
    };
}

/// The same of an rsync before the names of its processes came, of one before 3.5.0 and of one after it.
macro_rules! generations {
    ($case:literal) => {
        [captured!("3.0.9", $case), captured!("3.1.3", $case), captured!("3.5.1", $case)]
    };
}

fn read(printed: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    for line in printed.lines() {
        diagnostics.read_line(line.as_bytes());
    }
    diagnostics
}

/// Asserts the paths and that nothing else was concluded.
#[track_caller]
fn assert_only(found: &Diagnostics, paths: &[&str]) {
    assert_eq!(found.paths, paths);
    assert_eq!(found.failing, paths.len() as u64);
    assert!(found.no_room.is_none() && found.missing_user.is_none(), "{found:?}");
    assert!(!found.device_gone && !found.undeleted, "{found:?}");
}

#[test]
fn a_full_disk_is_found_among_its_consequences() {
    for found in generations!("no-space").iter().chain(&[captured!("3.1.0", "no-space")]) {
        let message = found.no_room.as_deref().unwrap();
        assert!(message.ends_with("write failed on \"/clones/full/d/f146\": No space left on device (28)"));
        assert_eq!(found.paths, ["/clones/full/d/f146"]);
    }
}

#[test]
fn a_disk_without_inodes_is_full() {
    for found in generations!("no-inodes") {
        assert!(found.no_room.as_deref().unwrap().contains("mkstemp \"/clones/full/d/.f1264."));
        assert_eq!((found.paths.len(), found.failing, found.more()), (KEPT_PATHS, 40, 20));
    }
    let found = read(
        "rsync: recv_generator: mkdir \"/d/x\" failed: No space left on device (28)\n\
         *** Skipping any contents from this failed directory ***",
    );
    assert_eq!(found.paths, ["/d/x"]);
    assert!(found.no_room.is_some());
}

#[test]
fn what_could_not_be_moved_into_a_net_is_told() {
    let [old, middle, new] = generations!("backup-no-inodes");
    for found in [&old, &middle, &new] {
        assert!(found.unsaved);
        assert!(found.no_room.as_deref().unwrap().contains("mkdir"), "{found:?}");
    }
    assert_eq!(old.paths[..2], ["/clones/full/net/T/gone2", "/clones/full/gone2/f"]);
    for found in [middle, new] {
        assert_eq!(found.paths[..3], ["net/T/gone2", "gone2/f", "net/T/gone1"]);
        assert!(found.undeleted);
    }
    for line in [
        "backup filename too long",
        "rsync: [generator] link \"/d/net/T/l\" -> \"target\": No space left on device (28)",
        "rsync: [generator] mknod \"/d/net/T/null\" failed: No space left on device (28)",
    ] {
        assert!(read(line).unsaved, "{line}");
    }
}

#[test]
fn an_exceeded_quota_is_a_full_disk() {
    for line in [
        "rsync: [receiver] write failed on \"/d/f\": Disk quota exceeded (122)",
        "rsync: write failed on \"/d/f\": Disc quota exceeded (69)",
    ] {
        assert_eq!(read(line).no_room.as_deref(), Some(line));
    }
}

#[test]
fn a_device_that_is_gone_is_told_from_closed_files() {
    for found in generations!("read-error") {
        assert!(found.device_gone && found.no_room.is_none());
        for path in ["/clones/ls/big \"1\"", "/clones/ls/big \"3\"", "big \"1\""] {
            assert!(found.paths.iter().any(|found| found == path), "{path}: {found:?}");
        }
    }
    for line in [
        "rsync: readdir(\"/s/d\"): Input/output error (5)",
        "rsync: [sender] readlink_stat(\"/s/d\") failed: Stale file handle (116)",
        "rsync: write failed on \"/d/f\": Input/output error (5)",
        "rsync: [sender] send_files failed to open \"/s/d\": Transport endpoint is not connected (107)",
        "rsync: opendir \"/s/d\" failed: No such device (19)",
    ] {
        let found = read(line);
        assert!(found.device_gone, "{line}");
        assert_eq!(found.paths.len(), 1, "{line}");
    }
}

#[test]
fn a_name_that_looks_like_an_error_is_a_name() {
    let expected = [
        "/clones/den/closed",
        "/clones/den/a \"quoted\", [b] (5) failed: No space left on device (28)",
        "/clones/den/new\\#012line",
        "/clones/den/plain",
    ];
    for found in [captured!("3.0.9", "denied"), captured!("3.1.3", "denied"), captured!("3.5.0", "denied")] {
        assert_only(&found, &expected);
    }
}

#[test]
fn a_name_at_the_end_of_a_message_is_no_error() {
    for (line, name) in [
        (
            "filename overflows max-path len by 1: d/write failed: No space left (28)",
            "d/write failed: No space left (28)",
        ),
        ("file has vanished: \"/s/rsync: unpack_smb_acl: (5)\"", "/s/rsync: unpack_smb_acl: (5)"),
        (
            "ERROR: x failed verification (28) failed verification -- update discarded.",
            "x failed verification (28)",
        ),
    ] {
        assert_only(&read(line), &[name]);
    }
}

#[test]
fn the_name_of_a_file_is_no_missing_user() {
    assert_only(
        &read("rsync: [sender] send_files failed to open \"/s/unpack_smb_acl(me)\": Permission denied (13)"),
        &["/s/unpack_smb_acl(me)"],
    );
    assert_only(
        &read("rsync: [generator] chown \"/s/get_acl: unpack_smb_acl\" failed: Operation not permitted (1)"),
        &["/s/get_acl: unpack_smb_acl"],
    );
}

#[test]
fn a_missing_user_is_found_and_where_this_is_told() {
    let found = read("rsync: unpack_smb_acl: sys_acl_get_info(): Undefined error: 0 (0)");
    assert_eq!(found.missing_user, Some(None));
    let printed = "rsync: [sender] unpack_smb_acl: sys_acl_get_info(): Undefined error: 0 (0)\n\
        rsync: [sender] get_acl: unpack_smb_acl(a (b), c): Undefined error: 0 (0)\n\
        rsync: [sender] get_acl: unpack_smb_acl(later): Undefined error: 0 (0)";
    assert_eq!(read(printed).missing_user, Some(Some("a (b), c".to_owned())));
}

#[test]
fn refused_lists_and_attributes_name_their_file() {
    for found in generations!("refused") {
        assert_eq!(found.paths.len(), 3, "{found:?}");
        assert_eq!(found.paths[0], "folder");
        assert!(
            found.paths.iter().any(|path| path.starts_with(".acl(1), x.") && path.len() == 17),
            "{found:?}"
        );
        assert!(
            found.paths.iter().any(|path| path.starts_with("/clones/xd/.it is \"quoted\", yes.")
                && path.len() == "/clones/xd/.it is \"quoted\", yes.VG1p58".len()),
            "{found:?}"
        );
        assert!(!found.device_gone && found.no_room.is_none());
    }
}

#[test]
fn every_other_form_names_its_file() {
    for (line, path) in [
        ("rsync: delete_file: unlink(a) failed: (x) failed: Read-only file system (30)", "a) failed: (x"),
        ("rsync: [generator] delete_file: rmdir(d) failed: Directory not empty (39)", "d"),
        ("rsync: [generator] set_acl: acl_delete_def_file(d): Operation not supported (95)", "d"),
        ("rsync: [receiver] set_acl: xacl_set(f, ACL_TYPE_ACCESS): Operation not supported (95)", "f"),
        ("rsync: symlink \"/d/l\" -> \"x\" failed: Read-only file system (30)", "/d/l"),
        ("rsync: [receiver] rename \"/d/.f.X\" -> \"f\": Operation not permitted (1)", "/d/.f.X"),
        ("rsync: rsync_xal_set: lsetxattr(\"\"/d/f\"\",\"user.x\") failed: Permission denied (13)", "/d/f"),
        (
            "rsync: [sender] rsync_xal_get: lgetxattr(\"/s/f\",\"user.x\",17) failed: Permission denied (13)",
            "/s/f",
        ),
        ("rsync: [sender] get_xattr_names: llistxattr(\"/s/f\",1024) failed: Permission denied (13)", "/s/f"),
        ("rsync: failed to set times on \"/d/.\": Operation not permitted (1)", "/d/."),
        ("rsync: change_dir \"/s\" failed: Permission denied (13)", "/s"),
    ] {
        assert_eq!(read(line).paths, [path], "{line}");
    }
}

#[test]
fn what_could_not_be_deleted_is_told() {
    for found in generations!("immutable").iter().chain(&[captured!("3.1.0", "immutable")]) {
        assert_eq!(found.paths, ["imdir/f", "im \"m\""]);
        assert!(found.undeleted);
    }
}

#[test]
fn what_vanished_is_named_and_is_nothing_else() {
    for found in generations!("vanished") {
        assert_only(&found, &["/clones/vs/z \"1\"", "/clones/vs/zz"]);
    }
}

#[test]
fn a_destination_that_became_read_only_is_not_full() {
    for found in generations!("read-only") {
        assert_eq!(found.paths[..4], ["/clones/full/.", "gone", "/clones/full/fifo", "/clones/full/l"]);
        assert!(!found.device_gone && found.no_room.is_none());
    }
}

#[test]
fn what_names_no_path_names_none() {
    for found in generations!("destination-is-file") {
        assert_only(&found, &[]);
    }
    for line in [
        "",
        "rsync: [sender] write error: Broken pipe (32)",
        "rsync: writefd_unbuffered failed to write 4 bytes to socket [sender]: Broken pipe (32)",
        "rsync: connection unexpectedly closed (9 bytes received so far) [sender]",
        "rsync error: error in file IO (code 11) at receiver.c(389) [receiver=3.1.0]",
        "[sender] io timeout after 4 seconds -- exiting",
        "Deletions stopped due to --max-delete limit (2 skipped)",
        "*** Skipping any contents from this failed directory ***",
        "\"",
        "(",
        "rsync: ",
        "rsync: [",
    ] {
        assert_only(&read(line), &[]);
    }
}

/// What a message says of the destination: a limit and its path, or the lack of room.
fn limit_of(line: &str) -> (Option<Limit>, Vec<String>, bool) {
    let found = read(line);
    let limited = found.limited.as_ref();
    let examples = limited.map(|limited| limited.examples.clone()).unwrap_or_default();
    (limited.map(|limited| limited.limit), examples, found.no_room.is_some())
}

#[test]
fn an_error_number_is_read_by_its_operation() {
    for (line, limit, path) in [
        (
            "rsync: [receiver] rsync_xal_set: fsetxattr(\"/d/f\",\"user.x\") failed: No space left on device (28)",
            Limit::Attributes,
            "/d/f",
        ),
        (
            "rsync: rsync_xal_set: lsetxattr(\"\"/d/f\"\",\"user.x\") failed: Disk quota exceeded (122)",
            Limit::Attributes,
            "/d/f",
        ),
        (
            "rsync: [generator] rsync_xal_set: lsetxattr(\"/d/f\",\"user.x\") failed: Argument list too long (7)",
            Limit::Attributes,
            "/d/f",
        ),
        (
            "rsync: [generator] set_acl: sys_acl_set_file(f, ACL_TYPE_ACCESS): No space left on device (28)",
            Limit::Attributes,
            "f",
        ),
        (
            "rsync: [generator] link \"/d/l \"1\"\" => l/9999 failed: Too many links (31)",
            Limit::Links,
            "/d/l \"1\"",
        ),
        ("rsync: link \"/d/l\" => l/9 \"x\" failed: Too many links (31)", Limit::Links, "/d/l"),
        (
            "rsync: [generator] recv_generator: mkdir \"/d/s\" failed: Too many links (31)",
            Limit::Links,
            "/d/s",
        ),
        (
            "rsync: [receiver] mkstemp \"/d/.long.Ab12Cd\" failed: File name too long (36)",
            Limit::NameLength,
            "/d/long",
        ),
        (
            "rsync: [generator] symlink \"/d/l\" -> \"far\" failed: File name too long (36)",
            Limit::NameLength,
            "/d/l",
        ),
        ("rsync: [receiver] write failed on \"/d/big\": File too large (27)", Limit::FileSize, "/d/big"),
        (
            "rsync: [receiver] mkstemp \"/d/.a:b.Ab12Cd\" failed: Invalid argument (22)",
            Limit::Names,
            "/d/a:b",
        ),
        ("rsync: [generator] failed to set times on \"/d/f\": Invalid argument (22)", Limit::Times, "/d/f"),
    ] {
        assert_eq!(limit_of(line), (Some(limit), vec![path.to_owned()], false), "{line}");
    }
    for line in [
        "rsync: [receiver] mkstemp \"/d/.f.Ab12Cd\" failed: No space left on device (28)",
        "rsync: [generator] symlink \"/d/l\" -> \"x\" failed: Disk quota exceeded (122)",
        "rsync: [generator] link \"/d/l\" => x failed: No space left on device (28)",
        "rsync: [generator] mknod \"/d/p\" failed: No space left on device (28)",
        "rsync: [receiver] rename \"/d/.f.Ab12Cd\" -> \"f\": No space left on device (28)",
        "rsync: [receiver] fsync failed on \"/d/f\": Disk quota exceeded (122)",
        "rsync: [generator] delete_file: unlink(f) failed: No space left on device (28)",
    ] {
        let (limit, _, no_room) = limit_of(line);
        assert_eq!((limit, no_room), (None, true), "{line}");
    }
    for line in [
        "rsync: [sender] readlink_stat(\"/s/f\") failed: File name too long (36)",
        "rsync: [sender] send_files failed to open \"/s/f\": No space left on device (28)",
        "rsync: [generator] set_acl: sys_acl_set_file(f, ACL_TYPE_ACCESS): Operation not supported (95)",
        "rsync: [receiver] rsync_xal_set: fsetxattr(\"/d/f\",\"user.x\") failed: Permission denied (13)",
    ] {
        assert_eq!(limit_of(line), (None, Vec::new(), false), "{line}");
    }
}

#[test]
fn temporary_files_have_the_names_of_what_they_were_to_become() {
    let named = |line: &str, there: &[&str]| {
        let mut found = read(line);
        found.name_temporaries(|path| there.iter().any(|name| name.as_bytes() == path));
        found.paths
    };
    let refused =
        "rsync: [receiver] set_acl: sys_acl_set_fd_type(x/.f.Ab12Cd, ACL_TYPE_ACCESS): Invalid argument (22)";
    assert_eq!(named(refused, &["x/f"]), ["x/f"]);
    assert_eq!(named(refused, &["x/.f"]), ["x/.f"]);
    assert_eq!(named(refused, &["x/.f.Ab12Cd", "x/f"]), ["x/.f.Ab12Cd"]);
    assert_eq!(named(refused, &[]), ["x/f"]);
    let renamed =
        "rsync: [receiver] rename \"/d/x/.profile.Ab12Cd\" -> \"x/.profile\": Operation not permitted (1)";
    assert_eq!(named(renamed, &["/d/x/profile"]), ["/d/x/.profile"]);
    let of_source = "rsync: [sender] send_files failed to open \"/s/.f.Ab12Cd\": Permission denied (13)";
    assert_eq!(named(of_source, &["/s/f"]), ["/s/.f.Ab12Cd"]);
    let attribute = "rsync: [receiver] rsync_xal_set: fsetxattr(\"/d/.f.Ab12Cd\",\"user.x\") failed: No space left on device (28)";
    let mut found = read(attribute);
    found.name_temporaries(|path| path == b"/d/f");
    assert_eq!(found.limited.unwrap().examples, ["/d/f"]);
}

#[test]
fn changes_of_the_source_are_told_from_what_is_worse() {
    const GONE: &str = "No such file or directory (2)";
    for (line, path) in [
        (format!("rsync: get_acl: sys_acl_get_file(d/f, ACL_TYPE_ACCESS): {GONE}"), "d/f"),
        (format!("rsync: [sender] get_acl: sys_acl_get_file(d, ACL_TYPE_DEFAULT): {GONE}"), "d"),
        (format!("rsync: [sender] get_xattr_names: llistxattr(\"/s/f\",1024) failed: {GONE}"), "/s/f"),
        (format!("rsync: get_xattr_data: lgetxattr(\"\"/s/f\"\",\"user.x\",0) failed: {GONE}"), "/s/f"),
        (format!("rsync: [sender] readlink_stat(\"/s/f\") failed: {GONE}"), "/s/f"),
        (format!("rsync: [sender] opendir \"/s/d\" failed: {GONE}"), "/s/d"),
        ("rsync: [sender] opendir \"/s/d\" failed: Not a directory (20)".to_owned(), "/s/d"),
        ("rsync: [sender] read errors mapping \"/s/log\": No data available (61)".to_owned(), "/s/log"),
        ("ERROR: log failed verification -- update discarded.".to_owned(), "log"),
        (
            "rsync: [sender] send_files failed to open \"/s/f\": No such device or address (6)".to_owned(),
            "/s/f",
        ),
    ] {
        let text = line.clone()
            + "\nrsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394) [sender=3.5.0]";
        assert_eq!(read(&text).only_changes(), Some(&[path.as_bytes().to_vec()][..]), "{line}");
        assert!(!read(&text).device_gone, "{line}");
        for worse in [
            "rsync: [receiver] mkstemp \"/d/.f.Ab12Cd\" failed: Permission denied (13)",
            "rsync: [sender] send_files failed to open \"/s/g\": Permission denied (13)",
            "rsync: [sender] read errors mapping \"/s/g\": Input/output error (5)",
            "*** Skipping any contents from this failed directory ***",
            "something that nobody has seen before",
            "filename overflows max-path len by 1: d/f",
        ] {
            assert_eq!(read(&format!("{line}\n{worse}")).only_changes(), None, "{worse}");
        }
    }
    let writer = format!("rsync: [generator] get_acl: sys_acl_get_file(f, ACL_TYPE_ACCESS): {GONE}");
    assert_eq!(read(&writer).only_changes(), None);
    let many: String = (0..1001)
        .map(|number| format!("rsync: [sender] readlink_stat(\"/s/{number}\") failed: {GONE}\n"))
        .collect();
    assert_eq!(read(&many).only_changes(), None);
}

#[test]
fn folders_that_stay_are_named_and_counted_nowhere() {
    let mut found = Diagnostics::default();
    for line in
        ["cannot delete non-empty directory: m", "cannot delete mount point: top \\#012", "sent 5 bytes"]
    {
        found.read_output(line.as_bytes());
    }
    assert_eq!(found.not_empty, ["m", "top \\#012"]);
    assert_only(&found, &[]);
    (0..100).for_each(|number| {
        found.read_output(format!("cannot delete non-empty directory: {number}").as_bytes());
    });
    assert_eq!(found.not_empty.len(), KEPT_PATHS);
    assert!(!found.skipped_deletions);
    found.read_output(b"IO error encountered -- skipping file deletion");
    assert!(found.skipped_deletions);
}

#[test]
fn memory_is_bounded_however_much_fails() {
    let mut diagnostics = Diagnostics::default();
    for number in 0..100_000 {
        let line = format!("rsync: send_files failed to open \"/s/{number}\": Permission denied (13)");
        diagnostics.read_line(line.as_bytes());
    }
    assert_eq!((diagnostics.paths.len(), diagnostics.more()), (KEPT_PATHS, 99_980));
}
