//! Everything the program is built from may be distributed under its own licence.

use std::process::Command;

use serde_json::Value;

use crate::documents::{read, root, succeed};

/// Licences whose works may be part of one under the GNU GPL, version 3.
const COMPATIBLE: [&str; 17] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "GPL-3.0-or-later",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "WTFPL",
    "Zlib",
    "bzip2-1.0.6",
];

/// Whether an expression of licences leaves a way to comply: one side of each `OR` and both of each `AND`.
fn is_compatible(expression: &str) -> bool {
    // The old form of `OR`.
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    if let Some((left, right)) = split_outside(expression, " OR ") {
        return is_compatible(left) || is_compatible(right);
    }
    if let Some((left, right)) = split_outside(expression, " AND ") {
        return is_compatible(left) && is_compatible(right);
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => is_compatible(inner),
        None => COMPATIBLE.contains(&expression),
    }
}

/// Splits at the first operator that is in no bracket.
fn split_outside<'a>(expression: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    expression.match_indices(operator).find_map(|(at, _)| {
        let (left, right) = (&expression[..at], &expression[at + operator.len()..]);
        (left.matches('(').count() == left.matches(')').count()).then_some((left, right))
    })
}

#[test]
fn expressions_are_read() {
    for good in [
        "MIT",
        "MIT OR Apache-2.0",
        "GPL-2.0-only OR MIT",
        "Unlicense/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(is_compatible(good), "{good}");
    }
    for bad in ["", "GPL-2.0-only", "MIT AND OpenSSL", "(MIT AND SSPL-1.0) OR OpenSSL", "Proprietary"] {
        assert!(!is_compatible(bad), "{bad}");
    }
}

/// What cargo knows of all packages that a target needs. Only those are sure to have been downloaded.
fn packages(target: &str) -> Option<Vec<Value>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", target]);
    let output = command.current_dir(root()).output().unwrap();
    output.status.success().then(|| {
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        metadata["packages"].as_array().expect("no packages").clone()
    })
}

fn assert_compatible(packages: &[Value]) {
    assert!(packages.len() > 20, "{}", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_compatible(licence), "{} {} is under {licence:?}", package["name"], package["version"]);
    }
}

#[test]
fn every_dependency_has_a_compatible_licence() {
    let told = succeed(Command::new("rustc").arg("-vV"));
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names no host");
    assert_compatible(&packages(host).expect("cargo metadata failed: have the dependencies been fetched?"));
    // A Mac needs some more; they are here once `cargo fetch` has run.
    if let Some(packages) = packages("aarch64-apple-darwin") {
        assert_compatible(&packages);
    }
}

#[test]
fn our_own_package_is_described() {
    let told = succeed(Command::new("rustc").arg("-vV"));
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names no host");
    let packages = packages(host).expect("cargo metadata failed");
    let ours = packages.iter().find(|package| package["name"] == "counterpart").expect("no counterpart");
    for key in ["description", "license", "readme", "rust_version", "edition"] {
        assert!(ours[key].as_str().is_some_and(|value| !value.is_empty()), "{key}");
    }
    assert_eq!(ours["license"], "GPL-3.0-or-later");
    // The registry's own limits.
    let count = |key: &str| ours[key].as_array().map_or(0, Vec::len);
    assert!((1..=5).contains(&count("keywords")) && (1..=5).contains(&count("categories")));
    assert!(read("LICENSE").trim_start().starts_with("GNU GENERAL PUBLIC LICENSE"));
    assert!(
        read("INSTALL.md").contains(&format!("Rust {} or later", ours["rust_version"].as_str().unwrap()))
    );
}
