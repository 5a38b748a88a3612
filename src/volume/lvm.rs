//! Snapshots of logical volumes (LVM), by its own tool.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::display;
use crate::host::machine::Machine;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, capture};
use crate::volume::detached;

/// The longest that the tool may take: taking a snapshot waits until its filesystem has written what it holds in memory.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// How long a snapshot may stay in use after its last mount has gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What marks a snapshot as ours.
const TAG: &str = "counterpart";

/// What is asked of a volume.
const FIELDS: &str = "vg_name,lv_name,lv_path,lv_size,vg_free,vg_extent_size,pool_lv,origin,lv_tags,data_percent,\
                      lv_snapshot_invalid";

/// How full the pool of a thin volume may be for another snapshot in it, in percent.
const FULLEST: f64 = 95.0;

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The volume group.
    pub group: String,
    /// Its name there.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What is free in the group, in whole extents, in bytes.
    pub free: u64,
    /// The size of an extent, in bytes.
    extent: u64,
    /// The pool that it is in, if it is a thin one.
    pub pool: Option<String>,
}

/// How a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It shows what it was taken of.
    Whole,
    /// It is full, so that it shows nothing any more, or is about to.
    Full,
    /// It is not there.
    Gone,
}

/// What the tool prints.
#[derive(Debug, Deserialize)]
struct Printed {
    report: Vec<Report>,
}

#[derive(Debug, Deserialize)]
struct Report {
    lv: Vec<Row>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    vg_name: String,
    lv_name: String,
    lv_path: String,
    lv_size: String,
    vg_free: String,
    vg_extent_size: String,
    pool_lv: String,
    origin: String,
    lv_tags: String,
    data_percent: String,
    lv_snapshot_invalid: String,
}

impl Row {
    fn percent(&self) -> Option<f64> {
        self.data_percent.parse().ok()
    }

    fn volume(&self) -> Option<Volume> {
        Some(Volume {
            group: self.vg_name.clone(),
            name: self.lv_name.clone(),
            size: self.lv_size.parse().ok()?,
            free: self.vg_free.parse().ok()?,
            extent: self.vg_extent_size.parse().ok().filter(|extent| *extent > 0)?,
            pool: Some(self.pool_lv.clone()).filter(|pool| !pool.is_empty()),
        })
    }

    fn is_ours(&self) -> bool {
        !self.origin.is_empty() && self.lv_tags.split(',').any(|tag| tag == TAG)
    }
}

/// The logical volume with this device number, `MAJOR:MINOR`; `None` if it is none, or LVM is not installed.
pub fn of(machine: Machine<'_>, device_number: &str) -> io::Result<Option<Volume>> {
    if !machine.host.tools.lvm.exists() {
        return Ok(None);
    }
    let (major, minor) = device_number.split_once(':').ok_or(io::ErrorKind::InvalidInput)?;
    let found = list(machine, &format!("lv_kernel_major={major} && lv_kernel_minor={minor}"))?;
    found
        .first()
        .map(|row| row.volume().ok_or_else(|| io::Error::other("lvm prints what cannot be understood")))
        .transpose()
}

impl Volume {
    /// Its name, as LVM's tools take it.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.group, &self.name)
    }

    /// This much in whole extents, at most what is free in the group.
    #[must_use]
    pub fn room(&self, wanted: u64) -> u64 {
        let free = self.free / self.extent * self.extent;
        wanted.div_ceil(self.extent).saturating_mul(self.extent).min(free)
    }

    /// Takes a read-only snapshot of it, of this many bytes unless it is a thin volume, whose pool holds the snapshot.
    pub fn snapshot(&self, machine: Machine<'_>, name: &str, size: u64) -> io::Result<()> {
        let mut arguments: Vec<OsString> = [
            "lvcreate",
            "--quiet",
            "--yes",
            "--snapshot",
            "--permission",
            "r",
            "--addtag",
            TAG,
            "--name",
            name,
        ]
        .map(Into::into)
        .to_vec();
        match &self.pool {
            Some(pool) => {
                let found = find(machine, &self.group, pool)?;
                let full = found.and_then(|pool| pool.percent()).unwrap_or(100.0);
                if full >= FULLEST {
                    let pool = shown(&self.group, pool);
                    return Err(io::Error::other(format!("its thin pool {pool} is {full:.0}% full")));
                }
                // Otherwise it would not be there to be mounted.
                arguments.extend(["--setactivationskip", "n"].map(Into::into));
            }
            None => arguments.extend(["--size".into(), format!("{size}b").into()]),
        }
        arguments.push(self.shown().into());
        run(machine, arguments, machine.interrupts).map(drop)
    }

    /// Mounts the snapshot of this name, of a volume that holds a filesystem of this type.
    pub fn mount(&self, machine: Machine<'_>, name: &str, kind: &str) -> io::Result<OwnedFd> {
        let made = find(machine, &self.group, name)?.ok_or(io::ErrorKind::NotFound)?;
        let options: &[(&str, &str)] = match kind {
            // The snapshot cannot be written to, and was taken when the filesystem's journal was empty.
            "ext3" | "ext4" => &[("ro", ""), ("noload", "")],
            // Its UUID is that of the filesystem it was taken of, which is mounted.
            "xfs" => &[("ro", ""), ("norecovery", ""), ("nouuid", "")],
            _ => &[("ro", "")],
        };
        detached::mount(kind, Path::new(&made.lv_path), options)
    }
}

