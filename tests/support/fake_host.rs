//! Runs the product on a host made by a test: the directory named by `COUNTERPART_FAKE_HOST`.
//!
//! That directory contains `system` ("macos" or "linux"), `tools/` with the system's tools, and `rsync/`, the only
//! directory searched before `PATH`; it may contain `users`, `dumper-silence`, `name` (the machine's) and the
//! directories where disks are mounted (`mnt/`, `Volumes/`); and it receives `log/`, `lock/`, `state/`,
//! `jobs/` and `job-files/`.
//! `system-state/` is root's state. The shipped binary reads no such variable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use counterpart::host;
use counterpart::host::platform::System;
use counterpart::host::rights::Rights;
use counterpart::host::tools::Tools;
use counterpart::host::{Host, platform};

fn main() -> ExitCode {
    counterpart::main_on(fake_host)
}

fn fake_host() -> anyhow::Result<Host> {
    let root = std::env::var_os("COUNTERPART_FAKE_HOST").map(PathBuf::from);
    let root: &Path = root.as_deref().ok_or_else(|| anyhow::anyhow!("COUNTERPART_FAKE_HOST is not set"))?;
    let system = match std::fs::read_to_string(root.join("system"))?.trim() {
        "macos" => System::MacOs,
        _ => System::Linux,
    };
    let tool = |name: &str| root.join("tools").join(name);
    let tools = Tools {
        sw_vers: tool("sw_vers"),
        vsdbutil: tool("vsdbutil"),
        diskutil: tool("diskutil"),
        blkid: tool("blkid"),
        cryptsetup: tool("cryptsetup"),
        lvm: tool("lvm"),
        disk_tools: disk_tools(root),
        security: tool("security"),
        systemd_creds: tool("systemd-creds"),
        caffeinate: tool("caffeinate"),
        systemd_inhibit: tool("systemd-inhibit"),
        cat: "/bin/cat".into(),
        launchctl: tool("launchctl"),
        systemctl: tool("systemctl"),
        slapcat: tool("slapcat"),
        slapd_configurations: vec![root.join("slapd.d"), root.join("slapd.conf")],
        usr: root.join("usr"),
        server_root: root.join("server-app"),
        system_root: root.join("system-root"),
    };
    let mount_dirs = match system {
        System::MacOs => vec![root.join("Volumes")],
        System::Linux => ["mnt", "media", "run/media"].map(|name| root.join(name)).into(),
    };
    Ok(Host {
        platform: platform(system, &tools)?,
        mount_dirs,
        tools,
        rsync_dirs: vec![root.join("rsync")],
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        job_dir: root.join("jobs"),
        job_file_dir: root.join("job-files"),
        log_dir: root.join("log"),
        lock_dir: root.join("lock"),
        state_dir: root.join("state"),
        system_state_dir: root.join("system-state"),
        backup_dir: root.join("backup"),
        encrypted_credentials: root.join("credstore.encrypted"),
        plain_credentials: root.join("credstore"),
        job_credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        dumper_silence: seconds(&root.join("dumper-silence")).unwrap_or(host::DUMPER_SILENCE),
        effective_uid: nix::unistd::geteuid().as_raw(),
        // A Mac's root has all privileges; in any case it is Linux's rsync that runs here.
        rights: Rights::native(System::Linux, nix::unistd::geteuid().as_raw()),
        name: std::fs::read_to_string(root.join("name")).unwrap_or_else(|_| "testhost".to_owned()),
        users: users(&root.join("users")),
    })
}

/// The fake tools and then the machine's own, unless the file `only-fake-tools` is there.
fn disk_tools(root: &Path) -> Vec<PathBuf> {
    let own: &[&str] = if root.join("only-fake-tools").exists() { &[] } else { &["/usr/sbin", "/usr/bin"] };
    [root.join("tools")].into_iter().chain(own.iter().map(PathBuf::from)).collect()
}

/// A timeout shortened by a test.
fn seconds(file: &Path) -> Option<Duration> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Parses `NAME UID GID` lines; without the file there are no users.
fn users(table: &Path) -> BTreeMap<String, (u32, u32)> {
    let text = std::fs::read_to_string(table).unwrap_or_default();
    let user = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next()?.to_owned();
        let mut number = || words.next()?.parse().ok();
        Some((name, (number()?, number()?)))
    };
    text.lines().filter_map(user).collect()
}
