//! The probe: a script that reports from inside the guest, how it gets there, and what its report says.
//!
//! Nothing is written to the disk. systemd (252 and later) takes lines for `systemd-tmpfiles` from the machine's SMBIOS
//! strings; ours put a unit, a script and a udev rule into `/run`, and the rule starts the unit.

/// The start of each line of a report, followed by a random number: nothing else in the guest can print it.
const MARK: &str = "COUNTERPART-PROBE";

/// The most lines of one kind that are kept of a report.
const MOST: usize = 500;

/// The longest line that is kept of a report, in bytes.
const LONGEST: usize = 4096;

/// The unit. It also runs in emergency mode, where most others are stopped.
const UNIT: &str = "\
[Unit]
Description=Counterpart probe
DefaultDependencies=no
IgnoreOnIsolate=yes
ConditionPathExists=!/etc/initrd-release
[Service]
Type=simple
ExecStart=/bin/sh /run/counterpart-probe.sh
";

/// Starts the unit as soon as the second serial port exists.
const RULE: &str = "KERNEL==\"ttyS1\", SUBSYSTEM==\"tty\", TAG+=\"systemd\", \
    ENV{SYSTEMD_WANTS}+=\"counterpart-probe.service\"\n";

/// The script. `printf`, not `echo`: that of dash interprets backslashes.
const SCRIPT: &str = r#"exec >/dev/ttyS1 2>/dev/null </dev/null
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
r() { printf '%s %s\n' '@MARK@' "$*"; }
real() { readlink -f "$1" || printf '%s' "$1"; }
r start "$(cut -d' ' -f1 /proc/uptime)"
r kernel "$(uname -r)"
last=
while :; do
  s=$(systemctl is-system-running)
  [ "$s" = "$last" ] || { r state "$s"; last=$s; }
  case $s in running|degraded|maintenance) break;; esac
  sleep 1
