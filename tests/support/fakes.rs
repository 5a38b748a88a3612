//! An rsync scripted by a test.

use std::fs;
use std::path::PathBuf;

use crate::support::sandbox::Sandbox;

/// Answers the queries before a clone: the version, the options, and a dry run without changes. The shell function
/// `statistics` prints complete statistics, and `source` is the source with a trailing slash.
const PREAMBLE: &str = r#"
case " $* " in
    *' --version '*) echo 'rsync  version 3.5.0  protocol version 32'; exit 0 ;;
    *' --dry-run '*) exit 0 ;;
esac
for end; do source=$destination; destination=$end; done
statistics() {
    cat <<'END'

Number of files: 1,507 (reg: 1,502, dir: 2, link: 1, dev: 1, special: 1)
Number of created files: 1,506 (reg: 1,501, dir: 2, link: 1, dev: 1, special: 1)
Number of deleted files: 1 (reg: 1)
Number of regular files transferred: 1,501
Total file size: 24,697,752 bytes
Total transferred file size: 12,352,071 bytes
Literal data: 12,352,071 bytes
Matched data: 0 bytes
File list size: 0
File list generation time: 0.001 seconds
File list transfer time: 0.000 seconds
Total bytes sent: 12,444,423
Total bytes received: 28,574

sent 12,444,423 bytes  received 28,574 bytes  24,945,994.00 bytes/sec
total size is 24,697,752  speedup is 1.98
END
}
"#;

/// A sandbox whose rsync runs this shell code instead of a clone, and whose source is not empty.
pub fn sandbox(body: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    rsync(&sandbox, body);
    sandbox
}

/// Puts a fake rsync into a sandbox.
pub fn rsync(sandbox: &Sandbox, body: &str) -> PathBuf {
    sandbox.rsync(&format!("{PREAMBLE}{body}"))
}

/// A fake rsync that records its arguments, NUL-terminated, and succeeds; [`recorded`] returns them.
pub fn recorder(sandbox: &Sandbox) -> PathBuf {
    let file = sandbox.path().join("arguments").display().to_string();
    let input = sandbox.path().join("input").display().to_string();
    rsync(sandbox, &format!("printf '%s\\0' \"$@\" >'{file}'; cat >'{input}'; statistics"))
}

/// The arguments of the recorder.
pub fn recorded(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.path().join("arguments")).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// The standard input of the recorder.
pub fn recorded_input(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join("input")).unwrap()
}
