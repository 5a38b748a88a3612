//! The same as JSON.

use std::fs;

use serde_json::Value;

use crate::doctor::patient::{ask, doctor, healthy};
use crate::support::mounted::Mounted;

/// The lines that the text has for what is in the JSON.
fn lines(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut lines = Vec::new();
    let mut counts = [0; 3];
    for check in report["checks"].as_array().unwrap() {
        let status = text(&check["status"]);
        counts[["OK", "WARN", "FAIL"].iter().position(|known| *known == status).unwrap()] += 1;
        let code = check["exit_code"].as_u64().map(|code| format!(" ({code})")).unwrap_or_default();
        assert_eq!(status == "FAIL", !code.is_empty());
        lines.push(format!("{status:<4}  {}: {}{code}", text(&check["topic"]), text(&check["message"])));
        lines.extend(
            check["details"].as_array().unwrap().iter().map(|detail| format!("        {}", text(detail))),
        );
        if !check["remedy"].is_null() {
            lines.push(format!("      To do: {}", text(&check["remedy"])));
        }
        assert!(status != "OK" || check["remedy"].is_null(), "{check}");
        assert_eq!(check.as_object().unwrap().len(), 6, "{check}");
    }
    let end = match report["exit_code"].as_u64().unwrap() {
        0 => "nothing was found that would stop a clone.".to_owned(),
        code => format!("a clone would end with code {code}."),
    };
    lines.push(format!("{} OK, {} WARN, {} FAIL: {end}", counts[0], counts[1], counts[2]));
    lines
}

#[test]
fn json_says_what_the_text_says() {
    let sandbox = healthy();
    // The room on a disk that others use changes from one look to the next.
    let _mounted = Mounted::tmpfs(&sandbox.destination);
    let file = sandbox.path().join("excludes");
    fs::write(&file, "*.part\n\"\n").unwrap();
    for more in [&["-e", file.to_str().unwrap()][..], &["-e", "/nonexistent", "-B"]] {
        let text = ask(&sandbox, more);
        let with_json: Vec<&str> = more.iter().copied().chain(["--json"]).collect();
        let finished = sandbox.run(doctor(sandbox.arguments(&with_json)));
        assert_eq!((finished.code, finished.err.as_str()), (text.code, ""), "{finished}");
        let report: Value =
            serde_json::from_str(&finished.out.replace(sandbox.path().to_str().unwrap(), "@")).unwrap();
        assert_eq!(lines(&report), text.lines);
        assert_eq!(
            (&report["schema"], &report["host"], &report["system"]),
            (&1.into(), &"testhost".into(), &"Linux".into())
        );
        assert_eq!(report["counterpart"], env!("CARGO_PKG_VERSION"));
        assert_eq!(report["exit_code"], text.code);
        assert_eq!(report.as_object().unwrap().len(), 6, "{report}");
    }
}