/// How the snapshot of this name is.
pub fn health(machine: Machine<'_>, group: &str, name: &str) -> io::Result<Health> {
    let Some(row) = find(machine, group, name)? else { return Ok(Health::Gone) };
    let is_full = |row: &Row| row.percent().is_none_or(|percent| percent >= 100.0);
    // For what is not a thick snapshot it is unknown.
    let is_invalid = row.lv_snapshot_invalid == "snapshot invalid";
    let has_full_pool = || match &row.pool_lv {
        pool if pool.is_empty() => Ok(false),
        pool => Ok::<_, io::Error>(find(machine, group, pool)?.is_none_or(|pool| is_full(&pool))),
    };
    // Of a thin snapshot the percentage says how much of it is in use.
    let is_full = row.pool_lv.is_empty() && is_full(&row);
    Ok(if is_invalid || is_full || has_full_pool()? { Health::Full } else { Health::Whole })
}

/// Removes the snapshot of this name, if it is there. Errors if it is not one that we have taken.
pub fn remove(machine: Machine<'_>, group: &str, name: &str) -> io::Result<()> {
    let Some(row) = find(machine, group, name)? else { return Ok(()) };
    if !row.is_ours() {
        return Err(io::Error::other("what is there is no snapshot of ours"));
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let arguments = ["lvremove", "--quiet", "--yes", &shown(group, name)].map(OsString::from).to_vec();
        // The signal that ends the run must not leave it.
        match run(machine, arguments, &Interrupts::default()) {
            Ok(_) => return Ok(()),
            // The kernel lets go of a mount a moment after its last user.
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(200)),
            Err(error) => return Err(error),
        }
    }
}

fn find(machine: Machine<'_>, group: &str, name: &str) -> io::Result<Option<Row>> {
    Ok(list(machine, &format!("vg_name=\"{group}\" && lv_name=\"{name}\""))?.pop())
}

fn list(machine: Machine<'_>, select: &str) -> io::Result<Vec<Row>> {
    let arguments =
        ["lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", FIELDS, "--select", select];
    let printed = run(machine, arguments.map(OsString::from).to_vec(), &Interrupts::default())?;
    let printed: Printed = serde_json::from_slice(&printed)
        .map_err(|error| io::Error::other(format!("lvm prints what cannot be understood: {error}")))?;
    let rows: Vec<Row> = printed.report.into_iter().flat_map(|report| report.lv).collect();
    let is_name = |name: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+_.-".contains(&byte);
        !name.is_empty() && name.len() < 128 && !name.starts_with('-') && name.bytes().all(is_plain)
    };
    // Those that begin with a bracket are LVM's own parts of others.
    let is_sound = |row: &Row| is_name(&row.vg_name) && is_name(&row.lv_name);
    Ok(rows.into_iter().filter(is_sound).collect())
}

fn run(machine: Machine<'_>, arguments: Vec<OsString>, interrupts: &Interrupts) -> io::Result<Vec<u8>> {
    let tool = &machine.host.tools.lvm;
    let what = arguments.first().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let printed = capture(&Command::tool(tool, arguments), interrupts, LIMIT)?;
    match printed.end {
        End::Exited(0) => Ok(printed.out),
        End::Exited(_) | End::Killed(_) => {
            let last = printed.err.split(|byte| *byte == b'\n').rfind(|line| !line.trim_ascii().is_empty());
            let why = display::line(last.unwrap_or(b"it has failed").trim_ascii()).to_string();
            Err(io::Error::other(format!("{what}: {}", why.trim_end_matches('.'))))
        }
    }
}

fn shown(group: &str, name: &str) -> String {
    format!("{group}/{name}")
}

#[cfg(test)]
mod tests {
    use super::{Printed, Row, Volume};

    /// What `lvm lvs` of Debian 12 (2.03.16) prints.
    const PRINTED: &str = r#"  {
      "report": [
          {
              "lv": [
                  {"vg_name":"vg", "lv_name":"root", "lv_path":"/dev/vg/root", "lv_size":"1073741824", "vg_free":"423624704", "vg_extent_size":"4194304", "pool_lv":"", "origin":"", "lv_tags":"", "data_percent":"", "lv_snapshot_invalid":""}
              ]
          }
      ]
  }"#;

    fn row() -> Row {
        serde_json::from_str::<Printed>(PRINTED).unwrap().report.remove(0).lv.remove(0)
    }

    #[test]
    fn what_is_printed_is_understood() {
        let volume = row().volume().unwrap();
        let expected = Volume {
            group: "vg".to_owned(),
            name: "root".to_owned(),
            size: 1 << 30,
            free: 101 << 22,
            extent: 1 << 22,
            pool: None,
        };
        assert_eq!(volume, expected);
        assert_eq!(volume.shown(), "vg/root");
        assert!(Row { lv_size: "1g".to_owned(), ..row() }.volume().is_none());
        assert!(Row { vg_extent_size: "0".to_owned(), ..row() }.volume().is_none());
    }

    #[test]
    fn room_comes_in_extents_and_is_never_more_than_is_free() {
        let volume = row().volume().unwrap();
        for (wanted, room) in [(0, 0), (1, 1), (4 << 20, 1), ((4 << 20) + 1, 2), (u64::MAX, 101)] {
            assert_eq!(volume.room(wanted), room << 22, "{wanted}");
        }
    }

    #[test]
    fn only_a_snapshot_with_our_tag_is_ours() {
        let of = |origin: &str, tags: &str| {
            Row { origin: origin.to_owned(), lv_tags: tags.to_owned(), ..Row::default() }.is_ours()
        };
        assert!(of("root", "counterpart") && of("root", "a,counterpart,b"));
        assert!(!of("", "counterpart") && !of("root", "") && !of("root", "counterparts"));
    }
}