done
d=$(systemctl get-default)
r default "$d" "$(systemctl is-active "$d")"
while read -r d t k o rest; do
  case $t,$d in
    /,/dev/root) d=$(real "/dev/block/$(mountpoint -d /)");;
    *,/dev/*) d=$(real "$d");;
    /,*) ;;
    *) continue;;
  esac
  r mount "$d" "$t" "$k" "$o"
done </proc/mounts
while read -r d rest; do
  case $d in /dev/*) r swap "$(real "$d")";; esac
done </proc/swaps
while read -r spec t k o rest; do
  case $spec in ''|'#'*) continue;; esac
  s=$(printf '%b' "$spec" | tr -d '"')
  case $s in
    /dev/*) d=$(readlink -f "$s");;
    *=*) d=$(findfs "$s") && d=$(readlink -f "$d");;
    *) d=;;
  esac
  [ -b "$d" ] || d=-
  r fstab "$d" "$spec" "$t" "${k:--}" "${o:-defaults}"
done </etc/fstab
blkid -c /dev/null | while read -r l; do
  r device "$(real "${l%%:*}")" "${l#*: }"
done
systemctl list-units --failed --plain --no-legend --no-pager | while read -r u rest; do r failed "$u"; done
r end "$(cut -d' ' -f1 /proc/uptime)"
"#;

/// The SMBIOS string that puts the probe into the guest. `nonce` is what the report's lines are marked with.
#[must_use]
pub fn smbios_string(nonce: &str) -> String {
    let script = SCRIPT.replace("@MARK@", &mark(nonce));
    // `systemd-tmpfiles-setup-dev` runs before udev, but only for paths below /dev: a link leads from there to /run.
    let lines = format!(
        "L /dev/.counterpart - - - - /run\n\
         d /dev/.counterpart/udev 0755\n\
         d /dev/.counterpart/udev/rules.d 0755\n\
         f+~ /dev/.counterpart/systemd/system/counterpart-probe.service 0644 - - - {}\n\
         f+~ /dev/.counterpart/counterpart-probe.sh 0644 - - - {}\n\
         f+~ /dev/.counterpart/udev/rules.d/99-counterpart.rules 0644 - - - {}\n",
        base64(UNIT.as_bytes()),
        base64(script.as_bytes()),
        base64(RULE.as_bytes())
    );
    format!("io.systemd.credential.binary:tmpfiles.extra={}", base64(lines.as_bytes()))
}

fn mark(nonce: &str) -> String {
    format!("{MARK}-{nonce}")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4_usize {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 0x3f) as usize];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// A filesystem that is mounted in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestMount {
    /// Its device there, without links.
    pub device: String,
    /// Where, as in `/proc/mounts`: with blanks as `\040`.
    pub target: String,
    /// Its options, separated by commas.
    pub options: String,
}

/// A line of the guest's fstab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FstabLine {
    /// The device that the line stands for in the guest; `None` if there is none.
    pub device: Option<String>,
    /// What it names, as written.
    pub spec: String,
    /// Where it is mounted, as written.
    pub target: String,
    /// The type.
    pub kind: String,
    /// The options, separated by commas.
    pub options: String,
}

/// What the guest has said of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The probe has started.
    pub is_begun: bool,
    /// The report is complete.
    pub is_complete: bool,
    /// The kernel's version.
    pub kernel: Option<String>,
    /// systemd's word for the state of the system, such as `running` or `degraded`.
    pub state: Option<String>,
    /// The default target, and whether it is `active`.
    pub target: Option<(String, String)>,
    /// What is mounted from disks.
    pub mounts: Vec<GuestMount>,
    /// The devices that are used as swap.
    pub swaps: Vec<String>,
    /// fstab, without comments.
    pub fstab: Vec<FstabLine>,
    /// Each device with the UUID of its filesystem.
    pub uuids: Vec<(String, String)>,
    /// Units that have failed.
    pub failed: Vec<String>,
    /// The kernel's time when everything was started, in seconds since its start.
    pub uptime: Option<f64>,
}

impl Report {
    /// Reads one line of the report, without its mark.
    fn read(&mut self, line: &str) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        match what {
            "start" => self.is_begun = true,
            "kernel" => self.kernel = Some(word()),
            "state" => self.state = Some(word()),
            "default" => self.target = Some((word(), word())),
            "mount" => {
                let (device, target, _, options) = (word(), word(), word(), word());
                keep(&mut self.mounts, GuestMount { device, target, options });
            }
            "swap" => keep(&mut self.swaps, word()),
            "fstab" => {
                let device = Some(word()).filter(|device| device != "-");
                let (spec, target, kind, options) = (word(), word(), word(), word());
                keep(&mut self.fstab, FstabLine { device, spec, target, kind, options });
            }
            "device" => {
                let device = word();
                if let Some(uuid) = rest.split_once(" UUID=\"").and_then(|(_, rest)| rest.split_once('"')) {
                    keep(&mut self.uuids, (device, uuid.0.to_owned()));
                }
            }
            "failed" => keep(&mut self.failed, word()),
            "end" => {
                self.uptime = word().parse().ok();
                self.is_complete = true;
            }
            // A later probe may say more.
            _ => {}
        }
    }

    /// The UUID of the filesystem on this device.
    #[must_use]
    pub fn uuid(&self, device: &str) -> Option<&str> {
        self.uuids.iter().find(|(known, _)| known == device).map(|(_, uuid)| uuid.as_str())
    }

    /// What is mounted there, the last mount of several.
    #[must_use]
    pub fn mounted_at(&self, target: &str) -> Option<&GuestMount> {
        self.mounts.iter().rev().find(|mount| mount.target == target)
    }
}

fn keep<T>(list: &mut Vec<T>, value: T) {
    if list.len() < MOST {
        list.push(value);
    }
}

/// Reads the second serial port: the report, and between its lines what firmware and boot loaders print there.
#[derive(Debug)]
pub struct Reader {
    mark: String,
    line: Vec<u8>,
    /// What the guest has said.
    pub report: Report,
}

impl Reader {
    /// A reader of reports with this nonce.
    #[must_use]
    pub fn new(nonce: &str) -> Self {
        Self { mark: mark(nonce) + " ", line: Vec::new(), report: Report::default() }
    }

    /// Takes more bytes; returns those of complete lines that are not the report's.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut other = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() < LONGEST {
                    self.line.push(*byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&self.line);
            // Firmware leaves a line unfinished.
            if let Some((_, line)) = text.split_once(self.mark.as_str()) {
                self.report.read(line.trim_end_matches('\r'));
            } else {
                other.extend_from_slice(&self.line);
                other.push(b'\n');
            }
            self.line.clear();
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::{GuestMount, Reader, base64, smbios_string};

    #[test]
    fn base64_is_that_of_everybody() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("\u{ff}>?", "w78+Pw==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_credential_fits_one_argument_and_holds_no_comma() {
        let string = smbios_string("0123456789abcdef");
        assert!(string.starts_with("io.systemd.credential.binary:tmpfiles.extra="), "{string}");
        assert!(string.len() < 32_000 && !string.contains([',', '\n', '\0']), "{}", string.len());
    }

    #[test]
    fn a_report_is_read_whatever_comes_between() {
        let mut reader = Reader::new("77");
        let printed = "\x1b[2JGRUB loading.\r\nBdsDxe: startingCOUNTERPART-PROBE-77 start 3.1\r\n\
            COUNTERPART-PROBE-77 kernel 6.1.0-56-cloud-amd64\r\nCOUNTERPART-PROBE-77 state starting\r\n\
            COUNTERPART-PROBE-76 state running\r\nCOUNTERPART-PROBE-77 state degraded\r\n\
            COUNTERPART-PROBE-77 default graphical.target active\r\n\
            COUNTERPART-PROBE-77 mount /dev/vda1 / ext4 rw,relatime\r\n\
            COUNTERPART-PROBE-77 fstab - UUID=dead-beef /srv ext4 nofail\r\n\
            COUNTERPART-PROBE-77 device /dev/vda1 LABEL=\"a b\" UUID=\"47-99\" TYPE=\"ext4\"\r\n\
            COUNTERPART-PROBE-77 device /dev/vda2 PARTUUID=\"47-98\"\r\n\
            COUNTERPART-PROBE-77 failed bad.service\r\nCOUNTERPART-PROBE-77 news of tomorrow\r\n\
            COUNTERPART-PROBE-77 end 33.25\r\nCOUNTERPART-PROBE-77 half";
        let other: Vec<u8> = printed.as_bytes().chunks(7).flat_map(|chunk| reader.push(chunk)).collect();
        assert_eq!(
            String::from_utf8(other).unwrap(),
            "\x1b[2JGRUB loading.\r\nCOUNTERPART-PROBE-76 state running\r\n"
        );
        let report = reader.report;
        assert!(report.is_begun && report.is_complete);
        assert_eq!(report.kernel.as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(report.state.as_deref(), Some("degraded"));
        assert_eq!(report.target, Some(("graphical.target".to_owned(), "active".to_owned())));
        let root = GuestMount {
            device: "/dev/vda1".to_owned(),
            target: "/".to_owned(),
            options: "rw,relatime".to_owned(),
        };
        assert_eq!(report.mounted_at("/"), Some(&root));
        assert_eq!((report.fstab.len(), report.fstab[0].device.as_deref()), (1, None));
        assert_eq!(report.uuids, [("/dev/vda1".to_owned(), "47-99".to_owned())]);
        assert_eq!((report.failed, report.uptime), (vec!["bad.service".to_owned()], Some(33.25)));
    }

    #[test]
    fn a_flood_does_not_fill_the_memory() {
        let mut reader = Reader::new("1");
        reader.push(&vec![b'x'; 1 << 20]);
        assert!(reader.line.len() <= super::LONGEST);
        reader.push(b"\n");
        for _ in 0..2000 {
            reader.push(b"COUNTERPART-PROBE-1 failed a\n");
        }
        assert_eq!(reader.report.failed.len(), super::MOST);
    }
}
