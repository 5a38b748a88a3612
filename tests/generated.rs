//! The man page and the completions in `examples/` are those that the program prints.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;
use std::process::{Command, Stdio};

const PRODUCT: &str = env!("CARGO_BIN_EXE_counterpart");

/// What is printed for it, and where it is kept.
const DOCUMENTS: [(&str, &str); 4] = [
    ("man", "examples/man/counterpart.8"),
    ("bash", "examples/completions/counterpart.bash"),
    ("zsh", "examples/completions/_counterpart"),
    ("fish", "examples/completions/counterpart.fish"),
];

fn kept(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[test]
fn what_is_kept_is_current() {
    for (what, file) in DOCUMENTS {
        let printed = Command::new(PRODUCT).args(["generate", what]).output().unwrap();
        assert_eq!(printed.status.code(), Some(0), "{what}");
        assert!(
            printed.stdout == std::fs::read(kept(file)).unwrap(),
            "{file} is not current; renew it with: cargo run -- generate {what} > {file}"
        );
    }
}

#[test]
fn the_man_page_formats_without_a_warning() {
    let output = Command::new("man")
        .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8"])
        .arg(kept(DOCUMENTS[0].1))
        .env("MANWIDTH", "100")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (page, warnings) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && warnings.is_empty(), "{warnings}");
    for word in
        ["EXIT STATUS", "must be run as root", "128+N", "3–35", ".PREFIX.counterpart.completed", "--adopt"]
    {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn bash_takes_its_completions() {
    let check = "source \"$1\" && complete -p counterpart";
    let file = kept(DOCUMENTS[1].1);
    let output = Command::new("bash").args(["-c", check, "bash"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
